/** What changes on the platform, as it happens, and whether the platform answers at all. */

export interface Change {
  name: string;
  at: number;
  ownerId: string | null;
  subject: string | null;
  deployment?: string;
  step?: string;
  state?: string;
  kind?: string;
}

type Listener = (change: Change | 'back') => void;

const SILENCE_MS = 15_000;
const AGAIN_MS = 1_000;
const GRACE_MS = 2_500; // a stream that is back by then was never away

/** One stream for the whole page. It comes back by itself; then everybody who listens is told to look again. */
class Live {
  private listeners = new Set<Listener>();
  private watchers = new Set<(isUp: boolean) => void>();
  private source: EventSource | null = null;
  private silence = 0;
  private grace = 0;
  isUp = true;

  start(): void {
    this.open();
    window.addEventListener('pagehide', () => this.source?.close());
    window.addEventListener('pageshow', event => event.persisted && this.open());
  }

  /** Be told of changes; returns how to stop. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  watch(watcher: (isUp: boolean) => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  private open(): void {
    this.source?.close();
    const source = new EventSource('/v2/havre/changes');
    this.source = source;
    const heard = (): void => {
      window.clearTimeout(this.silence);
      this.silence = window.setTimeout(() => this.lost(), SILENCE_MS);
      window.clearTimeout(this.grace);
      if (this.grace) this.listeners.forEach(each => each('back'));
      this.grace = 0;
      this.set(true);
    };
    source.addEventListener('HEARTBEAT', heard);
    source.addEventListener('CHANGE', event => {
      heard();
      const change = JSON.parse((event as MessageEvent<string>).data) as Change;
      this.listeners.forEach(each => each(change));
    });
    source.onerror = () => this.lost();
    window.clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.lost(), SILENCE_MS);
  }

  private lost(): void {
    this.source?.close();
    window.clearTimeout(this.silence);
    if (!this.grace) this.grace = window.setTimeout(() => this.set(false), GRACE_MS);
    this.silence = window.setTimeout(() => this.open(), AGAIN_MS);
  }

  private set(isUp: boolean): void {
    if (this.isUp === isUp) return;
    this.isUp = isUp;
    this.watchers.forEach(each => each(isUp));
  }
}

export const live = new Live();
