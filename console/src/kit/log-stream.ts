/** Lines of a stream of the API, handed on in batches, resumed where it broke off. */
import type { Line } from '../cc/logs';

const BATCH_MS = 100;
const AGAIN_MS = 1500;

interface LogEvent {
  id: string;
  date: string;
  message: string;
  instanceId?: string | null;
  deploymentId?: string | null;
  service?: string;
  severity?: string;
}

export class LogStream {
  private source: EventSource | null = null;
  private waiting: Line[] = [];
  private timer = 0;
  private seen = new Set<string>();
  private isClosed = false;

  constructor(
    private path: string,
    private hand: (lines: Line[]) => void,
    private line: (found: never) => Line = plain as (found: never) => Line,
    private name = 'APPLICATION_LOG',
  ) {
    this.open();
  }

  close(): void {
    this.isClosed = true;
    this.source?.close();
    window.clearTimeout(this.timer);
  }

  private open(): void {
    if (this.isClosed) return;
    const source = new EventSource(this.path);
    this.source = source;
    source.addEventListener(this.name, event => {
      const found = JSON.parse((event as MessageEvent<string>).data) as LogEvent;
      if (this.seen.has(found.id)) return;
      this.seen.add(found.id);
      this.waiting.push(this.line(found as never));
      if (!this.timer) this.timer = window.setTimeout(() => this.flush(), BATCH_MS);
    });
    source.addEventListener('END_OF_STREAM', () => source.close());
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself, after the last line
      window.setTimeout(() => this.open(), AGAIN_MS);
    };
  }

  private flush(): void {
    this.timer = 0;
    const lines = this.waiting;
    this.waiting = [];
    if (lines.length && !this.isClosed) this.hand(lines);
  }
}

function plain(found: LogEvent): Line {
  return {
    id: found.id,
    date: new Date(found.date),
    message: found.message,
    metadata: [
      { name: 'instance', value: found.instanceId ?? '' },
      { name: 'service', value: found.service ?? '' },
    ],
  };
}
