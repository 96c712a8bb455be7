/** Where an application's lines are sent besides. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { number } from '../kit/format';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { say } from '../kit/toasts';
import { fields, Page, reason } from '../kit/page';
import { badge, confirmed, panel } from '../kit/parts';
import { shared } from '../kit/state';
import { told } from '../kit/told';
import { w } from '../words';

interface Drain {
  id: string;
  kind: string;
  recipient: Record<string, string>;
  status: { status: string };
  execution: { status: string; lastError: string | null };
  backlog: { msgBacklog: number };
}

const KINDS: Record<string, string[]> = {
  RAW_HTTP: ['url', 'username', 'password'],
  SYSLOG_TCP: ['url', 'rfc5424StructuredDataParameters'],
  SYSLOG_UDP: ['url', 'rfc5424StructuredDataParameters'],
  ELASTICSEARCH: ['url', 'username', 'password', 'indexPrefix'],
  DATADOG: ['url'],
  NEWRELIC: ['url', 'apiKey'],
  OVH_TCP: ['url', 'rfc5424StructuredDataParameters'],
};

class Drains extends Page<Drain[]> {
  static override properties = { ...Page.properties, kind: { state: true } };
  declare kind: string;

  constructor() {
    super();
    this.kind = 'RAW_HTTP';
  }

  get heading(): string {
    return w.sections['hv-drains'] ?? '';
  }

  private get base(): string {
    return `/v4/drains/organisations/${this.params.owner}/applications/${this.params.app}/drains`;
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('observe.drain');
  }

  protected load(): Promise<Drain[]> {
    return get<Drain[]>(this.base);
  }

  protected view(found: Drain[]): TemplateResult {
    const may = shared.can('write');
    return html`${
      may
        ? panel(
            w.newDrain,
            html`<form class="grid" @submit=${this.add}>
              <label
                >${w.kind}<select
                  name="type"
                  @change=${(event: Event) => (this.kind = (event.target as HTMLSelectElement).value)}
                >
                  ${Object.keys(KINDS).map(each => html`<option ?selected=${each === this.kind}>${each}</option>`)}
                </select></label
              >
              ${(KINDS[this.kind] ?? []).map(
                each =>
                  html`<label
                    >${w.drainFields[each] ?? each}<input
                      name=${each}
                      ?required=${each === 'url'}
                      autocomplete="off"
                      type=${/password|Key/.test(each) ? 'password' : 'text'}
                      placeholder=${each === 'url' ? (this.kind.includes('TCP') ? 'tcp://logs.example.com:6514' : this.kind.includes('UDP') ? 'udp://logs.example.com:514' : 'https://logs.example.com/') : ''}
                  /></label>`,
              )}
              <div class="row end">
                <button class="button primary" ?disabled=${this.isBusy}>${icon('plus')} ${w.add}</button>
              </div>
            </form>`,
            { glyph: 'wave' },
          )
        : nothing
    }
    ${panel(
      w.sections['hv-drains'] ?? '',
      found.length
        ? html`<ul class="rows names">
            ${found.map(each => this.row(each, may))}
          </ul>`
        : html`<p class="soft">${w.noDrains}</p>`,
      { glyph: 'list' },
    )}`;
  }

  private row(each: Drain, may: boolean): TemplateResult {
    const isOn = each.status.status === 'ENABLED';
    return html`<li>
      <span class="name">
        <strong>${each.recipient.url ?? each.recipient.type}</strong>
        ${badge(w.runs[each.execution.status] ?? each.execution.status, each.execution.lastError ? 'bad' : isOn ? 'good' : 'idle')}
        <span class="soft">${each.recipient.type} · ${w.waitingLines(number(each.backlog.msgBacklog))}</span>
        ${each.execution.lastError ? html`<span class="soft bad">${told(each.execution.lastError, 'sending')}</span>` : nothing}
      </span>
      ${
        may
          ? html`<span class="row">
              <button class="button small" @click=${() => void this.check(each)}>${w.check}</button>
              <button class="button small" @click=${() => this.toggle(each, !isOn)}>
                ${isOn ? w.disable : w.enable}
              </button>
              <button
                class="button small danger"
                aria-label="${w.remove}: ${each.recipient.url}"
                @click=${() => this.drop(each)}
              >
                ${icon('trash')} ${w.remove}
              </button>
            </span>`
          : nothing
      }
    </li>`;
  }

  private add(event: SubmitEvent): void {
    const recipient = Object.fromEntries(Object.entries(fields(event)).filter(([, value]) => value !== ''));
    void this.act(() => call('POST', this.base, { kind: 'LOG', recipient }), w.created);
  }

  private async check(each: Drain): Promise<void> {
    try {
      const found = await call<{ ok: boolean; message: string }>('POST', `${this.base}/${each.id}/check`);
      say(told(found.message, 'sending'), found.ok ? 'good' : 'bad');
    } catch (error) {
      say(reason(error), 'bad');
    }
  }

  private toggle(each: Drain, isOn: boolean): void {
    void this.act(() => call('PUT', `${this.base}/${each.id}/${isOn ? 'enable' : 'disable'}`), w.saved);
  }

  private async drop(each: Drain): Promise<void> {
    if (!(await confirmed(w.dropDrain, w.remove))) return;
    void this.act(() => call('DELETE', `${this.base}/${each.id}`), w.removed);
  }
}

customElements.define('hv-drains', Drains);
