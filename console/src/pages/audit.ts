/** Who did what, from where, and whether it was allowed. */
import { html, type TemplateResult } from 'lit';
import { since } from '../kit/since';
import { get } from '../kit/api';
import type { Change } from '../kit/live';
import { empty, Page } from '../kit/page';
import { badge } from '../kit/parts';
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

class Audit extends Page<{ entries: Entry[]; names: Map<string, string> }> {
  get heading(): string {
    return w.sections['hv-audit'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.ownerId !== null;
  }

  protected async load(): Promise<{ entries: Entry[]; names: Map<string, string> }> {
    const base = `/v2/organisations/${this.params.owner}`;
    const [entries, members] = await Promise.all([
      get<Entry[]>(`${base}/audit?limit=200`),
      get<Member[]>(`${base}/members`),
    ]);
    return { entries, names: new Map(members.map(each => [each.member.id, each.member.name])) };
  }

  protected view({ entries, names }: { entries: Entry[]; names: Map<string, string> }): TemplateResult {
    if (!entries.length) return empty(w.nothingYet);
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
                <td>${names.get(each.actor_id ?? '') ?? each.actor_id ?? w.platform}</td>
                <td><code>${each.action}</code></td>
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
