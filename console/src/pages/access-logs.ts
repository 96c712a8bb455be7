/** The requests that an application is asked, as they are answered or from a range of time. */
import type { TemplateResult } from 'lit';
import type { Line } from '../cc/lines';
import { LogPage, type Source } from '../kit/log-page';
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

const INTENTS = ['', 'success', 'success', 'info', 'warning', 'danger'];

class AccessLogs extends LogPage<true> {
  protected readonly choice = 'access-logs';
  protected readonly liveBackMs = 3_600_000;

  get heading(): string {
    return w.sections['hv-access-logs'] ?? '';
  }

  protected async load(): Promise<true> {
    return true;
  }

  protected source(): Source {
    const { owner, app } = this.params;
    const path = `/v4/accesslogs/organisations/${owner}/applications/${app}/accesslogs?${this.bounds()}`;
    return { path, name: 'ACCESS_LOG', line: shown };
  }

  protected view(): TemplateResult {
    return this.lines({
      filter: w.filterRequests,
      told: w.requestsCount(this.count),
      waiting: w.waitingForRequests,
      none: w.noRequestsThen,
      renderers: {
        status: (each: { value: string }) => ({
          text: each.value,
          size: 4,
          intent: INTENTS[Number(each.value[0])],
        }),
        ip: { size: 16 },
      },
    });
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
