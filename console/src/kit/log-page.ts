/** What pages of lines have in common: a range of time, live or between two moments, a filter, how many lines there are. */
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import type { Line, LogView } from '../cc/lines';
import { logView } from '../cc/logs';
import { w } from '../words';
import { choose, chosen } from './choices';
import { localMoment } from './format';
import { search } from './lists';
import { LogStream } from './log-stream';
import { fields, Page } from './page';
import { shared } from './state';

const HOUR_MS = 3_600_000;
const RANGES: Record<string, number> = { hour: HOUR_MS, day: 24 * HOUR_MS, week: 7 * 24 * HOUR_MS };
const LIVE = 'live';
const BETWEEN = 'between';

/** What a page asks of the API for its lines. */
export interface Source {
  path: string;
  name: string;
  line?: (found: never) => Line;
}

export abstract class LogPage<T> extends Page<T> {
  static override properties = {
    ...Page.properties,
    range: { state: true },
    from: { state: true },
    to: { state: true },
    wanted: { state: true },
    count: { state: true },
    isOpen: { state: true },
    isOver: { state: true },
  };
  declare range: string;
  declare from: string;
  declare to: string;
  declare wanted: string;
  declare count: number;
  declare isOpen: boolean;
  declare isOver: boolean;
  private stream: LogStream | null = null;
  private followed = '';

  /** Under what name the chosen range is kept; how far back a live view begins. */
  protected abstract readonly choice: string;
  protected abstract readonly liveBackMs: number;
  protected abstract source(): Source;
  /** What else the stream depends on: another value is another stream. */
  protected also(): string {
    return '';
  }

  constructor() {
    super();
    this.range = LIVE;
    this.from = this.to = this.wanted = '';
    this.count = 0;
    this.isOpen = this.isOver = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const kept = chosen(`${this.choice}.range`, LIVE);
    this.range = kept in RANGES || kept === BETWEEN ? kept : LIVE;
    const now = Date.now();
    this.from = chosen(`${this.choice}.from`, localMoment(now - HOUR_MS));
    this.to = chosen(`${this.choice}.to`, localMoment(now));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stream?.close();
    this.followed = '';
  }

  protected get isLive(): boolean {
    return this.range === LIVE;
  }

  /** The chosen range as the API takes it; a live one has no end. */
  protected bounds(): URLSearchParams {
    if (this.range === BETWEEN) {
      return new URLSearchParams({ since: iso(Date.parse(this.from)), until: iso(Date.parse(this.to)) });
    }
    const now = Date.now();
    const since = iso(now - (RANGES[this.range] ?? this.liveBackMs));
    return new URLSearchParams(this.isLive ? { since } : { since, until: iso(now) });
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    const view = this.querySelector<LogView>('cc-logs-control-beta');
    const moments = this.range === BETWEEN ? `${this.from} ${this.to}` : '';
    const wanted = [this.params.app, this.range, moments, this.also()].join(' ');
    if (!view || this.followed === wanted) return;
    this.followed = wanted;
    this.stream?.close();
    this.count = 0;
    this.isOpen = this.isOver = false;
    view.clear();
    const { path, name, line } = this.source();
    this.stream = new LogStream(path, {
      name,
      line,
      hand: lines => {
        this.count += lines.length;
        view.appendLogs(lines);
      },
      opened: () => (this.isOpen = true),
      over: () => (this.isOver = true),
      refused: error => {
        this.followed = ''; // when the page shows again, it asks again
        this.failed(error);
      },
    });
  }

  /** The way to choose, and the lines. */
  protected lines(options: {
    filter: string;
    told: string;
    waiting: string;
    none: string;
    renderers: Record<string, unknown>;
    also?: TemplateResult;
  }): TemplateResult {
    const condition = shared.app(this.params.app ?? '')?.condition;
    const why = condition && !['running', 'deploying'].includes(condition) ? w.conditionHints[condition] : '';
    const isKnown = this.isLive ? this.isOpen : this.isOver;
    const hint = `${this.isLive ? options.waiting : options.none} ${why}`;
    return html`<div class="toolbar">
        <div class="switch" role="group" aria-label=${w.range}>
          ${[LIVE, ...Object.keys(RANGES), BETWEEN].map(
            each =>
              html`<button aria-pressed=${this.range === each} @click=${() => this.setRange(each)}>
                ${each === LIVE ? html`<i class="pulse"></i>` : nothing}${w.ranges[each]}
              </button>`,
          )}
        </div>
        ${options.also ?? nothing} ${search(options.filter, this.wanted, value => (this.wanted = value))}
        <span class="soft num" role="status">${options.told}</span>
      </div>
      ${this.range === BETWEEN ? this.moments() : nothing}
      <section class="panel logs tall" aria-label=${this.heading}>
        ${logView({ follow: this.isLive, filter: this.wanted, renderers: options.renderers })}
        ${
          this.count
            ? nothing
            : isKnown
              ? html`<p class="soft over">${hint}</p>`
              : html`<p class="soft over" role="status" aria-label=${w.loading}>${w.loading}…</p>`
        }
      </section>`;
  }

  private moments(): TemplateResult {
    const field = (name: string, label: string, value: string): TemplateResult =>
      html`<label
        >${label}<input type="datetime-local" step="1" name=${name} required .value=${value} @input=${fit}
      /></label>`;
    return html`<form class="inline moments" aria-label=${w.ranges[BETWEEN]} @submit=${this.setMoments}>
      ${field('from', w.fromMoment, this.from)} ${field('to', w.toMoment, this.to)}
      <button class="button primary">${w.show}</button>
    </form>`;
  }

  private setMoments(event: SubmitEvent): void {
    const { from = '', to = '' } = fields(event);
    const last = (event.target as HTMLFormElement).elements.namedItem('to') as HTMLInputElement;
    if (Date.parse(from) >= Date.parse(to)) {
      last.setCustomValidity(w.momentsTurned);
      last.reportValidity();
      return;
    }
    [this.from, this.to] = [from, to];
    choose(`${this.choice}.from`, from);
    choose(`${this.choice}.to`, to);
    void this.look();
  }

  private setRange(range: string): void {
    this.range = range;
    choose(`${this.choice}.range`, range);
    void this.look();
  }
}

/** What is typed again may be right now. */
function fit(event: Event): void {
  const form = (event.target as HTMLInputElement).form;
  form?.querySelectorAll('input').forEach(each => each.setCustomValidity(''));
}

const iso = (at: number): string => new Date(at).toISOString();
