/** What was done to an application: each deployment with its steps as they happen, and its build log beside it. */
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { say } from '../kit/toasts';
import { linesView, type LogView } from '../cc/lines';
import { call, get } from '../kit/api';
import { ago, moment, short, took } from '../kit/format';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { LogStream } from '../kit/log-stream';
import { empty, Page, reason, waiting } from '../kit/page';
import { deploymentState } from '../kit/parts';
import { go } from '../kit/router';
import { shared } from '../kit/state';
import { stepsList, type Outcome } from '../kit/steps';
import type { LastDeployment, Progress } from '../kit/types';
import { told } from '../kit/told';
import { w } from '../words';

interface Row extends Omit<LastDeployment, 'id' | 'author' | 'startedAt' | 'number'> {
  id: number;
  uuid: string;
  date: number;
  author: { name: string };
}

interface Commit {
  id: string;
  subject: string;
  author: string;
  at: number;
}

interface Shown {
  rows: Row[];
  chosen: Progress | null;
}

const MORE = 25;
const TICK_MS = 200;
const PLAIN = { instance: { hidden: true }, service: { hidden: true } };

class Activity extends Page<Shown> {
  static override properties = {
    ...Page.properties,
    limit: { state: true },
    now: { state: true },
    hasLines: { state: true },
    commits: { state: true },
  };
  declare limit: number;
  declare now: number;
  declare hasLines: boolean;
  declare commits: Commit[] | null;
  private stream: LogStream | null = null;
  private followed = '';
  private timer = 0;

  constructor() {
    super();
    this.limit = MORE;
    this.now = Date.now();
    this.hasLines = false;
    this.commits = null;
  }

