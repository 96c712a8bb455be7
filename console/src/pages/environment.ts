/** The variables of an application, those that others give it, and what it publishes. */
import { html, nothing, type TemplateResult } from 'lit';
import { publishedForm, variablesForm, type FormState, type Variable } from '../cc/environment';
import { say } from '../cc/core';
import { call, get } from '../kit/api';
import type { Change } from '../kit/live';
import { Page, reason } from '../kit/page';
import { panel } from '../kit/parts';
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
}

class Environment extends Page<Shown> {
  static override properties = { ...Page.properties, isSaving: { state: true }, isStale: { state: true } };
  declare isSaving: boolean;
  declare isStale: boolean;

  constructor() {
    super();
    this.isSaving = false;
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
    const [own, linked] = await Promise.all([
      get<Variable[]>(`${this.base}/env`),
      get<Linked[]>(`${this.base}/dependencies/env`),
    ]);
    return { own, linked };
  }

  protected view({ own, linked }: Shown): TemplateResult {
    const state: FormState = {
      type: this.isSaving ? 'saving' : 'loaded',
      validationMode: 'strict',
      variables: own,
    };
    return html`${variablesForm(state, {
      name: shared.app(this.params.app ?? '')?.name ?? '',
      restart: shared.can('write'),
      readonly: !shared.can('write'),
      save: found => void this.save(found),
      start: () => void this.restart(),
    })}
    ${this.isStale ? html`<p class="notice" role="status"><span>${w.restartToUse}</span><button class="button small" @click=${() => void this.restart()}>${w.restart}</button></p>` : nothing}
    ${linked.map(each =>
      panel(
        w.variablesFrom(each.app_name),
        each.env.length
          ? html`<dl class="variables">
              ${each.env.map(
                found =>
                  html`<div>
                    <dt><code>${found.name}</code></dt>
                    <dd><code>${found.value}</code></dd>
                  </div>`,
              )}
            </dl>`
          : html`<p class="soft">${w.nothingPublished}</p>`,
      ),
    )}
    ${publishedForm()}`;
  }

  private async save(found: Variable[]): Promise<void> {
    if (!this.data) return;
    this.isSaving = true;
    const before = this.data;
    this.data = { ...before, own: found };
    try {
      await call('PUT', `${this.base}/env`, Object.fromEntries(found.map(each => [each.name, each.value])));
      this.isStale = true;
      say(w.saved);
    } catch (error) {
      say(reason(error), 'danger');
    } finally {
      this.isSaving = false;
    }
  }

  private async restart(): Promise<void> {
    this.isStale = !(await this.act(() => call('POST', `${this.base}/instances`), w.deploymentBegun));
  }
}

customElements.define('hv-environment', Environment);
