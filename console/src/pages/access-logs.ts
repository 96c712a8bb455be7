/** The requests that an application is asked, as they are answered. */
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { logView, type Line, type LogView } from '../cc/logs';
import { icon } from '../kit/icons';
import { LogStream } from '../kit/log-stream';
import { Page } from '../kit/page';
import { w } from '../words';

interface Access {
  id: string;
  date: string;
  bytesOut: number;
  source: { ip: string };
  http: {
    request: { host: string; method: string; path: string };
    response: { statusCode: number; time: string };
  };
}

const BACK_MS = 3_600_000;

class AccessLogs extends Page<true> {
  static override properties = { ...Page.properties, wanted: { state: true }, count: { state: true } };
  declare wanted: string;
  declare count: number;
  private stream: LogStream | null = null;
  private followed = '';

  constructor() {
    super();
    this.wanted = '';
    this.count = 0;
  }

  get heading(): string {
    return w.sections['hv-access-logs'] ?? '';
  }

  protected async load(): Promise<true> {
    return true;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stream?.close();
    this.followed = '';
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    const view = this.querySelector<LogView>('cc-logs-control-beta');
    if (!view || this.followed === this.params.app) return;
    this.followed = this.params.app ?? '';
    this.stream?.close();
    view.clear();
    this.count = 0;
    const since = new Date(Date.now() - BACK_MS).toISOString();
    const path = `/v4/accesslogs/organisations/${this.params.owner}/applications/${this.params.app}/accesslogs?since=${since}`;
    const hand = (lines: Line[]): void => {
      this.count += lines.length;
      view.appendLogs(lines);
    };
    this.stream = new LogStream(path, hand, shown as (found: never) => Line, 'ACCESS_LOG');
  }

  protected view(): TemplateResult {
    return html`<div class="toolbar">
        <label class="search"
          >${icon('search')}<span class="hidden">${w.search}</span>
          <input
            type="search"
            placeholder=${w.filterRequests}
            .value=${this.wanted}
            @input=${(event: InputEvent) => (this.wanted = (event.target as HTMLInputElement).value)}
        /></label>
        <span class="soft num" role="status">${w.requestsCount(this.count)}</span>
      </div>
      <section class="panel logs tall" aria-label=${this.heading}>
        ${logView({
          filter: this.wanted,
          renderers: {
            status: (each: { value: string }) => ({
              text: each.value,
              size: 4,
              intent:
                each.value < '3'
                  ? 'success'
                  : each.value < '4'
                    ? 'info'
                    : each.value < '5'
                      ? 'warning'
                      : 'danger',
            }),
            ip: { size: 16 },
          },
        })}
        ${this.count ? nothing : html`<p class="soft over">${w.waitingForRequests}</p>`}
      </section>`;
  }
}

function shown(found: Access): Line {
  const { request, response } = found.http;
  const ms = Number.parseFloat(response.time) * 1000;
  return {
    id: found.id,
    date: new Date(found.date),
    message: `${request.method} ${request.host}${request.path}  ${ms.toFixed(ms < 10 ? 1 : 0)} ms`,
    metadata: [
      { name: 'status', value: String(response.statusCode) },
      { name: 'ip', value: found.source.ip },
    ],
  };
}

customElements.define('hv-access-logs', AccessLogs);
