/** Who did what, from where, and whether it was allowed. */
import { html, nothing, type TemplateResult } from 'lit';
import { get } from '../kit/api';
import { icon } from '../kit/icons';
import { since } from '../kit/since';
import type { Change } from '../kit/live';
import { empty, Page } from '../kit/page';
import { badge } from '../kit/parts';
import { toldAction } from '../kit/told';
import { w } from '../words';

interface Entry {
  seq: number;
  at: number;
  actor_id: string | null;
  action: string;
  subject: string | null;
  source: string | null;
  result: string;
}

interface Member {
  member: { id: string; name: string };
}

const MORE = 200;
const MOST = 1000;

class Audit extends Page<{ entries: Entry[]; names: Map<string, string> }> {
  static override properties = { ...Page.properties, sought: { state: true }, limit: { state: true } };
  declare sought: string;
  declare limit: number;

  constructor() {
    super();
    this.sought = '';
    this.limit = MORE;
  }

  get heading(): string {
    return w.sections['hv-audit'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.ownerId !== null;
  }

  protected async load(): Promise<{ entries: Entry[]; names: Map<string, string> }> {
    const base = `/v2/organisations/${this.params.owner}`;
    const [entries, members] = await Promise.all([
      get<Entry[]>(`${base}/audit?limit=${this.limit}`),
      get<Member[]>(`${base}/members`),
    ]);
    return { entries, names: new Map(members.map(each => [each.member.id, each.member.name])) };
  }

  protected view({ entries, names }: { entries: Entry[]; names: Map<string, string> }): TemplateResult {
    if (!entries.length) return empty(w.nothingYet);
    const name = (each: Entry): string => names.get(each.actor_id ?? '') ?? each.actor_id ?? w.platform;
    const words = this.sought.toLowerCase().split(/\s+/).filter(Boolean);
    const found = entries.filter(each => {
      const text = [name(each), each.action, toldAction(each.action), each.subject, each.source, each.result]
        .join(' ')
        .toLowerCase();
      return words.every(word => text.includes(word));
    });
    return html`<label class="search"
        >${icon('search')}<span class="hidden">${w.search}</span
        ><input
          type="search"
          placeholder=${w.searchAudit}
          .value=${this.sought}
          @input=${(event: Event) => (this.sought = (event.target as HTMLInputElement).value)}
      /></label>
      ${found.length ? this.table(found, name) : empty(w.nothingFound)}
      ${entries.length >= this.limit && this.limit < MOST ? html`<div class="row"><button class="button" @click=${this.more}>${w.older}</button></div>` : nothing}`;
  }

  private more(): void {
    this.limit = Math.min(MOST, this.limit + MORE);
    void this.look();
  }

  private table(entries: Entry[], name: (each: Entry) => string): TemplateResult {
    return html`<div class="panel scroll" tabindex="0" role="region" aria-label=${this.heading}>
      <table>
        <thead>
          <tr>
            <th scope="col">${w.when}</th>
            <th scope="col">${w.who}</th>
            <th scope="col">${w.what}</th>
            <th scope="col">${w.about}</th>
            <th scope="col">${w.from}</th>
            <th scope="col">${w.result}</th>
          </tr>
        </thead>
        <tbody>
          ${entries.map(
            each =>
              html`<tr>
                <td>${since(each.at)}</td>
                <td>${name(each)}</td>
                <td><code title=${each.action}>${toldAction(each.action)}</code></td>
                <td class="wide"><code>${each.subject ?? ''}</code></td>
                <td>${each.source}</td>
                <td>${each.result === 'ok' ? badge(w.allowed, 'good') : badge(w.refused, 'bad')}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
  }
}

customElements.define('hv-audit', Audit);
