/** The organisations of a person, and what runs in each. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { badge } from '../kit/parts';
import { go } from '../kit/router';
import { shared } from '../kit/state';
import type { Glance, Organisation, Overview } from '../kit/types';
import { w } from '../words';

class Home extends Page<Overview[]> {
  get heading(): string {
    return w.sections['hv-home'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return /^(apps|governance\.(owner|member))/.test(change.name);
  }

  protected async load(): Promise<Overview[]> {
    const owners = await get<Organisation[]>('/v2/organisations');
    return Promise.all(owners.map(each => get<Overview>(`/v2/organisations/${each.id}/overview`)));
  }

  protected override actions(): TemplateResult {
    return html`<details class="menu right">
      <summary class="button">${icon('plus')} ${w.newOrganisation}</summary>
      <form class="sheet" @submit=${this.create}>
        <label>${w.name}<input name="name" required maxlength="80" /></label>
        <button class="button primary">${w.create}</button>
      </form>
    </details>`;
  }

  protected view(found: Overview[]): TemplateResult {
    const isQuiet = found.every(each => !each.applications.length);
    return html`${isQuiet ? html`<p class="soft">${w.nothingRuns}</p>` : nothing}
      <ul class="cards">
        ${found.map(
          each =>
            html`<li>
              <a class="card" href="/organisations/${each.id}">
                <span class="card-head"
                  ><strong>${each.name}</strong
                  >${badge(each.isPersonal ? w.personal : (w.roles[each.role] ?? each.role))}</span
                >
                <span class="soft">${w.applications(each.applications.length)}</span>
                <span class="counts">${counts(each.applications)}</span>
              </a>
            </li>`,
        )}
      </ul>`;
  }

  private async create(event: SubmitEvent): Promise<void> {
    const { name } = fields(event);
    await this.act(async () => {
      const made = await call<Organisation>('POST', '/v2/organisations', { name });
      await shared.fresh(made.id);
      go(`/organisations/${made.id}`);
    }, w.created);
  }
}

function counts(apps: Glance[]): unknown {
  const of = (name: string): number => apps.filter(each => each.condition === name).length;
  const shown = (['running', 'deploying', 'failed', 'asleep', 'stopped'] as const).filter(
    name => of(name) > 0,
  );
  const tones = { running: 'good', deploying: 'busy', failed: 'bad', asleep: 'idle', stopped: 'idle' };
  return shown.length
    ? shown.map(name => badge(`${of(name)} ${w.conditions[name].toLowerCase()}`, tones[name]))
    : nothing;
}

customElements.define('hv-home', Home);