  get heading(): string {
    return w.sections['hv-activity'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/applications/${this.params.app}`;
  }

  protected override wakes(change: Change): boolean {
    return change.subject === this.params.app;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = window.setInterval(() => {
      if (this.data?.chosen?.state === 'WIP') this.now = Date.now();
    }, TICK_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.clearInterval(this.timer);
    this.stream?.close();
    this.followed = '';
  }

  protected async load(): Promise<Shown> {
    const rows = await get<Row[]>(`${this.base}/deployments?limit=${this.limit}`);
    const wanted = this.params.deployment ?? rows[0]?.uuid;
    return {
      rows,
      chosen: wanted ? await get<Progress>(`${this.base}/deployments/${wanted}/progress`) : null,
    };
  }

  protected override willUpdate(changed: PropertyValues): void {
    const kept = this.data; // another deployment of the same list: keep the list while the new one comes
    super.willUpdate(changed as Map<string, unknown>);
    const before = changed.get('params') as Record<string, string> | undefined;
    if (before && kept?.rows.length && before.app === this.params.app) this.data = { ...kept, chosen: null };
  }

  protected override updated(): void {
    const chosen = this.data?.chosen;
    const view = this.querySelector<LogView>('cc-logs-beta');
    if (!chosen || !view || this.followed === chosen.id) return;
    this.followed = chosen.id;
    this.hasLines = false;
    this.stream?.close();
    view.clear();
    const query = new URLSearchParams({ deploymentId: chosen.id });
    const path = `/v4/logs/organisations/${this.params.owner}/applications/${this.params.app}/logs?${query}`;
    this.stream = new LogStream(path, {
      hand: lines => {
        this.hasLines = true;
        view.appendLogs(lines);
      },
    });
  }

  protected view({ rows, chosen }: Shown): TemplateResult {
    const app = `/organisations/${this.params.owner}/applications/${this.params.app}`;
    if (!rows.length) {
      return empty(
        w.noActivity,
        w.noActivityHint,
        html`<a class="button primary" href=${app}>${icon('box')} ${w.pushIt}</a>`,
      );
    }
    const base = `${app}/deployments`;
    return html`<div class="split">
      <div class="panel list">
        <ul class="plain">
          ${rows.map(
            each =>
              html`<li>
                <a class="deployment" href="${base}/${each.uuid}" aria-current=${each.uuid === chosen?.id}>
                  ${deploymentState(each.state)}<span
                    ><b>#${each.id}</b> ${w.actions[each.action] ?? each.action}
                    <code>${short(each.commit)}</code></span
                  >
                  <span class="soft" title=${moment(each.date)}
                    >${ago(each.date)} · ${each.author.name || w.platform}</span
                  >
                </a>
              </li>`,
          )}
        </ul>
        ${
          rows.length >= this.limit
            ? html`<button class="button" @click=${this.more}>${w.older}</button>`
            : nothing
        }
      </div>
      <div class="stack">${chosen ? this.deployment(chosen) : waiting()}</div>
    </div>`;
  }

  protected override actions(): TemplateResult | typeof nothing {
    if (!this.data?.rows.length || !shared.can('write')) return nothing;
    return html`<details class="menu right" @toggle=${this.listCommits}>
      <summary class="button">${icon('restart')} ${w.deployCommit}</summary>
      <div class="sheet commits">
        ${
          this.commits === null
            ? html`<p class="soft" role="status">${w.loading}</p>`
            : this.commits.map(
                each =>
                  html`<button @click=${() => void this.again(each.id)}>
                    <span><code>${short(each.id)}</code> ${each.subject}</span
                    ><small>${each.author} · ${ago(each.at)}</small>
                  </button>`,
              )
        }
      </div>
    </details>`;
  }

  private async listCommits(event: Event): Promise<void> {
    if (!(event.target as HTMLDetailsElement).open) return;
    try {
      this.commits = await get<Commit[]>(`${this.base}/commits`);
    } catch (error) {
      this.commits = [];
      say(reason(error), 'bad');
    }
  }

  private more(): void {
    this.limit += MORE;
    void this.look();
  }

  private deployment(each: Progress): TemplateResult {
    const may = shared.can('write');
    return html`<section class="panel" aria-label="${w.deployment} ${each.number}">
        <header>
          <h2>#${each.number} · ${w.actions[each.action] ?? each.action} ${deploymentState(each.state)}</h2>
          ${
            !may
              ? nothing
              : each.state === 'WIP'
                ? html`<button class="button danger small" @click=${() => this.cancel(each.id)}>
                    ${icon('cross')} ${w.cancelDeployment}
                  </button>`
                : each.commit
                  ? html`<button class="button small" @click=${() => this.again(each.commit ?? '')}>
                      ${icon('restart')} ${w.redeploy(short(each.commit))}
                    </button>`
                  : nothing
          }
        </header>
        <p class="soft">
          ${each.commit ? html`<code>${short(each.commit)}</code> · ` : nothing}${each.author || w.platform} ·
          ${told(each.cause, 'cause')} ·
          <time datetime=${new Date(each.startedAt).toISOString()}>${moment(each.startedAt)}</time> ·
          ${took((each.endedAt ?? this.now) - each.startedAt)}
        </p>
        ${stepsList(each.steps, outcomeOf(each), this.now)}
        ${each.note ? html`<p class="soft" role="status">${told(each.note, 'deployment')}</p>` : nothing}
        ${each.error && each.state !== 'WIP' ? html`<p class="notice bad" role="alert">${icon('alert')}<span>${told(each.error, 'deployment')}</span></p>` : nothing}
      </section>
      <section class="panel logs" aria-label=${w.buildLog}>
        <header><h2>${icon('lines')}${w.buildLog}</h2></header>
        ${linesView(PLAIN)}
        ${this.hasLines ? nothing : html`<p class="soft over">${each.state === 'WIP' ? w.waitingForLines : w.noLines}</p>`}
      </section>`;
  }

  private cancel(id: string): void {
    void this.act(() => call('DELETE', `${this.base}/deployments/${id}/instances`), w.cancelling);
  }

  private async again(commit: string): Promise<void> {
    const made = await this.act(
      () => call('POST', `${this.base}/instances?commit=${commit}`),
      w.deploymentBegun,
    );
    if (made) go(`/organisations/${this.params.owner}/applications/${this.params.app}/activity`);
  }
}

function outcomeOf(each: Progress): Outcome {
  return each.state === 'WIP' ? 'under way' : each.state === 'OK' ? 'well' : 'badly';
}

customElements.define('hv-activity', Activity);
