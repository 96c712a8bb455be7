/** The figures of an application while somebody looks at them, as they change. */
import type { RequestSpan, Usage } from './types';

interface Told {
  requests: (spans: RequestSpan[]) => void;
  usage: (instances: Usage[]) => void;
}

const AGAIN_MS = 3_000;

/** One stream. It comes back by itself, with everything anew. */
export class Counting {
  private source: EventSource | null = null;
  private spans: RequestSpan[] = [];
  private again = 0;

  constructor(
    private readonly path: string,
    private readonly told: Told,
  ) {
    document.addEventListener('visibilitychange', this.seen);
    this.open();
  }

  /** Nobody looks at a page in the background. */
  private seen = (): void => {
    if (document.hidden) this.source?.close();
    else this.reopen(0);
  };

  close(): void {
    document.removeEventListener('visibilitychange', this.seen);
    window.clearTimeout(this.again);
    this.source?.close();
    this.source = null;
  }

  private open(): void {
    const source = new EventSource(this.path);
    this.source = source;
    const on = <T>(name: string, take: (found: T) => void): void =>
      source.addEventListener(name, event => take(JSON.parse((event as MessageEvent<string>).data) as T));
    on<{ spans: RequestSpan[] }>('REQUESTS', ({ spans }) => this.take(spans));
    on<{ spans: RequestSpan[] }>('ANSWERED', ({ spans }) => this.add(spans));
    on<{ instances: Usage[] }>('USAGE', ({ instances }) => this.told.usage(instances));
    source.onerror = () => this.reopen(AGAIN_MS);
  }

  private reopen(ms: number): void {
    if (!this.source) return;
    this.source.close();
    window.clearTimeout(this.again);
    this.again = window.setTimeout(() => this.source && this.open(), ms);
  }

  private take(spans: RequestSpan[]): void {
    this.spans = spans;
    this.told.requests(spans);
  }

  private add(more: RequestSpan[]): void {
    const known = new Map(this.spans.map(each => [each.at, each]));
    if (more.some(each => !known.has(each.at))) return this.reopen(0); // another span has begun
    for (const each of more) {
      const before = known.get(each.at) ?? each;
      const statusCodes = { ...before.statusCodes };
      for (const [code, count] of Object.entries(each.statusCodes)) {
        statusCodes[code] = (statusCodes[code] ?? 0) + count;
      }
      known.set(each.at, { at: each.at, count: before.count + each.count, statusCodes });
    }
    this.take([...known.values()]);
  }
}
