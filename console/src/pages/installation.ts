/** For operators: how the installation is, what is under way, what its machine can, how full its disk is. */
import { html, nothing, type TemplateResult } from 'lit';
import { get, Refused } from '../kit/api';
import { ago, bytes, number } from '../kit/format';
import type { Change } from '../kit/live';
import { Page } from '../kit/page';
import { badge, panel } from '../kit/parts';
import { stepsList } from '../kit/steps';
import type { Step } from '../kit/types';
import { told } from '../kit/told';
import { w } from '../words';
import { diskPanel, findingsPanel, type Disk, type Finding } from './machine';
import { StacksPanel, type Stack } from './stacks';

interface Room {
  name: string;
  error: string;
  backlog: number;
  figures: Record<string, number>;
}

interface OperationSeen {
  id: string;
  kind: string;
  key: string;
  status: string;
  step: string;
  progress: string;
  error: string;
  since: number;
  steps: Step[];
}

interface Status {
  version: string;
  rooms: Room[];
  operations: OperationSeen[];
}

interface Shown {
  status: Status;
  findings: Finding[];
  stacks: Stack[];
}

const TICK_MS = 500;
const ROOMS_MS = 10_000; // how rooms are is told by no event
const MACHINE_MS = 60_000; // as long as the server keeps what it measured

class Installation extends Page<Shown> {
  static override properties = {
    ...Page.properties,
    disk: { state: true },
    noDisk: { state: true },
    now: { state: true },
  };
  declare disk: Disk | undefined;
  declare noDisk: string;
  declare now: number;
  private timers: number[] = [];
  private machineAt = 0;
  private stacks = new StacksPanel(() => this.requestUpdate());

  constructor() {
    super();
    this.noDisk = '';
    this.now = Date.now();
  }

  get heading(): string {
    return w.sections['hv-installation'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('kernel.operation');
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.timers = [
      window.setInterval(() => {
        if (this.data?.status.operations.length) this.now = Date.now();
      }, TICK_MS),
      window.setInterval(() => void this.look(), ROOMS_MS),
    ];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.timers.forEach(each => window.clearInterval(each));
  }

  protected async load(): Promise<Shown> {
    const status = get<Status>('/v2/havre/status');
    const known = this.data;
    if (known && Date.now() - this.machineAt < MACHINE_MS) return { ...known, status: await status };
    void this.measure();
    const [seen, findings, stacks] = await Promise.all([
      status,
      get<Finding[]>('/v2/havre/doctor'),
      get<{ stacks: Stack[] }>('/v2/havre/stacks').then(found => found.stacks),
    ]);
    this.machineAt = Date.now();
    return { status: seen, findings, stacks };
  }

  /** Beside the rest: a look through every file takes its time. */
  private async measure(): Promise<void> {
    try {
      this.disk = await get<Disk>('/v2/havre/disk');
      this.noDisk = '';
    } catch (error) {
      this.noDisk = error instanceof Refused && !error.isAway ? error.message : '';
    }
  }

  protected override actions(): TemplateResult | typeof nothing {
    return this.data ? badge(`Havre ${this.data.status.version}`, 'good') : nothing;
  }

  protected view({ status, findings, stacks }: Shown): TemplateResult {
    return html`<ul class="cards rooms" aria-label=${w.roomsOfThis}>
        ${status.rooms.map(room)}
      </ul>
      ${panel(
        w.underWay,
        status.operations.length
          ? html`<ul class="rows names operations">
              ${status.operations.map(each => this.operation(each))}
            </ul>`
          : html`<p class="soft">${w.nothingUnderWay}</p>`,
        { glyph: 'activity' },
      )}
      ${findingsPanel(findings)} ${diskPanel(this.disk, this.noDisk)} ${this.stacks.view(stacks)}`;
  }

  private operation(each: OperationSeen): TemplateResult {
    const isStuck = each.status === 'stuck';
    return html`<li>
      <span class="name"
        ><strong>${w.operationKinds[each.kind] ?? each.kind}</strong> <code>${each.key}</code>
        ${badge(w.operationStates[each.status] ?? each.status, each.status === 'running' ? 'busy' : 'bad')}
        <span class="soft">${w.since(ago(each.since))} ${told(each.progress, 'room')}</span>
        ${each.error ? html`<span class="soft bad">${told(each.error, 'room')}</span>` : nothing}</span
      >
      ${stepsList(each.steps, isStuck ? 'badly' : 'under way', this.now)}
    </li>`;
  }
}

/** What is counted, in its own number: `1 instance`. */
function figure(name: string, value: number): string {
  const many = w.figures[name] ?? name.replace(/_bytes$/, '').replaceAll('_', ' ');
  return value === 1 ? many.replace(/s$/, '') : many;
}

function room(each: Room): TemplateResult {
  return html`<li class="card">
    <span class="card-head"
      ><strong>${w.rooms[each.name] ?? each.name}</strong
      >${each.error ? badge(w.trouble, 'bad') : each.backlog ? badge(w.backlog(each.backlog), 'busy') : badge(w.inOrder, 'good')}</span
    >
    ${each.error ? html`<span class="soft bad">${told(each.error, 'room')}</span>` : nothing}
    <span class="figures"
      >${Object.entries(each.figures).map(
        ([name, value]) =>
          html`<span
            ><b>${/bytes/.test(name) ? bytes(value) : number(value, 1)}</b> ${figure(name, value)}</span
          >`,
      )}</span
    >
  </li>`;
}

customElements.define('hv-installation', Installation);
