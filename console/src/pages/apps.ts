/** An organisation's applications: the state of each at a glance, and a search. */
import { html, nothing, type TemplateResult } from 'lit';
import { since } from '../kit/since';
import { short } from '../kit/format';
import { icon } from '../kit/icons';
import { search } from '../kit/lists';
import type { Change } from '../kit/live';
import { empty, Page } from '../kit/page';
import { badge, condition } from '../kit/parts';
import { shared } from '../kit/state';
import type { Glance, Overview } from '../kit/types';
import { w } from '../words';

class Apps extends Page<Overview> {
  static override properties = { ...Page.properties, wanted: { state: true } };
  declare wanted: string;

  constructor() {
    super();
    this.wanted = '';
  }

  get heading(): string {
    return this.data?.name ?? w.sections['hv-apps'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.ownerId === this.data?.id || change.name.startsWith('governance.');
  }

  protected load(): Promise<Overview> {
    return shared.fresh(this.params.owner ?? '');
  }

  protected override actions(): TemplateResult | typeof nothing {
    if (!this.data) return nothing;
    return html`<div class="row">
      ${badge(w.roles[this.data.role] ?? this.data.role)}
      ${
        this.data.can.includes('write')
          ? html`<a class="button primary" href="/organisations/${this.data.id}/applications/new"
              >${icon('plus')} ${w.newApplication}</a
            >`
          : nothing
      }
    </div>`;
  }

  protected view(found: Overview): TemplateResult {
    if (!found.applications.length) {
      const action = found.can.includes('write')
        ? html`<a class="button primary" href="/organisations/${found.id}/applications/new"
            >${icon('plus')} ${w.newApplication}</a
          >`
        : nothing;
      return empty(w.noApplications, w.noApplicationsHint, action);
    }
    const words = this.wanted.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (each: Glance): string =>
      [
        each.name,
        each.id,
        each.kindName,
        each.condition,
        w.conditions[each.condition],
        each.url,
        ...each.tags,
      ]
        .join(' ')
        .toLowerCase();
    const shown = found.applications.filter(each => words.every(word => text(each).includes(word)));
    return html`<div class="row between">
        ${search(w.searchApplications, this.wanted, value => (this.wanted = value))}
        <span class="soft" role="status">${w.shownOf(shown.length, found.applications.length)}</span>
      </div>
      ${
        shown.length
          ? html`<ul class="rows apps">
              ${shown.map(each => row(found.id, each))}
            </ul>`
          : empty(w.nothingFound, w.nothingFoundHint)
      }`;
  }
}

function row(owner: string, each: Glance): TemplateResult {
  const count = Object.entries(each.instances)
    .map(([flavor, n]) => `${n} × ${flavor}`)
    .join(' + ');
  const last = each.deployment;
  return html`<li>
    <a href="/organisations/${owner}/applications/${each.id}">
      <span class="name"><strong>${each.name}</strong><span class="soft">${each.kindName}</span></span>
      <span>${condition(each.condition)}</span>
      <span class="soft num">${count || '–'}</span>
      <span class="soft when">
        ${last ? html`<code>${short(last.commit) || '–'}</code> ${since(last.startedAt)}` : w.never}
      </span>
      <span class="tags">${each.tags.map(tag => html`<em>${tag}</em>`)}</span>
    </a>
    ${each.url ? html`<a class="bare" href=${each.url} target="_blank" rel="noopener" aria-label=${w.openApp(each.name)} title=${w.openApp(each.name)}>${icon('external')}</a>` : html`<span></span>`}
  </li>`;
}

customElements.define('hv-apps', Apps);
