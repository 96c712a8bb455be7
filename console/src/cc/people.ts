/** Members of an organisation, and a person's addresses: the components with their smart halves. */
import '@clevercloud/components/dist/cc-orga-member-list.smart.js';
import '@clevercloud/components/dist/cc-email-list.smart.js';
import { html, type TemplateResult } from 'lit';

export function members(may: boolean): TemplateResult {
  const authorisations = { invite: may, edit: may, delete: may };
  return html`<cc-smart-container
    ><cc-orga-member-list .authorisations=${authorisations}></cc-orga-member-list
  ></cc-smart-container>`;
}

export const emails = (): TemplateResult =>
  html`<cc-smart-container><cc-email-list></cc-email-list></cc-smart-container>`;
