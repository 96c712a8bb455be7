/** What an application says: live or from a range of time, of some instances, with some words. */
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { logView, type LogView } from '../cc/logs';
import { get } from '../kit/api';
import { choose, chosen } from '../kit/choices';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { LogStream } from '../kit/log-stream';
import { Page } from '../kit/page';
import { w } from '../words';

interface Instance {
  id: string;
  name: string;
  index: number;
  state: string;
  deploymentId: string;
}

const RANGES: Record<string, number> = { live: 600_000, hour: 3_600_000, day: 86_400_000, week: 604_800_000 };

class Logs extends Page<Instance[]> {
  static override properties = {
    ...Page.properties,
    range: { state: true },
    instance: { state: true },
    wanted: { state: true },
    count: { state: true },
    isFollowed: { state: true },
  };
  declare range: string;
  declare instance: string;
  declare wanted: string;
  declare count: number;
  declare isFollowed: boolean;
  private stream: LogStream | null = null;
  private followed = '';

  constructor() {
    super();
    this.range = chosen('logs.range', 'live');
    this.instance = '';
    this.wanted = '';
    this.count = 0;
    this.isFollowed = true;
  }

  get heading(): string {
    return w.sections['hv-logs'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.subject === this.params.app;
  }

  protected load(): Promise<Instance[]> {
    const { owner, app } = this.params;
    const since = new Date(Date.now() - (RANGES[this.range] ?? 0)).toISOString();
    return get<Instance[]>(
      `/v4/orchestration/organisations/${owner}/applications/${app}/instances?since=${since}&limit=100`,
    );
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stream?.close();
    this.followed = '';
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    const view = this.querySelector<LogView>('cc-logs-control-beta');
    const wanted = [this.params.app, this.range, this.instance].join(' ');
    if (!view || this.followed === wanted) return;
    this.followed = wanted;
    this.stream?.close();
    this.count = 0;
    view.clear();
    const query = new URLSearchParams({
      since: new Date(Date.now() - (RANGES[this.range] ?? 600_000)).toISOString(),
    });
    if (this.range !== 'live') query.set('until', new Date().toISOString());
    if (this.instance) query.set('instanceId', this.instance);
    const path = `/v4/logs/organisations/${this.params.owner}/applications/${this.params.app}/logs?${query}`;
    this.stream = new LogStream(path, lines => {
      this.count += lines.length;
      view.appendLogs(lines);
    });
  }

  protected view(instances: Instance[]): TemplateResult {
    const names = new Map(instances.map(each => [each.id, each.name]));
    return html`<div class="toolbar">
        <div class="switch" role="group" aria-label=${w.range}>
          ${Object.keys(RANGES).map(
            each =>
              html`<button aria-pressed=${this.range === each} @click=${() => this.setRange(each)}>
                ${each === 'live' ? html`<i class="pulse"></i>` : nothing}${w.ranges[each]}
              </button>`,
          )}
        </div>
        <label class="select"
          ><span class="hidden">${w.instance}</span>
          <select @change=${(event: Event) => (this.instance = (event.target as HTMLSelectElement).value)}>
            <option value="">${w.allInstances}</option>
            ${instances.map(each => html`<option value=${each.id}>${each.name} · ${w.instanceStates[each.state] ?? each.state}</option>`)}
          </select></label
        >
        <label class="search"
          >${icon('search')}<span class="hidden">${w.search}</span>
          <input
            type="search"
            placeholder=${w.filterLines}
            .value=${this.wanted}
            @input=${(event: InputEvent) => (this.wanted = (event.target as HTMLInputElement).value)}
        /></label>
        <span class="soft num" role="status">${w.lines(this.count)}</span>
      </div>
      <section class="panel logs tall" aria-label=${this.heading}>
        ${logView({
          follow: this.range === 'live',
          filter: this.wanted,
          renderers: {
            instance: (each: { value: string }) => ({
              text: each.value ? (names.get(each.value) ?? w.buildWord) : w.platform,
              size: 14,
              intent: each.value ? 'info' : 'neutral',
            }),
            service: { hidden: true },
          },
        })}
        ${this.count ? nothing : html`<p class="soft over">${this.range === 'live' ? w.waitingForLines : w.noLines}</p>`}
      </section>`;
  }

  private setRange(range: string): void {
    this.range = range;
    choose('logs.range', range);
    void this.look();
  }
}

customElements.define('hv-logs', Logs);
