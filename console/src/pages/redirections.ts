/** Public TCP ports that lead to an application. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { confirmed, copyable, panel } from '../kit/parts';
import { shared } from '../kit/state';
import { w } from '../words';

interface Redirection {
  namespace: string;
  port: number;
}

interface Shown {
  found: Redirection[];
  namespaces: { namespace: string }[];
}

class Redirections extends Page<Shown> {
  get heading(): string {
    return w.sections['hv-redirections'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/applications/${this.params.app}/tcpRedirs`;
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('edge.redirection');
  }

  protected async load(): Promise<Shown> {
    const [found, namespaces] = await Promise.all([
      get<Redirection[]>(this.base),
      get<{ namespace: string }[]>(`/v2/organisations/${this.params.owner}/namespaces`),
    ]);
    return { found, namespaces };
  }

  protected view({ found, namespaces }: Shown): TemplateResult {
    const may = shared.can('write');
    return panel(
      w.openPorts,
      html`<p class="soft">${w.redirectionHint}</p>
        ${
          may
            ? html`<form class="inline" @submit=${this.add}>
                <label
                  >${w.namespace}<select name="namespace">
                    ${namespaces.map(each => html`<option>${each.namespace}</option>`)}
                  </select></label
                >
                <button class="button primary" ?disabled=${this.isBusy}>${icon('plus')} ${w.openPort}</button>
              </form>`
            : nothing
        }
        ${
          found.length
            ? html`<ul class="rows names">
                ${found.map(
                  each =>
                    html`<li>
                      <span class="name"
                        >${copyable(`${location.hostname}:${each.port}`)}<span class="soft"
                          >${each.namespace} → 4040</span
                        ></span
                      >
                      ${may ? html`<button class="button small danger" aria-label="${w.remove}: ${each.port}" @click=${() => this.drop(each)}>${icon('trash')} ${w.remove}</button>` : nothing}
                    </li>`,
                )}
              </ul>`
            : html`<p class="soft">${w.noRedirections}</p>`
        }`,
      { glyph: 'link' },
    );
  }

  private add(event: SubmitEvent): void {
    const { namespace } = fields(event);
    void this.act(() => call('POST', this.base, { namespace }), w.created);
  }

  private async drop(each: Redirection): Promise<void> {
    if (!(await confirmed(w.dropPort(each.port), w.remove))) return;
    const path = `${this.base}/${each.port}?namespace=${encodeURIComponent(each.namespace)}`;
    void this.act(() => call('DELETE', path), w.removed);
  }
}

customElements.define('hv-redirections', Redirections);
