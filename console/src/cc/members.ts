/** The members of an organisation: found by name or by a lacking second factor, invited, given another role. */
import '@clevercloud/components/dist/cc-orga-member-list.js';
import { html, type TemplateResult } from 'lit';
import { speakOfForms } from './core';

await speakOfForms();

export interface Member {
  id: string;
  name: string;
  email: string;
  role: string;
  isMfaEnabled: boolean;
  isCurrentUser: boolean;
}

interface Card extends Member {
  type: 'loaded' | 'editing' | 'updating' | 'deleting';
  newRole?: string;
}

export interface MemberList {
  type: 'loaded';
  memberList: Card[];
  identityFilter: string;
  mfaDisabledOnlyFilter: boolean;
  dangerZoneState: 'idle' | 'leaving' | 'error';
}

interface Shown extends HTMLElement {
  memberListState: MemberList;
  resetInviteMemberForm(): void;
}

export interface MemberActions {
  invite: (given: { email: string; role: string }) => void;
  change: (member: Member, role: string) => void;
  drop: (member: Member) => void;
  leave: () => void;
}

/** Once for what was found: the component changes it while somebody searches or edits. */
export function memberState(found: Member[], page: Element): MemberList {
  const before = page.querySelector<Shown>('cc-orga-member-list')?.memberListState;
  return {
    type: 'loaded',
    memberList: found.map(each => ({ type: 'loaded', ...each })),
    identityFilter: before?.identityFilter ?? '',
    mfaDisabledOnlyFilter: before?.mfaDisabledOnlyFilter ?? false,
    dangerZoneState: 'idle',
  };
}

export function members(state: MemberList, may: boolean, on: MemberActions): TemplateResult {
  return html`<cc-orga-member-list
    .authorisations=${{ invite: may, edit: may, delete: may }}
    .inviteMemberFormState=${{ type: 'idle' }}
    .memberListState=${state}
    @cc-orga-member-list:invite=${(event: CustomEvent<{ email: string; role: string }>) => on.invite(event.detail)}
    @cc-orga-member-list:update=${(event: CustomEvent<Card>) => on.change(event.detail, event.detail.newRole ?? '')}
    @cc-orga-member-card:delete=${(event: CustomEvent<Card>) => on.drop(event.detail)}
    @cc-orga-member-list:leave=${on.leave}
  ></cc-orga-member-list>`;
}

export function emptyInvitation(page: Element): void {
  page.querySelector<Shown>('cc-orga-member-list')?.resetInviteMemberForm();
}
