/** An application: what it is, what runs of it, what it was asked and what it uses. */
import { html, nothing, type TemplateResult } from 'lit';
import { since } from '../kit/since';
import { call, get } from '../kit/api';
import { choose, chosen } from '../kit/choices';
import { Counting } from '../kit/counting';
import { ago, bytes, number, short, took } from '../kit/format';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { Page, waiting } from '../kit/page';
import {
  area,
  bars,
  condition,
  confirmed,
  copyable,
  deploymentState,
  fact,
  panel,
  type Measured,
} from '../kit/parts';
import { pushCommands } from '../kit/push';
import { shared } from '../kit/state';
import type { Application, Glance, LastDeployment, RequestSpan, Series, Usage } from '../kit/types';
import { w } from '../words';

interface Shown {
  app: Application;
  glance: Glance;
  recent: LastDeployment[];
  usage: Usage[];
}

interface Figures {
  requests: RequestSpan[];
  metrics: Series[];
}

const FIGURES_MS = 60_000; // how often what an application used is kept
/** How much of the past is drawn, and of how many minutes a point is. */
const RANGES: Record<string, { ms: number; interval: string; minutes: number }> = {
  hour: { ms: 3_600_000, interval: 'PT1H', minutes: 1 },
  day: { ms: 86_400_000, interval: 'P1D', minutes: 5 },
  week: { ms: 604_800_000, interval: 'P7D', minutes: 30 },
};

class OverviewPage extends Page<Shown> {
  static override properties = { ...Page.properties, figures: { state: true }, range: { state: true } };
  declare figures: Figures | undefined;
  declare range: string;
  private timer = 0;
  private counting: Counting | null = null;

  constructor() {
    super();
    const kept = chosen('overview.range', 'day');
    this.range = kept in RANGES ? kept : 'day';
  }

