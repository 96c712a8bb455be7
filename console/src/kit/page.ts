/** What a page is: it loads, it shows, it looks again when what it shows has changed, it says what went wrong. */
import { LitElement, html, nothing, type TemplateResult } from 'lit';
import { say } from './toasts';
import { w } from '../words';
import { Refused } from './api';
import { icon } from './icons';
import { live, type Change } from './live';
import { shared } from './state';

const SETTLE_MS = 120;
const AGAIN_MS = 2_000;
const AGAIN_MOST_MS = 30_000;

export abstract class Page<T> extends LitElement {
  static override properties = {
    params: { attribute: false },
    data: { state: true },
    failure: { state: true },
    isBusy: { state: true },
  };
  declare params: Record<string, string>;
  declare data: T | undefined;
  declare failure: Refused | undefined;
  declare isBusy: boolean;
  private stop: (() => void)[] = [];
  private pending = 0;
  private turn = 0;
  private failures = 0;

  /** What the page shows. */
  protected abstract load(): Promise<T>;
  protected abstract view(data: T): TemplateResult;
  /** The page's heading, also the window's title. */
  abstract get heading(): string;

  /** Whether the page shows something that `change` is about. */
  protected wakes(_change: Change): boolean {
    return false;
  }

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const again = (): void => this.requestUpdate(); // what is drawn in another theme, what can be told by now
    window.addEventListener('hv-theme', again);
    window.addEventListener('hv-told', again);
    this.stop.push(
      () => window.removeEventListener('hv-theme', again),
      () => window.removeEventListener('hv-told', again),
      live.listen(change => {
        if (change === 'back' || this.wakes(change)) this.lookSoon();
        else if (this.failure && change.name.startsWith('governance.')) this.lookSoon(); // a role, a key
      }),
    );
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop.forEach(each => each());
    this.stop = [];
    window.clearTimeout(this.pending);
  }

  protected override willUpdate(changed: Map<string, unknown>): void {
    if (changed.has('params')) {
      this.data = undefined;
      this.failure = undefined;
      this.failures = 0;
      void this.look();
    }
  }

  protected lookSoon(ms = SETTLE_MS): void {
    window.clearTimeout(this.pending);
    this.pending = window.setTimeout(() => void this.look(), ms);
  }

  async look(): Promise<void> {
    const turn = ++this.turn;
    try {
      if (this.params.owner) await shared.of(this.params.owner); // what the caller may do there
      const found = await this.load();
      if (turn !== this.turn) return;
      this.data = found;
      this.failure = undefined;
      this.failures = 0;
    } catch (error) {
      if (turn === this.turn) this.failed(error);
    }
  }

  /**
   * What went wrong is told. What the platform could not do now (it is away, it broke) is asked for again by itself, more
   * and more seldom; what it does not allow or does not have, when the person asks or their rights change.
   */
  protected failed(error: unknown): void {
    const refused = error instanceof Refused ? error : new Refused(-1, String(error));
    if (!(refused.isAway && this.data !== undefined)) this.failure = refused;
    if (!this.isConnected || !(refused.isAway || refused.status >= 500)) return;
    this.lookSoon(refused.isAway ? AGAIN_MS : Math.min(AGAIN_MOST_MS, AGAIN_MS * 2 ** this.failures));
    this.failures += 1;
  }

  /** Do something that the person asked for; say how it went, then look again. */
  protected async act(work: () => Promise<unknown>, done: string): Promise<boolean> {
    this.isBusy = true;
    try {
      await work();
      if (done) say(done);
      void this.look();
      return true;
    } catch (error) {
      say(reason(error), 'bad');
      return false;
    } finally {
      this.isBusy = false;
    }
  }

  protected actions(): TemplateResult | typeof nothing {
    return nothing;
  }

  protected override render(): TemplateResult {
    return html`<header class="page-head">
        <h1 tabindex="-1">${this.heading}</h1>
        ${this.actions()}
      </header>
      ${this.failure ? wrong(this.failure, () => void this.look()) : nothing}
      ${this.isLost ? nothing : this.data === undefined ? waiting() : this.view(this.data)}`;
  }

  /** With nothing to show, or nothing that the person may see any more, the failure stands alone. */
  private get isLost(): boolean {
    return (
      this.failure !== undefined && (this.data === undefined || [403, 404].includes(this.failure.status))
    );
  }
}

/** What went wrong, in the place of what was asked for; `again` asks once more. */
export function wrong(failure: Refused, again: () => void): TemplateResult {
  const title = failure.isAway
    ? w.away
    : failure.status === 404
      ? w.notFound
      : failure.status === 403
        ? w.denied
        : w.wrong;
  const isByItself = failure.status >= 500;
  return html`<div class="panel state" role="alert">
    ${icon('alert')}
    <p><strong>${title}</strong></p>
    <p class="soft">${failure.isAway ? w.awayHint : reason(failure)}</p>
    ${!failure.isAway && isByItself ? html`<p class="soft">${w.askedAgain}</p>` : nothing}
    ${failure.isAway ? nothing : html`<button class="button" @click=${again}>${w.tryAgain}</button>`}
  </div>`;
}

export function reason(error: unknown): string {
  if (error instanceof Refused && error.isAway) return w.away;
  const text = error instanceof Error ? error.message : String(error);
  return text ? text.charAt(0).toUpperCase() + text.slice(1) : w.wrong;
}

export function waiting(): TemplateResult {
  return html`<div class="skeleton" role="status" aria-label=${w.loading}>
    <div></div>
    <div></div>
    <div></div>
  </div>`;
}

export function empty(
  title: string,
  hint: string | TemplateResult = '',
  action: unknown = nothing,
): TemplateResult {
  return html`<div class="panel state">
    ${icon('wave')}
    <p><strong>${title}</strong></p>
    <p class="soft">${hint}</p>
    ${action}
  </div>`;
}

/** Names and values of a form that was sent. */
export function fields(event: SubmitEvent): Record<string, string> {
  event.preventDefault();
  const form = event.target as HTMLFormElement;
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
}
