/** The addresses of a person. */
import type { TemplateResult } from 'lit';
import { emails, emptyAddress, type Addresses } from '../cc/people';
import { call, get } from '../kit/api';
import type { Change } from '../kit/live';
import { Page } from '../kit/page';
import { shared } from '../kit/state';
import { w } from '../words';

interface Self {
  email: string;
  emailValidated: boolean;
}

const BASE = '/v2/self/emails';
const of = (address: string): string => `${BASE}/${encodeURIComponent(address)}`;

class Emails extends Page<Addresses> {
  static override properties = { ...Page.properties, busy: { state: true } };
  declare busy: string;

  constructor() {
    super();
    this.busy = '';
  }

  get heading(): string {
    return w.sections['hv-emails'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('governance.') && change.subject === shared.me?.id;
  }

  protected async load(): Promise<Addresses> {
    const [self, others] = await Promise.all([get<Self>('/v2/self'), get<string[]>(BASE)]);
    return { primary: self.email, isVerified: self.emailValidated, others };
  }

  protected view(found: Addresses): TemplateResult {
    return emails(found, this.busy, {
      add: address => void this.add(address),
      drop: address => void this.change(address, () => call('DELETE', of(address)), w.removed),
      prefer: address =>
        void this.change(address, () => call('PUT', of(address), { make_primary: true }), w.saved),
      confirm: () =>
        void this.change(found.primary, () => call('GET', '/v2/self/confirmation_email'), w.letterSent),
    });
  }

  private async add(address: string): Promise<void> {
    if (await this.change('+', () => call('PUT', of(address), {}), w.confirmationSent)) emptyAddress(this);
  }

  private async change(address: string, work: () => Promise<unknown>, done: string): Promise<boolean> {
    this.busy = address;
    try {
      return await this.act(work, done);
    } finally {
      this.busy = '';
    }
  }
}

customElements.define('hv-emails', Emails);
