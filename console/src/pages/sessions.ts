/** Where a person is signed in: browsers, command lines and programs; ending any of them. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { ago, moment } from '../kit/format';
import { names, takeAway } from '../kit/lists';
import type { Change } from '../kit/live';
import { Page } from '../kit/page';
import { badge, confirmed, panel } from '../kit/parts';
import { w } from '../words';

interface Session {
  id: string;
  source: string;
  agent: string;
  createdAt: number;
  seenAt: number;
  isCurrent: boolean;
}

interface Grant {
  token: string;
  consumer: { name: string };
  creationDate: number;
  expirationDate: number;
}

interface Shown {
  sessions: Session[];
  grants: Grant[];
}

class Sessions extends Page<Shown> {
  get heading(): string {
    return w.sections['hv-sessions'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return /^governance\.(session|token|grant)/.test(change.name);
  }

  protected async load(): Promise<Shown> {
    const [sessions, grants] = await Promise.all([
      get<Session[]>('/v2/self/sessions'),
      get<Grant[]>('/v2/self/tokens'),
    ]);
    return { sessions, grants };
  }

  protected view({ sessions, grants }: Shown): TemplateResult {
    return html`${panel(
      w.browsers,
      names(sessions, '', each => ({
        name: html`<strong>${browser(each.agent)}</strong>
          ${each.isCurrent ? badge(w.thisBrowser, 'good') : nothing}`,
        about: html`${each.source} · <span title=${moment(each.seenAt)}>${w.seen(ago(each.seenAt))}</span>`,
        aside: each.isCurrent
          ? nothing
          : html`<button
              class="button small danger"
              aria-label="${w.signOutThere}: ${browser(each.agent)} ${each.source}"
              @click=${() => this.end(each)}
            >
              ${w.signOutThere}
            </button>`,
      })),
      { glyph: 'globe' },
    )}
    ${panel(
      w.programs,
      names(grants, w.noPrograms, each => ({
        name: html`<strong>${each.consumer.name}</strong> <code>${each.token.slice(0, 8)}…</code>`,
        about: html`${w.since(ago(each.creationDate))} · ${w.until(moment(each.expirationDate))}`,
        aside: takeAway(w.revoke, `${each.consumer.name} ${each.token.slice(0, 8)}`, () => this.revoke(each)),
      })),
      { glyph: 'key' },
    )}`;
  }

  private end(each: Session): void {
    void this.act(() => call('DELETE', `/v2/self/sessions/${each.id}`), w.signedOutThere);
  }

  private async revoke(each: Grant): Promise<void> {
    if (!(await confirmed(w.revokeQuestion(each.consumer.name), w.revoke))) return;
    void this.act(() => call('DELETE', `/v2/self/tokens/${encodeURIComponent(each.token)}`), w.removed);
  }
}

/** A browser by its name and system, as far as its own words tell. */
function browser(agent: string): string {
  const name = /(Firefox|Edg|OPR|Chrome|Safari|curl|python)[/ ]?([\d]*)/.exec(agent);
  const system = /(Windows|Macintosh|Android|iPhone|iPad|Linux)/.exec(agent)?.[1];
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', Macintosh: 'macOS' };
  const shown = name
    ? `${names[name[1] ?? ''] ?? name[1]} ${name[2] ?? ''}`.trim()
    : agent.slice(0, 40) || '?';
  return system ? `${shown}, ${names[system] ?? system}` : shown;
}

customElements.define('hv-sessions', Sessions);
