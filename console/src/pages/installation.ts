/** For operators: how the installation is, what is under way, what it holds. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { ago, bytes, moment, number } from '../kit/format';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { badge, confirmed, copyable, panel } from '../kit/parts';
import { shared } from '../kit/state';
import { w } from '../words';

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
}

interface PersonSeen {
  id: string;
  email: string;
  name: string;
  isOperator: boolean;
  hasSecondFactor: boolean;
  createdAt: number;
}

interface Quota {
  id: string;
  name: string;
  isPersonal: boolean;
  usedApps: number;
  apps: number;
  instances: number;
}

interface Stack {
  id: string;
  asked: string[];
  packageCount: number;
  bytes: number;
  needed: boolean;
  apps: { id: string; name: string }[];
}

interface Shown {
  status: { version: string; rooms: Room[]; operations: OperationSeen[] };
  people: PersonSeen[];
  quotas: Quota[];
  stacks: Stack[];
  letters: { id: number; to: string; subject: string; state: string; error: string; createdAt: number }[];
}

class Installation extends Page<Shown> {
  static override properties = { ...Page.properties, made: { state: true } };
  declare made: { email: string; password: string } | null;

  constructor() {
    super();
    this.made = null;
  }

  get heading(): string {
    return w.sections['hv-installation'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return /^(kernel\.operation|governance\.(person|owner|quota))/.test(change.name);
  }

  protected async load(): Promise<Shown> {
    const base = '/v2/havre';
    const [status, people, quotas, stacks, letters] = await Promise.all([
      get<Shown['status']>(`${base}/status`),
      get<PersonSeen[]>(`${base}/people`),
      get<Quota[]>(`${base}/quotas`),
      get<{ stacks: Stack[] }>(`${base}/stacks`).then(found => found.stacks),
      get<Shown['letters']>(`${base}/outbox`),
    ]);
    return { status, people, quotas, stacks, letters };
  }

  protected override actions(): TemplateResult | typeof nothing {
    return this.data ? badge(`Havre ${this.data.status.version}`, 'good') : nothing;
  }

  protected view({ status, people, quotas, stacks, letters }: Shown): TemplateResult {
    return html`<ul class="cards rooms">
        ${status.rooms.map(
          each =>
            html`<li class="card">
              <span class="card-head"
                ><strong>${w.rooms[each.name] ?? each.name}</strong
                >${each.error ? badge(w.trouble, 'bad') : each.backlog ? badge(w.backlog(each.backlog), 'busy') : badge(w.inOrder, 'good')}</span
              >
              ${each.error ? html`<span class="soft bad">${each.error}</span>` : nothing}
              <span class="figures"
                >${Object.entries(each.figures)
                  .slice(0, 6)
                  .map(
                    ([name, value]) =>
                      html`<span
                        ><b>${/bytes/.test(name) ? bytes(value) : number(value, 1)}</b>
                        ${name.replace(/_bytes$/, '').replaceAll('_', ' ')}</span
                      >`,
                  )}</span
              >
            </li>`,
        )}
      </ul>
      ${panel(
        w.underWay,
        status.operations.length
          ? html`<ul class="rows names">
              ${status.operations.map(
                each =>
                  html`<li>
                    <span class="name"
                      ><strong>${each.kind}</strong>
                      ${badge(each.step || each.status, each.error ? 'bad' : 'busy')}
                      <span class="soft"
                        ><code>${each.key}</code> · ${w.since(ago(each.since))} ${each.progress}
                        ${each.error}</span
                      ></span
                    >
                  </li>`,
              )}
            </ul>`
          : html`<p class="soft">${w.nothingUnderWay}</p>`,
        { glyph: 'activity' },
      )}
      ${panel(
        w.people,
        html`${
            this.made
              ? html`<div class="notice good" role="status">
                  <span>${w.firstPassword(this.made.email)} ${copyable(this.made.password)}</span>
                </div>`
              : nothing
          }
          <form class="inline" @submit=${this.add}>
            <label>${w.emailAddress}<input name="email" type="email" required autocomplete="off" /></label>
            <label>${w.name}<input name="name" autocomplete="off" /></label>
            <button class="button primary" ?disabled=${this.isBusy}>${icon('plus')} ${w.add}</button>
          </form>
          <div class="scroll" tabindex="0" role="region" aria-label=${w.people}>
            <table>
              <thead>
                <tr>
                  <th scope="col">${w.name}</th>
                  <th scope="col">${w.emailAddress}</th>
                  <th scope="col">${w.twoSteps}</th>
                  <th scope="col">${w.createdAt}</th>
                  <th scope="col"><span class="hidden">${w.actionsWord}</span></th>
                </tr>
              </thead>
              <tbody>
                ${people.map(
                  each =>
                    html`<tr>
                      <td>${each.name} ${each.isOperator ? badge(w.operator, 'good') : nothing}</td>
                      <td>${each.email}</td>
                      <td>${each.hasSecondFactor ? w.on : w.off}</td>
                      <td title=${moment(each.createdAt)}>${ago(each.createdAt)}</td>
                      <td>
                        ${each.id === shared.me?.id ? nothing : html`<button class="button small danger" aria-label="${w.newPassword}: ${each.email}" @click=${() => void this.reset(each)}>${w.newPassword}</button>`}
                      </td>
                    </tr>`,
                )}
              </tbody>
            </table>
          </div>`,
        { glyph: 'people' },
      )}
      ${panel(
        w.quotas,
        html`<div class="scroll" tabindex="0" role="region" aria-label=${w.quotas}>
          <table>
            <thead>
              <tr>
                <th scope="col">${w.organisation}</th>
                <th scope="col">${w.sections['hv-apps']}</th>
                <th scope="col">${w.instances}</th>
              </tr>
            </thead>
            <tbody>
              ${quotas.map(
                each =>
                  html`<tr>
                    <td>${each.name}</td>
                    <td>${each.usedApps} / ${each.apps || '∞'}</td>
                    <td>${each.instances || '∞'}</td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>`,
        { glyph: 'gauge' },
      )}
      ${panel(
        w.stacks,
        stacks.length
          ? html`<ul class="rows names">
              ${stacks.map(
                each =>
                  html`<li>
                    <span class="name"
                      ><code>${each.id.slice(0, 12)}</code>
                      ${each.needed ? badge(w.inUse, 'good') : nothing}<span class="soft"
                        >${stackWords(each)}</span
                      ></span
                    >
                  </li>`,
              )}
            </ul>`
          : html`<p class="soft">${w.nothingYet}</p>`,
        { glyph: 'box' },
      )}
      ${panel(
        w.outbox,
        letters.length
          ? html`<ul class="rows names">
              ${letters.slice(0, 20).map(
                each =>
                  html`<li>
                    <span class="name"
                      ><strong>${each.subject}</strong>
                      ${badge(each.state.toLowerCase(), each.error ? 'bad' : 'idle')}<span class="soft"
                        >${each.to} · ${ago(each.createdAt)} ${each.error}</span
                      ></span
                    >
                  </li>`,
              )}
            </ul>`
          : html`<p class="soft">${w.noLetters}</p>`,
        { glyph: 'mail' },
      )}`;
  }

  private async add(event: SubmitEvent): Promise<void> {
    const { email, name } = fields(event);
    const form = event.target as HTMLFormElement;
    const done = await this.act(async () => {
      this.made = await call<{ email: string; password: string }>('POST', '/v2/havre/people', {
        email,
        name,
      });
    }, w.created);
    if (done) form.reset();
  }

  private async reset(each: PersonSeen): Promise<void> {
    if (!(await confirmed(w.resetQuestion(each.name), w.newPassword))) return;
    await this.act(async () => {
      const found = await call<{ password: string }>('POST', `/v2/havre/people/${each.id}/password`);
      this.made = { email: each.email, password: found.password };
    }, w.saved);
  }
}

function stackWords(each: Stack): string {
  const names = each.apps.map(app => app.name).join(', ');
  return [bytes(each.bytes), w.packages(each.packageCount), names].filter(Boolean).join(' · ');
}

customElements.define('hv-installation', Installation);
