/** API tokens: made once, shown once, revoked at any time. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { moment } from '../kit/format';
import { names, send, takeAway } from '../kit/lists';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { badge, confirmed, copyable, panel } from '../kit/parts';
import { shared } from '../kit/state';
import { w } from '../words';

interface Token {
  apiTokenId: string;
  name: string;
  description: string;
  ip: string;
  creationDate: string;
  expirationDate: string;
  state: 'ACTIVE' | 'EXPIRED';
}

const DAYS = [7, 30, 90, 365];

class Tokens extends Page<Token[]> {
  static override properties = { ...Page.properties, made: { state: true } };
  declare made: string;

  constructor() {
    super();
    this.made = '';
  }

  get heading(): string {
    return w.sections['hv-tokens'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('governance.api_token');
  }

  protected load(): Promise<Token[]> {
    return get<Token[]>('/api-tokens');
  }

  protected view(found: Token[]): TemplateResult {
    const hasCode = shared.me?.preferredMFA !== 'NONE';
    return html`${
      this.made
        ? html`<div class="notice good" role="status">
            <span><strong>${w.tokenMade}</strong> ${w.tokenOnce}<br />${copyable(this.made)}</span>
          </div>`
        : nothing
    }
    ${panel(
      w.newToken,
      html`<form class="grid" @submit=${this.create}>
        <label>${w.name}<input name="name" required maxlength="120" autocomplete="off" /></label>
        <label
          >${w.lasts}<select name="days">
            ${DAYS.map(each => html`<option value=${each} ?selected=${each === 30}>${w.days(each)}</option>`)}
          </select></label
        >
        <label
          >${w.password}<input name="password" type="password" required autocomplete="current-password"
        /></label>
        ${hasCode ? html`<label>${w.code}<input name="code" inputmode="numeric" autocomplete="one-time-code" required /></label>` : nothing}
        ${send(w.create, this.isBusy)}
      </form>`,
      { glyph: 'key' },
    )}
    ${panel(
      w.sections['hv-tokens'] ?? '',
      names(found, w.noTokens, each => ({
        name: html`<strong>${each.name}</strong>
          ${badge(w.tokenStates[each.state] ?? each.state, each.state === 'ACTIVE' ? 'good' : 'idle')}`,
        about: html`${w.until(moment(each.expirationDate))} · ${each.ip}`,
        aside: takeAway(w.revoke, each.name, () => this.revoke(each)),
      })),
      { glyph: 'list' },
    )}`;
  }

  private async create(event: SubmitEvent): Promise<void> {
    const { name, days, password, code } = fields(event);
    const form = event.target as HTMLFormElement;
    const expirationDate = new Date(Date.now() + Number(days) * 86_400_000).toISOString();
    const body = { email: shared.me?.email, password, mfaCode: code || undefined, name, expirationDate };
    const done = await this.act(async () => {
      this.made = (await call<{ apiToken: string }>('POST', '/api-tokens', body)).apiToken;
    }, w.created);
    if (done) form.reset();
  }

  private async revoke(each: Token): Promise<void> {
    if (!(await confirmed(w.revokeQuestion(each.name), w.revoke))) return;
    void this.act(() => call('DELETE', `/api-tokens/${each.apiTokenId}`), w.removed);
  }
}

customElements.define('hv-tokens', Tokens);
