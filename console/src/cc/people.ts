/** Members of an organisation, and a person's keys and addresses: the components with their smart halves. */
import '@clevercloud/components/dist/cc-orga-member-list.smart.js';
import '@clevercloud/components/dist/cc-ssh-key-list.smart.js';
import '@clevercloud/components/dist/cc-email-list.smart.js';
import { html, type TemplateResult } from 'lit';

export function members(may: boolean): TemplateResult {
  const authorisations = { invite: may, edit: may, delete: may };
  return html`<cc-orga-member-list .authorisations=${authorisations}></cc-orga-member-list>`;
}

export const keys = (): TemplateResult => html`<cc-ssh-key-list></cc-ssh-key-list>`;
export const emails = (): TemplateResult => html`<cc-email-list></cc-email-list>`;
