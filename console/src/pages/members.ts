/** The people of an organisation, and what each may do. */
import { html, type TemplateResult } from 'lit';
import { say } from '../kit/toasts';
import { emptyInvitation, members, memberState, type Member, type MemberList } from '../cc/members';
import { call, get } from '../kit/api';
import type { Change } from '../kit/live';
import { names } from '../kit/lists';
import { Page } from '../kit/page';
import { badge, confirmed, panel } from '../kit/parts';
import { go } from '../kit/router';
import { shared } from '../kit/state';
import { canTell, told } from '../kit/told';
import { w } from '../words';

interface Row {
  member: { id: string; email: string; name: string; preferredMFA: string };
  role: string;
}

const ROLES = ['ADMIN', 'MANAGER', 'DEVELOPER', 'ACCOUNTING'] as const;
const RIGHTS = { ADMIN: 5, MANAGER: 4, DEVELOPER: 3, ACCOUNTING: 1 };

class Members extends Page<MemberList> {
  get heading(): string {
    return w.sections['hv-members'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/members`;
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('governance.member');
  }

  protected async load(): Promise<MemberList> {
    const rows = await get<Row[]>(this.base);
    const found = rows.map(({ member: { id, name, email, preferredMFA }, role }) => ({
      id,
      name,
      email,
      role,
      isMfaEnabled: preferredMFA !== 'NONE',
      isCurrentUser: id === shared.me?.id,
    }));
    return memberState(found, this);
  }

  protected view(found: MemberList): TemplateResult {
    const isPersonal = shared.overview?.isPersonal ?? false;
    if (isPersonal) {
      return html`<p class="notice">
          <span>${w.personalHint}</span><a class="button small" href="/">${w.allOrganisations}</a>
        </p>
        ${panel(
          this.heading,
          names(found.memberList, '', each => ({
            name: html`<strong>${each.name}</strong>`,
            about: each.email,
            aside: badge(w.roles[each.role] ?? each.role),
          })),
          { glyph: 'people' },
        )}`;
    }
    return html`${members(found, shared.can('admin'), {
      invite: given => void this.invite(given),
      change: (member, role) =>
        void this.act(() => call('PUT', `${this.base}/${member.id}`, { role }), w.saved).then(this.again),
      drop: member => void this.drop(member),
      leave: () => void this.leave(),
    })}
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

  /** What was not done is shown as it is. */
  private again = (isDone: boolean): void => {
    if (!isDone) void this.look();
  };

  private async invite({ email, role }: { email: string; role: string }): Promise<void> {
    const body = { email: email.trim(), role };
    const ask = async (): Promise<void> => {
      const { message } = await call<{ message: string }>('POST', this.base, body);
      await canTell('sending');
      say(told(message, 'sending'));
    };
    if (await this.act(ask, '')) emptyInvitation(this);
  }

  private async drop(each: Member): Promise<void> {
    if (!(await confirmed(w.dropMember(each.name || each.email), w.remove))) return;
    this.again(await this.act(() => call('DELETE', `${this.base}/${each.id}`), w.removed));
  }

  private async leave(): Promise<void> {
    if (!(await confirmed(w.leaveQuestion(shared.overview?.name ?? ''), w.leave))) return;
    if (await this.act(() => call('DELETE', `${this.base}/${shared.me?.id}`), w.removed)) go('/');
  }
}

customElements.define('hv-members', Members);