  get heading(): string {
    return this.data?.app.name ?? shared.app(this.params?.app ?? '')?.name ?? w.sections['hv-overview'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/applications/${this.params.app}`;
  }

  protected override wakes(change: Change): boolean {
    return change.subject === this.params.app;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = window.setInterval(() => void this.lookAtFigures(), FIGURES_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.clearInterval(this.timer);
    this.counting?.close();
  }

  protected override willUpdate(changed: Map<string, unknown>): void {
    super.willUpdate(changed);
    if (changed.has('params')) this.count();
  }

  /** What it is asked and what its instances use: told by the platform while this page is looked at. */
  private count(): void {
    this.counting?.close();
    const stats = `/v4/stats/organisations/${this.params.owner}/resources/${this.params.app}`;
    this.counting = new Counting(`${stats}/live?interval=P1D&span=PT30M`, {
      requests: requests => {
        if (this.figures) this.figures = { ...this.figures, requests };
      },
      usage: usage => {
        if (this.data) this.data = { ...this.data, usage };
      },
    });
  }

  protected async load(): Promise<Shown> {
    const [app, overview, recent, usage] = await Promise.all([
      get<Application>(this.base),
      shared.fresh(this.params.owner ?? ''),
      get<DeploymentRow[]>(`${this.base}/deployments?limit=4`),
      get<Usage[]>(`${this.base}/usage`),
    ]);
    const glance = overview.applications.find(each => each.id === app.id);
    if (!glance) throw new Error(w.notFound);
    void this.lookAtFigures();
    return { app, glance, recent: recent.map(last), usage };
  }

  private async lookAtFigures(): Promise<void> {
    const stats = `/v4/stats/organisations/${this.params.owner}/resources/${this.params.app}`;
    const { interval, minutes } = this.past;
    try {
      const [requests, metrics] = await Promise.all([
        get<RequestSpan[]>(`${stats}/requests?interval=P1D&span=PT30M`),
        get<Series[]>(`${stats}/metrics?interval=${interval}&span=PT${minutes}M`),
      ]);
      if (interval === this.past.interval) this.figures = { requests, metrics };
    } catch {
      return; // the frame says that nobody answers
    }
  }

  protected override actions(): TemplateResult | typeof nothing {
    const glance = this.data?.glance;
    if (!glance || !shared.can('write')) return nothing;
    const isUp =
      ['running', 'asleep'].includes(glance.condition) ||
      (glance.condition === 'deploying' && Object.keys(glance.instances).length > 0);
    if (glance.condition === 'never deployed') return nothing;
    return html`<div class="row">
      ${
        glance.condition === 'deploying' && glance.deployment
          ? html`<button class="button" @click=${() => this.cancel(glance.deployment?.id ?? '')}>
              ${icon('cross')} ${w.cancelDeployment}
            </button>`
          : nothing
      }
      ${
        isUp
          ? html`<details class="menu right">
                <summary class="button">${icon('restart')} ${w.restart}</summary>
                <div class="sheet">
                  <button @click=${() => this.start('useCache=yes')}>
                    ${w.restart}<small>${w.restartHint}</small>
                  </button>
                  <button @click=${() => this.start('useCache=no')}>
                    ${w.rebuild}<small>${w.rebuildHint}</small>
                  </button>
                </div>
              </details>
              <button class="button danger" @click=${this.halt}>${icon('stop')} ${w.stop}</button>`
          : glance.condition === 'deploying'
            ? nothing
            : html`<button class="button primary" @click=${() => this.start('useCache=yes')}>
                ${icon('play')} ${w.start}
              </button>`
      }
    </div>`;
  }

  private start(query: string): void {
    void this.act(() => call('POST', `${this.base}/instances?${query}`), w.deploymentBegun);
  }

  private cancel(id: string): void {
    void this.act(() => call('DELETE', `${this.base}/deployments/${id}/instances`), w.cancelling);
  }

  private async halt(): Promise<void> {
    if (!(await confirmed(w.stopQuestion(this.heading), w.stop))) return;
    void this.act(() => call('DELETE', `${this.base}/instances`), w.stopping);
  }

  protected view({ app, glance, recent, usage }: Shown): TemplateResult {
    return html`<dl class="facts panel">
        ${fact(w.state, condition(glance.condition))} ${fact(w.kind, glance.kindName)}
        ${fact(w.address, glance.url ? html`<a href=${glance.url} target="_blank" rel="noopener">${glance.url.replace('https://', '').replace(/\/$/, '')} ${icon('external')}</a>` : '–')}
        ${fact(w.commit, app.commitId ? copyable(app.commitId, short(app.commitId)) : '–')}
        ${fact(w.id, copyable(app.id, `${app.id.slice(0, 12)}…`))}
      </dl>
      ${glance.condition === 'never deployed' ? panel(w.pushIt, pushCommands(app, shared.can('write')), { glyph: 'box' }) : nothing}
      <div class="tiles">
        ${panel(w.instances, this.instances(glance, usage), { glyph: 'box' })}
        ${panel(w.lastDeployments, this.deployments(recent), { glyph: 'activity', aside: html`<a href="/organisations/${app.ownerId}/applications/${app.id}/activity">${w.all}</a>` })}
        ${panel(w.sections['hv-scalability'] ?? '', this.scale(app), { glyph: 'scale', aside: html`<a href="/organisations/${app.ownerId}/applications/${app.id}/scalability">${w.change}</a>` })}
        ${this.figures ? this.charts(this.figures) : panel(w.requests, waiting(), { glyph: 'globe' })}
      </div>`;
  }

  private instances(glance: Glance, usage: Usage[]): TemplateResult {
    if (!usage.length) return html`<p class="soft">${w.conditionHints[glance.condition]}</p>`;
    return html`<ul class="plain">
      ${usage.map(
        each =>
          html`<li class="instance">
            <span class="badge ${each.state === 'UP' ? 'good' : each.state === 'DEPLOYING' ? 'busy' : 'idle'}"
              ><i></i>${each.name}</span
            >
            <span class="pill">${each.flavor}</span>
            <span class="soft"
              >${each.state === 'UP' ? w.since(ago(each.since)) : (w.instanceStates[each.state] ?? each.state)}</span
            >
            ${
              each.memoryBytes === null
                ? nothing
                : html`<span
                    class="meter"
                    title="${bytes(each.memoryBytes)} / ${bytes(each.memoryLimitBytes)}"
                    ><meter
                      aria-label=${w.memory}
                      min="0"
                      max=${each.memoryLimitBytes}
                      high=${each.memoryLimitBytes * 0.85}
                      value=${each.memoryBytes}
                    ></meter
                    ><span class="soft">${bytes(each.memoryBytes)}</span></span
                  >`
            }
          </li>`,
      )}
    </ul>`;
  }

  private deployments(recent: LastDeployment[]): TemplateResult {
    if (!recent.length) return html`<p class="soft">${w.never}</p>`;
    const base = `/organisations/${this.params.owner}/applications/${this.params.app}/deployments`;
    return html`<ul class="plain">
      ${recent.map(
        each =>
          html`<li>
            <a class="deployment" href="${base}/${each.id}">
              ${deploymentState(each.state)}<span
                >${w.actions[each.action] ?? each.action} <code>${short(each.commit)}</code></span
              >
              <span class="soft"
                >${since(each.startedAt)}${each.endedAt ? ` · ${took(each.endedAt - each.startedAt)}` : ''}</span
              >
            </a>
          </li>`,
      )}
    </ul>`;
  }

  private scale(app: Application): TemplateResult {
    const { minInstances: least, maxInstances: most, minFlavor, maxFlavor } = app.instance;
    const sizes =
      minFlavor.name === maxFlavor.name ? minFlavor.name : `${minFlavor.name} – ${maxFlavor.name}`;
    return html`<dl class="facts tight">
      ${fact(w.flavor, sizes)} ${fact(w.instances, least === most ? String(least) : `${least} – ${most}`)}
      ${fact(w.scaling, least === most && minFlavor.name === maxFlavor.name ? w.fixed : w.automatic)}
    </dl>`;
  }

  private charts({ requests, metrics }: Figures): TemplateResult[] {
    const total = requests.reduce((sum, each) => sum + each.count, 0);
    const classes = ['2', '3', '4', '5'];
    const of = (each: RequestSpan, first: string): number =>
      Object.entries(each.statusCodes).reduce(
        (sum, [code, count]) => sum + (code.startsWith(first) ? count : 0),
        0,
      );
    const spans = requests.map(each => ({
      at: each.at,
      parts: classes.map(first => ({ value: of(each, first), tone: `s${first}` })),
    }));
    const sums = classes.map(first => ({
      first,
      sum: requests.reduce((sum, each) => sum + of(each, first), 0),
    }));
    const codes = Object.entries(
      requests.reduce<Record<string, number>>((all, each) => {
        for (const [code, count] of Object.entries(each.statusCodes)) all[code] = (all[code] ?? 0) + count;
        return all;
      }, {}),
    ).sort((a, b) => b[1] - a[1]);
    return [
      panel(
        w.requests,
        html`<p class="figure">${number(total)} <small>${w.lastDay}</small></p>
          ${bars(spans, w.requestsTold(total))}`,
        { glyph: 'globe' },
      ),
      panel(
        w.statusCodes,
        total
          ? html`<div
                class="share"
                role="img"
                aria-label=${sums.map(each => `${each.first}xx: ${each.sum}`).join(', ')}
              >
                ${sums.filter(each => each.sum).map(each => html`<i class="s${each.first}" style="flex-grow:${each.sum}"></i>`)}
              </div>
              <dl class="codes">
                ${codes.slice(0, 6).map(
                  ([code, count]) =>
                    html`<div>
                      <dt class="s${code[0]}">${code}</dt>
                      <dd>${number(count)}</dd>
                    </div>`,
                )}
              </dl>`
          : html`<p class="soft">${w.noRequests}</p>`,
        { glyph: 'check' },
      ),
      ...metrics.map((each, index) => this.metric(each, index === 0)),
    ];
  }

  private get past(): { ms: number; interval: string; minutes: number } {
    return RANGES[this.range] ?? { ms: 86_400_000, interval: 'P1D', minutes: 5 };
  }

  private setRange(range: string): void {
    this.range = range;
    choose('overview.range', range);
    void this.lookAtFigures();
  }

  /** hasRange: the first of them has the buttons for all. */
  private metric(found: Series, hasRange: boolean): TemplateResult {
    const points = found.data.map(each => ({ at: each.timestamp / 1000, value: Number(each.value) }));
    const title = found.name === 'cpu' ? w.cpuTitle : w.memory;
    const now = points.at(-1)?.value;
    const to = Date.now();
    const { ms, minutes } = this.past;
    const aside = html`<div class="switch small" role="group" aria-label=${w.figuresRange}>
      ${Object.keys(RANGES).map(
        each =>
          html`<button aria-pressed=${this.range === each} @click=${() => this.setRange(each)}>
            ${w.ranges[each]}
          </button>`,
      )}
    </div>`;
    return panel(
      title,
      now === undefined
        ? html`<p class="soft">${w.noFigures}</p>`
        : html`<p class="figure">${number(now, 1)} % <small>${w.ofTheFlavor}</small></p>
            ${area(points, {
              from: to - ms,
              to,
              gapMs: minutes * 150_000,
              told: w.figuresTold(title, w.ranges[this.range] ?? '', number(now, 1), number(most(points), 1)),
              tone: found.name,
            })}`,
      { glyph: 'gauge', aside: hasRange ? aside : nothing },
    );
  }
}

const most = (points: Measured[]): number => Math.max(...points.map(each => each.value));

interface DeploymentRow {
  id: number;
  uuid: string;
  date: number;
  state: LastDeployment['state'];
  action: string;
  commit: string | null;
  cause: string;
  author: { name: string };
  endedAt?: number | null;
  error?: string;
}

function last(row: DeploymentRow): LastDeployment {
  return {
    id: row.uuid,
    number: row.id,
    state: row.state,
    action: row.action,
    commit: row.commit,
    author: row.author.name,
    cause: row.cause,
    startedAt: row.date,
    endedAt: row.endedAt ?? null,
    error: row.error ?? '',
  };
}

customElements.define('hv-overview', OverviewPage);
