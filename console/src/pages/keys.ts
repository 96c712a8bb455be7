/** The SSH keys of a person. */
import type { TemplateResult } from 'lit';
import { keys } from '../cc/people';
import { Page } from '../kit/page';
import { w } from '../words';

class Keys extends Page<true> {
  get heading(): string {
    return w.sections['hv-keys'] ?? '';
  }

  protected async load(): Promise<true> {
    return true;
  }

  protected view(): TemplateResult {
    return keys();
  }
}

customElements.define('hv-keys', Keys);
