/** The variables of an application, those that others give it, and what it publishes. */
import { html, nothing, type TemplateResult } from 'lit';
import {
  linkedVariables,
  publishedForm,
  variablesForm,
  type FormState,
  type Variable,
} from '../cc/environment';
import { say } from '../kit/toasts';
import { call, get } from '../kit/api';
import type { Change } from '../kit/live';
import { Page, reason } from '../kit/page';
import { shared } from '../kit/state';
import { w } from '../words';

interface Linked {
  app_id: string;
  app_name: string;
  env: Variable[];
}

interface Shown {
  own: Variable[];
  linked: Linked[];
  published: Variable[];
}

type Part = 'own' | 'published';

class Environment extends Page<Shown> {
  static override properties = { ...Page.properties, saving: { state: true }, isStale: { state: true } };
  declare saving: Part | null;
  declare isStale: boolean;

  constructor() {
    super();
    this.saving = null;
    this.isStale = false;
  }

  get heading(): string {
    return w.sections['hv-environment'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/applications/${this.params.app}`;
  }

  protected override wakes(change: Change): boolean {
    return change.name === 'apps.link.made' || change.name === 'apps.link.dropped';
  }

  protected async load(): Promise<Shown> {
    const [own, linked, published] = await Promise.all([
      get<Variable[]>(`${this.base}/env`),
      get<Linked[]>(`${this.base}/dependencies/env`),
      get<Record<string, string>>(`${this.base}/exposed_env`),
    ]);
    return { own, linked, published: Object.entries(published).map(([name, value]) => ({ name, value })) };
  }

  protected view({ own, linked, published }: Shown): TemplateResult {
    const state = (part: Part, variables: Variable[]): FormState => ({
      type: this.saving === part ? 'saving' : 'loaded',
      validationMode: part === 'own' ? 'strict' : 'simple',
      variables,
    });
    const form = { name: shared.app(this.params.app ?? '')?.name ?? '', readonly: !shared.can('write') };
    return html`${variablesForm(state('own', own), {
      ...form,
      restart: shared.can('write'),
      save: found => void this.save('own', found),
      start: () => void this.restart(),
    })}
    ${this.isStale ? html`<p class="notice" role="status"><span>${w.restartToUse}</span><button class="button small" @click=${() => void this.restart()}>${w.restart}</button></p>` : nothing}
    ${
      linked.length
        ? linkedVariables(
            form.name,
            linked.map(each => ({ name: each.app_name, variables: each.env })),
          )
        : nothing
    }
    ${publishedForm(state('published', published), { ...form, save: found => void this.save('published', found) })}`;
  }

  private async save(part: Part, found: Variable[]): Promise<void> {
    if (!this.data) return;
    this.saving = part;
    this.data = { ...this.data, [part]: found };
    const path = part === 'own' ? 'env' : 'exposed_env';
    try {
      const body = Object.fromEntries(found.map(each => [each.name, each.value]));
      await call('PUT', `${this.base}/${path}`, body);
      if (part === 'own') this.isStale = true;
      say(w.saved);
    } catch (error) {
      say(reason(error), 'bad');
    } finally {
      this.saving = null;
    }
  }

  private async restart(): Promise<void> {
    this.isStale = !(await this.act(() => call('POST', `${this.base}/instances`), w.deploymentBegun));
  }
}

customElements.define('hv-environment', Environment);
