/** What an application says: live or from a range of time, of some instances, with some words. */
import { html, type TemplateResult } from 'lit';
import { get } from '../kit/api';
import type { Change } from '../kit/live';
import { LogPage, type Source } from '../kit/log-page';
import { w } from '../words';

interface Instance {
  id: string;
  name: string;
  index: number;
  state: string;
  deploymentId: string;
}

class Logs extends LogPage<Instance[]> {
  static override properties = { ...LogPage.properties, instance: { state: true } };
  declare instance: string;
  protected readonly choice = 'logs';
  protected readonly liveBackMs = 600_000;

  constructor() {
    super();
    this.instance = '';
  }

  get heading(): string {
    return w.sections['hv-logs'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.subject === this.params.app;
  }

  protected load(): Promise<Instance[]> {
    const { owner, app } = this.params;
    const query = this.bounds();
    query.set('limit', '100');
    return get<Instance[]>(`/v4/orchestration/organisations/${owner}/applications/${app}/instances?${query}`);
  }

  protected override also(): string {
    return this.instance;
  }

  protected source(): Source {
    const { owner, app } = this.params;
    const query = this.bounds();
    if (this.instance) query.set('instanceId', this.instance);
    const path = `/v4/logs/organisations/${owner}/applications/${app}/logs?${query}`;
    return { path, name: 'APPLICATION_LOG' };
  }

  protected view(instances: Instance[]): TemplateResult {
    const names = new Map(instances.map(each => [each.id, each.name]));
    return this.lines({
      filter: w.filterLines,
      told: w.lines(this.count),
      waiting: w.waitingForLines,
      none: w.noLines,
      renderers: {
        instance: (each: { value: string }) => ({
          text: each.value ? (names.get(each.value) ?? w.buildWord) : w.platform,
          size: 14,
          intent: each.value ? 'info' : 'neutral',
        }),
        service: { hidden: true },
      },
      also: html`<label class="select"
        ><span class="hidden">${w.instance}</span>
        <select @change=${(event: Event) => (this.instance = (event.target as HTMLSelectElement).value)}>
          <option value="">${w.allInstances}</option>
          ${instances.map(each => html`<option value=${each.id}>${each.name} · ${w.instanceStates[each.state] ?? each.state}</option>`)}
        </select></label
      >`,
    });
  }
}

customElements.define('hv-logs', Logs);
