/** Lines of a stream of the API, handed on in batches, resumed where it broke off. */
import type { Line } from '../cc/lines';
import { refusal, type Refused } from './api';

const BATCH_MS = 100;
const AGAIN_MS = 2000;

interface LogEvent {
  id: string;
  date: string;
  message: string;
  instanceId?: string | null;
  deploymentId?: string | null;
  service?: string;
  severity?: string;
}

interface Options {
  hand: (lines: Line[]) => void;
  name?: string;
  line?: ((found: never) => Line) | undefined;
  /** The API answers: lines come when there are any. */
  opened?: () => void;
  /** All that was asked for is there. */
  over?: () => void;
  /** The API said no: nothing more comes. Without it the stream is asked for again. */
  refused?: (error: Refused) => void;
}

export class LogStream {
  private source: EventSource | null = null;
  private waiting: Line[] = [];
  private timer = 0;
  private seen = new Set<string>();
  private isClosed = false;

  constructor(
    private path: string,
    private options: Options,
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
    const { name = 'APPLICATION_LOG', line = plain as (found: never) => Line, over } = this.options;
    const source = new EventSource(this.path);
    this.source = source;
    source.addEventListener(name, event => {
      const found = JSON.parse((event as MessageEvent<string>).data) as LogEvent;
      if (this.seen.has(found.id)) return;
      this.seen.add(found.id);
      this.waiting.push(line(found as never));
      if (!this.timer) this.timer = window.setTimeout(() => this.flush(), BATCH_MS);
    });
    source.onopen = () => this.options.opened?.();
    source.addEventListener('END_OF_STREAM', () => {
      source.close();
      this.flush();
      if (!this.isClosed) over?.();
    });
    source.onerror = () => {
      // Otherwise the browser tries again by itself, after the last line.
      if (source.readyState === EventSource.CLOSED) void this.lost();
    };
  }

  /** The stream ended with an answer that is none: the API says why to who asks it plainly. */
  private async lost(): Promise<void> {
    const why = await refusal(this.path);
    if (this.isClosed) return;
    if (why && !why.isAway && this.options.refused) {
      this.close();
      this.options.refused(why);
      return;
    }
    window.setTimeout(() => this.open(), AGAIN_MS);
  }

  private flush(): void {
    this.timer = 0;
    const lines = this.waiting;
    this.waiting = [];
    if (lines.length && !this.isClosed) this.options.hand(lines);
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
