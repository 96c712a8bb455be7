/** People: a person's addresses, an organisation's members. What the components show is the page's to ask for and to change. */
import '@clevercloud/components/dist/cc-email-list.js';
import { html, type TemplateResult } from 'lit';
import { speakOfForms } from './core';

await speakOfForms();

export interface Addresses {
  primary: string;
  isVerified: boolean;
  others: string[];
}

export interface AddressActions {
  add: (address: string) => void;
  drop: (address: string) => void;
  prefer: (address: string) => void;
  confirm: () => void;
}

/** busy: the address that something is being done to; `+` while one is added. */
export function emails(found: Addresses, busy: string, on: AddressActions): TemplateResult {
  const told = (act: (address: string) => void) => (event: CustomEvent<string>) => act(event.detail);
  const state = (address: string, verified: boolean, doing: string) => ({
    type: busy === address ? doing : 'idle',
    address,
    verified,
  });
  return html`<cc-email-list
    .emailListState=${{
      type: 'loaded',
      emailList: {
        primaryAddress: state(found.primary, found.isVerified, 'sending-confirmation-email'),
        secondaryAddresses: found.others.map(each => state(each, true, 'deleting')),
      },
    }}
    .addEmailFormState=${{ type: busy === '+' ? 'adding' : 'idle' }}
    @cc-email-list:add=${told(on.add)}
    @cc-email-list:delete=${told(on.drop)}
    @cc-email-list:mark-as-primary=${told(on.prefer)}
    @cc-email-list:send-confirmation-email=${on.confirm}
  ></cc-email-list>`;
}

/** Empty the field after an address was taken. */
export function emptyAddress(page: Element): void {
  page.querySelector<HTMLElement & { resetAddEmailForm(): void }>('cc-email-list')?.resetAddEmailForm();
}
