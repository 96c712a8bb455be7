/** A person's addresses: the component with its smart half. */
import '@clevercloud/components/dist/cc-email-list.smart.js';
import { html, type TemplateResult } from 'lit';

export const emails = (): TemplateResult =>
  html`<cc-smart-container><cc-email-list></cc-email-list></cc-smart-container>`;
