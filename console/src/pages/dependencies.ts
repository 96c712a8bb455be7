/** Which applications an application needs, and which need it: what one publishes becomes the variables of the other. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { condition, confirmed, panel } from '../kit/parts';
import { shared } from '../kit/state';
import type { Application, Glance } from '../kit/types';
import { w } from '../words';

interface Shown {
  linked: Application[];
  dependents: Application[];
  others: Glance[];
}

class Dependencies extends Page<Shown> {
  get heading(): string {
    return w.sections['hv-dependencies'] ?? '';
  }

  private get app(): string {
    return `/v2/organisations/${this.params.owner}/applications/${this.params.app}`;
  }

  private get base(): string {
    return `${this.app}/dependencies`;
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('apps.link') || change.name.startsWith('apps.app');
  }

  protected async load(): Promise<Shown> {
    const [linked, dependents, overview] = await Promise.all([
      get<Application[]>(this.base),
      get<Application[]>(`${this.app}/dependents`),
      shared.fresh(this.params.owner ?? ''),
    ]);
    const known = new Set([this.params.app, ...linked.map(each => each.id)]);
    return { linked, dependents, others: overview.applications.filter(each => !known.has(each.id)) };
  }

  protected view({ linked, dependents, others }: Shown): TemplateResult {
    const may = shared.can('write');
    return html`${panel(
      w.needs,
      html`<p class="soft">${w.needsHint}</p>
        ${
          may && others.length
            ? html`<form class="inline" @submit=${this.add}>
                <label
                  >${w.application}<select name="id">
                    ${others.map(each => html`<option value=${each.id}>${each.name}</option>`)}
                  </select></label
                >
                <button class="button primary" ?disabled=${this.isBusy}>${icon('link')} ${w.link}</button>
              </form>`
            : nothing
        }
        ${
          linked.length
            ? html`<ul class="rows names">
                ${linked.map(
                  each =>
                    html`<li>
                      ${name(each)}
                      ${may ? html`<button class="button small danger" aria-label="${w.unlink}: ${each.name}" @click=${() => this.drop(each)}>${icon('cross')} ${w.unlink}</button>` : nothing}
                    </li>`,
                )}
              </ul>`
            : html`<p class="soft">${w.noDependencies}</p>`
        }`,
      { glyph: 'box' },
    )}
    ${panel(
      w.neededBy,
      dependents.length
        ? html`<p class="soft">${w.neededByHint}</p>
            <ul class="rows names">
              ${dependents.map(each => html`<li>${name(each)}</li>`)}
            </ul>`
        : html`<p class="soft">${w.noDependents}</p>`,
      { glyph: 'link' },
    )}`;
  }

  private add(event: SubmitEvent): void {
    const { id } = fields(event);
    void this.act(() => call('PUT', `${this.base}/${id}`), w.saved);
  }

  private async drop(each: Application): Promise<void> {
    if (await confirmed(w.unlinkQuestion(each.name), w.unlink)) {
      void this.act(() => call('DELETE', `${this.base}/${each.id}`), w.removed);
    }
  }
}

function name(each: Application): TemplateResult {
  const glance = shared.app(each.id);
  return html`<span class="name"
    ><a href="/organisations/${each.ownerId}/applications/${each.id}"><strong>${each.name}</strong></a>
    ${glance ? condition(glance.condition) : nothing}<span class="soft"
      >${each.instance.variant.name}</span
    ></span
  >`;
}

customElements.define('hv-dependencies', Dependencies);
