/** What an organisation is called; leaving it, or taking it away. */
import { html, nothing, type TemplateResult } from 'lit';
import { call } from '../kit/api';
import { icon } from '../kit/icons';
import { fields, Page } from '../kit/page';
import { confirmed, copyable, fact, panel } from '../kit/parts';
import { go } from '../kit/router';
import { shared } from '../kit/state';
import type { Overview } from '../kit/types';
import { w } from '../words';

class OrganisationPage extends Page<Overview> {
  get heading(): string {
    return w.sections['hv-organisation'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}`;
  }

  protected load(): Promise<Overview> {
    return shared.fresh(this.params.owner ?? '');
  }

  protected view(found: Overview): TemplateResult {
    const may = found.can.includes('admin');
    return html`${panel(
      w.information,
      html`<form class="inline" @submit=${this.save}>
          <label
            >${w.name}<input name="name" required maxlength="80" .value=${found.name} ?disabled=${!may}
          /></label>
          ${may ? html`<button class="button primary" ?disabled=${this.isBusy}>${w.save}</button>` : nothing}
        </form>
        <dl class="facts tight">
          ${fact(w.id, copyable(found.id))} ${fact(w.yourRole, w.roles[found.role] ?? found.role)}
        </dl>`,
      { glyph: 'settings' },
    )}
    ${
      found.isPersonal
        ? nothing
        : panel(
            w.danger,
            html`<div class="row end">
              <button class="button danger" @click=${() => void this.leave(found)}>${w.leave}</button>
              ${may ? html`<button class="button danger" @click=${() => void this.erase(found)}>${icon('trash')} ${w.deleteOrganisation}</button>` : nothing}
            </div>`,
            { glyph: 'alert' },
          )
    }`;
  }

  private save(event: SubmitEvent): void {
    const { name } = fields(event);
    void this.act(() => call('PUT', this.base, { name }), w.saved);
  }

  private async leave(found: Overview): Promise<void> {
    if (!(await confirmed(w.leaveQuestion(found.name), w.leave))) return;
    if (await this.act(() => call('DELETE', `${this.base}/members/${shared.me?.id}`), w.removed)) go('/');
  }

  private async erase(found: Overview): Promise<void> {
    if (!(await confirmed(w.deleteQuestion(found.name), w.deleteOrganisation, found.name))) return;
    if (await this.act(() => call('DELETE', this.base), w.removed)) go('/');
  }
}

customElements.define('hv-organisation', OrganisationPage);
