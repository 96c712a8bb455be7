/** For operators: who has an account, what each organisation may have, which letters were written. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { ago, moment } from '../kit/format';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { badge, confirmed, copyable, panel } from '../kit/parts';
import { shared } from '../kit/state';
import { told } from '../kit/told';
import { w } from '../words';

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

interface Shown {
  people: PersonSeen[];
  quotas: Quota[];
  letters: { id: number; to: string; subject: string; state: string; error: string; createdAt: number }[];
}

class People extends Page<Shown> {
  static override properties = { ...Page.properties, made: { state: true } };
  declare made: { email: string; password: string } | null;

  constructor() {
    super();
    this.made = null;
  }

  get heading(): string {
    return w.sections['hv-people'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return /^governance\.(person|owner|quota)/.test(change.name);
  }

  protected async load(): Promise<Shown> {
    const base = '/v2/havre';
    const [people, quotas, letters] = await Promise.all([
      get<PersonSeen[]>(`${base}/people`),
      get<Quota[]>(`${base}/quotas`),
      get<Shown['letters']>(`${base}/outbox`),
    ]);
    return { people, quotas, letters };
  }

  protected view({ people, quotas, letters }: Shown): TemplateResult {
    return html`${panel(
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
      html`<p class="soft">${w.quotaHint}</p>
        <div class="scroll" tabindex="0" role="region" aria-label=${w.quotas}>
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
                    <td>
                      <label class="quota"
                        >${each.usedApps} /<input
                          form="quota-${each.id}"
                          name="apps"
                          type="number"
                          min="0"
                          max="1000000"
                          placeholder="∞"
                          .value=${each.apps ? String(each.apps) : ''}
                          aria-label="${w.sections['hv-apps']}: ${each.name}"
                      /></label>
                    </td>
                    <td>
                      <form
                        class="quota"
                        id="quota-${each.id}"
                        @submit=${(event: SubmitEvent) => this.limit(event, each)}
                      >
                        <label
                          ><input
                            name="instances"
                            type="number"
                            min="0"
                            max="1000000"
                            placeholder="∞"
                            .value=${each.instances ? String(each.instances) : ''}
                            aria-label="${w.instances}: ${each.name}"
                        /></label>
                        <button
                          class="button small"
                          aria-label="${w.save}: ${each.name}"
                          ?disabled=${this.isBusy}
                        >
                          ${w.save}
                        </button>
                      </form>
                    </td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>`,
      { glyph: 'gauge' },
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
                    ${badge(w.sendings[each.state] ?? each.state, each.error ? 'bad' : 'idle')}<span
                      class="soft"
                      >${each.to} · ${ago(each.createdAt)} ${told(each.error, 'sending')}</span
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

  private limit(event: SubmitEvent, each: Quota): void {
    const found = fields(event);
    const body = { apps: Number(found.apps ?? 0), instances: Number(found.instances ?? 0) };
    void this.act(() => call('PUT', `/v2/havre/quotas/${each.id}`, body), w.saved);
  }

  private async reset(each: PersonSeen): Promise<void> {
    if (!(await confirmed(w.resetQuestion(each.name), w.newPassword))) return;
    await this.act(async () => {
      const found = await call<{ password: string }>('POST', `/v2/havre/people/${each.id}/password`);
      this.made = { email: each.email, password: found.password };
    }, w.saved);
  }
}

customElements.define('hv-people', People);
