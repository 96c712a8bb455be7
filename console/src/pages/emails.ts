/** The addresses of a person. */
import type { TemplateResult } from 'lit';
import { emails } from '../cc/people';
import { Page } from '../kit/page';
import { w } from '../words';

class Emails extends Page<true> {
  get heading(): string {
    return w.sections['hv-emails'] ?? '';
  }

  protected async load(): Promise<true> {
    return true;
  }

  protected view(): TemplateResult {
    return emails();
  }
}

customElements.define('hv-emails', Emails);
