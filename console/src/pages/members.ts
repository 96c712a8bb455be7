/** The people of an organisation, and what each may do. */
import { html, nothing, type TemplateResult } from 'lit';
import { say } from '../cc/core';
import { call, get } from '../kit/api';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { fields, Page, reason } from '../kit/page';
import { badge, confirmed, panel } from '../kit/parts';
import { shared } from '../kit/state';
import { w } from '../words';

interface Member {
  member: { id: string; email: string; name: string; preferredMFA: string };
  role: string;
}

const ROLES = ['ADMIN', 'MANAGER', 'DEVELOPER', 'ACCOUNTING'] as const;
const RIGHTS = { ADMIN: 5, MANAGER: 4, DEVELOPER: 3, ACCOUNTING: 1 };

class Members extends Page<Member[]> {
  get heading(): string {
    return w.sections['hv-members'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/members`;
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('governance.member');
  }

  protected load(): Promise<Member[]> {
    return get<Member[]>(this.base);
  }

  protected view(found: Member[]): TemplateResult {
    const isPersonal = shared.overview?.isPersonal ?? false;
    const may = shared.can('admin') && !isPersonal;
    return html`${isPersonal ? html`<p class="notice"><span>${w.personalHint}</span><a class="button small" href="/">${w.allOrganisations}</a></p>` : nothing}
    ${
      may
        ? panel(
            w.invite,
            html`<p class="soft">${w.inviteHint}</p>
              <form class="inline" @submit=${this.invite}>
                <label
                  >${w.emailAddress}<input name="email" type="email" required autocomplete="off"
                /></label>
                <label
                  >${w.role}<select name="role">
                    ${ROLES.map(each => html`<option value=${each} ?selected=${each === 'DEVELOPER'}>${w.roles[each]}</option>`)}
                  </select></label
                >
                <button class="button primary" ?disabled=${this.isBusy}>${icon('plus')} ${w.invite}</button>
              </form>`,
            { glyph: 'mail' },
          )
        : nothing
    }
    ${panel(
      w.sections['hv-members'] ?? '',
      html`<ul class="rows names">
        ${found.map(each => this.row(each, may))}
      </ul>`,
      { glyph: 'people' },
    )}
    ${panel(
      w.whatRolesMay,
      html`<div class="scroll" tabindex="0" role="region" aria-label=${w.whatRolesMay}>
        <table>
          <thead>
            <tr>
              <th scope="col">${w.role}</th>
              ${w.rightsOfRoles.map(each => html`<th scope="col">${each}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${ROLES.map(
              role =>
                html`<tr>
                  <th scope="row">${w.roles[role]}</th>
                  ${w.rightsOfRoles.map((_, right) => html`<td>${right < RIGHTS[role] ? '✓' : '–'}</td>`)}
                </tr>`,
            )}
          </tbody>
        </table>
      </div>`,
      { glyph: 'shield' },
    )}`;
  }

  private row(each: Member, may: boolean): TemplateResult {
    const { id, name, email } = each.member;
    const isMe = id === shared.me?.id;
    return html`<li>
      <span class="name"
        ><strong>${name}</strong> ${isMe ? badge(w.you, 'good') : nothing}<span class="soft"
          >${email}</span
        ></span
      >
      <span class="row">
        ${
          may && !isMe
            ? html`<label class="select"
                  ><span class="hidden">${w.role}: ${name}</span>
                  <select @change=${(event: Event) => this.change(each, event.target as HTMLSelectElement)}>
                    ${ROLES.map(role => html`<option value=${role} ?selected=${role === each.role}>${w.roles[role]}</option>`)}
                  </select></label
                >
                <button
                  class="button small danger"
                  aria-label="${w.remove}: ${name}"
                  @click=${() => this.drop(each)}
                >
                  ${icon('trash')} ${w.remove}
                </button>`
            : badge(w.roles[each.role] ?? each.role)
        }
      </span>
    </li>`;
  }

  private async invite(event: SubmitEvent): Promise<void> {
    const form = event.target as HTMLFormElement;
    const { email, role } = fields(event);
    const done = await this.act(
      async () => say((await call<{ message: string }>('POST', this.base, { email, role })).message),
      '',
    );
    if (done) form.reset();
  }

  private async change(each: Member, chosen: HTMLSelectElement): Promise<void> {
    try {
      await call('PUT', `${this.base}/${each.member.id}`, { role: chosen.value });
      say(w.saved);
    } catch (error) {
      chosen.value = each.role;
      say(reason(error), 'danger');
    }
  }

  private async drop(each: Member): Promise<void> {
    if (!(await confirmed(w.dropMember(each.member.name), w.remove))) return;
    void this.act(() => call('DELETE', `${this.base}/${each.member.id}`), w.removed);
  }
}

customElements.define('hv-members', Members);
