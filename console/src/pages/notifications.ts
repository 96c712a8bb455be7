/** Whom an organisation tells of what happens: addresses of the web, and of people. */
import { html, nothing, type TemplateResult } from 'lit';
import { since } from '../kit/since';
import { call, get } from '../kit/api';
import { icon } from '../kit/icons';
import { fields, Page } from '../kit/page';
import { badge, confirmed, panel } from '../kit/parts';
import { shared } from '../kit/state';
import { told, toldEvent } from '../kit/told';
import { w } from '../words';

interface Hook {
  id: string;
  name: string;
  events: string[] | null;
  scope: string[] | null;
  urls?: { format: string; url: string }[];
  notified?: { type: string; target?: string }[];
  createdAt: number;
  failures: number;
}

interface Delivery {
  id: number;
  to: string;
  state: string;
  tries: number;
  error: string;
  createdAt: number;
}

interface Shown {
  web: Hook[];
  mail: Hook[];
  events: string[];
  formats: string[];
}

class Notifications extends Page<Shown> {
  static override properties = { ...Page.properties, opened: { state: true } };
  declare opened: { id: string; found: Delivery[] } | null;

  constructor() {
    super();
    this.opened = null;
  }

  get heading(): string {
    return w.sections['hv-notifications'] ?? '';
  }

  protected async load(): Promise<Shown> {
    const owner = this.params.owner ?? '';
    const [web, mail, events, formats] = await Promise.all([
      get<Hook[]>(`/v2/notifications/webhooks/${owner}`),
      get<Hook[]>(`/v2/notifications/emailhooks/${owner}`),
      get<string[]>('/v2/notifications/info/events'),
      get<string[]>('/v2/notifications/info/webhookformats'),
    ]);
    return { web, mail, events, formats };
  }

  protected view({ web, mail, events, formats }: Shown): TemplateResult {
    const may = shared.can('write');
    const what = html`<label
      >${w.events}<select name="events">
        <option value="">${w.everything}</option>
        ${events.map(each => html`<option value=${each}>${toldEvent(each)}</option>`)}
      </select></label
    >`;
    return html`${panel(
      w.webhooks,
      html`${
        may
          ? html`<form class="grid" @submit=${this.addWeb}>
              <label>${w.name}<input name="name" autocomplete="off" /></label>
              <label
                >URL<input name="url" type="url" required placeholder="https://example.com/hook"
              /></label>
              <label
                >${w.format}<select name="format">
                  ${formats.map(each => html`<option>${each}</option>`)}
                </select></label
              >
              ${what}
              <div class="row end">
                <button class="button primary" ?disabled=${this.isBusy}>${icon('plus')} ${w.add}</button>
              </div>
            </form>`
          : nothing
      }
      ${this.list(web, 'webhooks', may)}`,
      { glyph: 'link' },
    )}
    ${panel(
      w.emailhooks,
      html`${
        may
          ? html`<form class="grid" @submit=${this.addMail}>
              <label>${w.name}<input name="name" autocomplete="off" /></label>
              <label
                >${w.emailAddress}<input name="target" type="email" placeholder=${w.everyMember}
              /></label>
              ${what}
              <div class="row end">
                <button class="button primary" ?disabled=${this.isBusy}>${icon('plus')} ${w.add}</button>
              </div>
            </form>`
          : nothing
      }
      ${this.list(mail, 'emailhooks', may)}`,
      { glyph: 'mail' },
    )}`;
  }

  private list(found: Hook[], kind: string, may: boolean): TemplateResult {
    if (!found.length) return html`<p class="soft">${w.nobodyTold}</p>`;
    return html`<ul class="rows names">
      ${found.map(each => {
        const to =
          each.urls?.map(url => url.url).join(', ') ??
          each.notified?.map(who => who.target ?? who.type).join(', ');
        return html`<li>
          <span class="name"
            ><strong>${each.name || to || w.everyMember}</strong>
            ${each.failures ? badge(w.failures(each.failures), 'bad') : badge(w.inOrder, 'good')}
            <span class="soft"
              >${to || w.everyMember} · ${each.events?.map(toldEvent).join(', ') ?? w.everything}</span
            >
            ${
              this.opened?.id === each.id
                ? html`<span class="deliveries"
                    >${this.opened.found.length ? this.opened.found.slice(0, 10).map(one => html`<span>${badge(w.sendings[one.state] ?? one.state, one.error ? 'bad' : 'good')} <span class="soft">${since(one.createdAt)} · ${one.to} ${told(one.error, 'sending')}</span></span>`) : html`<span class="soft">${w.nothingYet}</span>`}</span
                  >`
                : nothing
            }
          </span>
          <span class="row">
            <button class="button small" @click=${() => void this.deliveries(each, kind)}>
              ${w.deliveries}
            </button>
            ${may ? html`<button class="button small danger" aria-label="${w.remove}: ${each.name || to}" @click=${() => this.drop(each, kind)}>${icon('trash')} ${w.remove}</button>` : nothing}
          </span>
        </li>`;
      })}
    </ul>`;
  }

  private async deliveries(each: Hook, kind: string): Promise<void> {
    const path = `/v2/notifications/${kind}/${this.params.owner}/${each.id}/deliveries`;
    this.opened = this.opened?.id === each.id ? null : { id: each.id, found: await get<Delivery[]>(path) };
  }

  private addWeb(event: SubmitEvent): void {
    const { name, url, format, events } = fields(event);
    const body = { name: name || null, urls: [{ format, url }], events: events ? [events] : null };
    void this.act(() => call('POST', `/v2/notifications/webhooks/${this.params.owner}`, body), w.created);
  }

  private addMail(event: SubmitEvent): void {
    const { name, target, events } = fields(event);
    const notified = target ? [{ type: 'email', target }] : [{ type: 'organisation' }];
    const body = { name: name || null, notified, events: events ? [events] : null };
    void this.act(() => call('POST', `/v2/notifications/emailhooks/${this.params.owner}`, body), w.created);
  }

  private async drop(each: Hook, kind: string): Promise<void> {
    if (!(await confirmed(w.dropHook, w.remove))) return;
    void this.act(
      () => call('DELETE', `/v2/notifications/${kind}/${this.params.owner}/${each.id}`),
      w.removed,
    );
  }
}

customElements.define('hv-notifications', Notifications);
