/** The names of an application: where their DNS leads and what it has to say, their certificates, how to prove one. */
import { html, nothing, type TemplateResult } from 'lit';
import { say } from '../kit/toasts';
import { call, get, Refused } from '../kit/api';
import { ahead, moment } from '../kit/format';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { fields, Page, reason } from '../kit/page';
import { badge, confirmed, copyable, panel } from '../kit/parts';
import { shared } from '../kit/state';
import { told } from '../kit/told';
import { w } from '../words';
import { certificatesPanel, type Uploaded } from './certificates';

interface Dns {
  lead: 'here' | 'partly' | 'elsewhere' | 'nowhere' | 'unanswered' | 'local' | 'unknown';
  addresses: string[];
  hiddenAddresses: number;
  cname: string;
  records: { name: string; type: string; value: string }[];
}

interface Certificate {
  state: 'internal' | 'ordering' | 'failed' | 'ordered' | 'renewing' | 'uploaded';
  issuer: string;
  notAfter: number | null;
  isOperators: boolean;
  error: string;
  failures: number;
  nextTryAt: number | null;
}

interface Domain {
  fqdn: string;
  host: string;
  isFavourite: boolean;
  dns: Dns;
  certificate: Certificate;
}

interface Proof {
  host: string;
  names: string[];
  text: string;
  isOfUse: boolean;
}

interface Shown {
  domains: Domain[];
  uploaded: Uploaded[];
  dns: { cname: string; a: string[]; aaaa?: string[] };
}

const TONES: Record<string, string> = {
  here: 'good',
  local: 'good',
  partly: 'busy',
  unknown: 'idle',
  unanswered: 'idle',
  elsewhere: 'bad',
  nowhere: 'bad',
  ordered: 'good',
  uploaded: 'good',
  internal: 'idle',
  ordering: 'busy',
  renewing: 'busy',
  failed: 'bad',
};
const UNSETTLED_MS = 12_000; // a little longer than the server keeps what it heard
const SETTLED_MS = 60_000;

class Domains extends Page<Shown> {
  static override properties = { ...Page.properties, proof: { state: true }, wanted: { state: true } };
  declare proof: Proof | null;
  declare wanted: string;
  private timer = 0;

  constructor() {
    super();
    this.proof = null;
    this.wanted = '';
  }

  get heading(): string {
    return w.sections['hv-domains'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/applications/${this.params.app}`;
  }

  protected override wakes(change: Change): boolean {
    return (
      (change.subject === this.params.app && change.name.startsWith('edge.')) ||
      change.name.startsWith('edge.certificate')
    );
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.clearTimeout(this.timer);
  }

  protected async load(): Promise<Shown> {
    const { owner, app } = this.params;
    const [domains, uploaded, balancers] = await Promise.all([
      get<Domain[]>(`${this.base}/domains`),
      get<Uploaded[]>(`/v2/organisations/${owner}/certificates`),
      get<{ dns: Shown['dns'] }[]>(
        `/v4/load-balancers/organisations/${owner}/applications/${app}/load-balancers/default`,
      ),
    ]);
    this.lookAgain(domains);
    return { domains, uploaded, dns: balancers[0]?.dns ?? { cname: '', a: [] } };
  }

  /** Nobody tells us when somebody's DNS changes: look now and then, more often while something is to be mended. */
  private lookAgain(domains: Domain[]): void {
    window.clearTimeout(this.timer);
    if (!this.isConnected) return;
    const isSettled = domains.every(each => ['here', 'local'].includes(each.dns.lead));
    this.timer = window.setTimeout(() => void this.look(), isSettled ? SETTLED_MS : UNSETTLED_MS);
  }

  protected view({ domains, uploaded, dns }: Shown): TemplateResult {
    const may = shared.can('write');
    return html`${panel(
      w.names,
      html`${
        may
          ? html`<form class="inline" @submit=${this.add}>
              <label
                >${w.domain}<input
                  name="domain"
                  required
                  placeholder="shop.example.com/api"
                  autocomplete="off"
                  spellcheck="false"
              /></label>
              <button class="button primary" ?disabled=${this.isBusy}>${icon('plus')} ${w.add}</button>
            </form>`
          : nothing
      }
      ${this.proof ? this.proving(this.proof) : nothing}
      ${
        domains.length
          ? html`<ul class="rows names domains">
              ${domains.map(each => this.row(each, may))}
            </ul>`
          : html`<p class="soft">${w.noNames}</p>`
      }`,
      { glyph: 'globe' },
    )}
    ${panel(
      w.dns,
      html`<p class="soft">${w.dnsHint}</p>
        <dl class="facts">
          ${[
            ['CNAME', dns.cname],
            ...dns.a.map(each => ['A', each]),
            ...(dns.aaaa ?? []).map(each => ['AAAA', each]),
          ].map(
            ([type, value]) =>
              html`<div>
                <dt>${type}</dt>
                <dd>${copyable(value ?? '')}</dd>
              </div>`,
          )}
        </dl>`,
      { glyph: 'link' },
    )}
    ${certificatesPanel(uploaded, {
      may,
      isBusy: this.isBusy,
      add: event => void this.upload(event),
      drop: each => void this.dropCertificate(each),
    })}`;
  }

  private async upload(event: SubmitEvent): Promise<void> {
    const { certificate, key } = fields(event);
    const form = event.target as HTMLFormElement;
    const path = `/v2/organisations/${this.params.owner}/certificates`;
    if (await this.act(() => call('POST', path, { certificate, key }), w.created)) form.reset();
  }

  private async dropCertificate(each: Uploaded): Promise<void> {
    if (!(await confirmed(w.dropCertificate(each.names.join(', ')), w.remove))) return;
    const path = `/v2/organisations/${this.params.owner}/certificates/${each.id}`;
    void this.act(() => call('DELETE', path), w.removed);
  }

  private proving(found: Proof): TemplateResult {
    return html`<div class="notice" role="status">
      ${icon('key')}
      <div class="stack">
        <p><strong>${w.takenByAnother(found.host)}</strong></p>
        <p>${w.proveHint}</p>
        ${record(found.names[0] ?? '', 'TXT', found.text)}
        ${found.names.length > 1 ? html`<p class="soft">${w.proveAbove(found.names.slice(1).join(', '))}</p>` : nothing}
        <div class="row">
          <button
            class="button primary"
            ?disabled=${this.isBusy}
            @click=${() => void this.claim(this.wanted)}
          >
            ${icon('check')} ${w.proveNow}
          </button>
          <button class="button" @click=${() => (this.proof = null)}>${w.cancel}</button>
        </div>
      </div>
    </div>`;
  }

  private row(each: Domain, may: boolean): TemplateResult {
    const name = each.fqdn.replace(/\/$/, '');
    const isOpenable = !each.host.startsWith('*.');
    return html`<li>
      <span class="name"
        >${
          isOpenable
            ? html`<a href="https://${name}/" target="_blank" rel="noopener"
                ><strong>${name}</strong> ${icon('external')}</a
              >`
            : html`<strong>${name}</strong>`
        }
        ${each.isFavourite ? badge(w.primary, 'good') : nothing}</span
      >
      ${
        may
          ? html`<span class="row">
              ${each.isFavourite ? nothing : html`<button class="button small" @click=${() => this.prefer(name)} aria-label="${w.makePrimary}: ${name}">${w.makePrimary}</button>`}
              <button
                class="button small danger"
                @click=${() => this.drop(name)}
                aria-label="${w.remove}: ${name}"
              >
                ${icon('trash')} ${w.remove}
              </button>
            </span>`
          : nothing
      }
      <dl class="states">
        <div>
          <dt>${icon('link')} DNS</dt>
          <dd>${dnsState(each.dns)}</dd>
        </div>
        <div>
          <dt>${icon('shield')} TLS</dt>
          <dd>${certificateState(each.certificate)}</dd>
        </div>
      </dl>
    </li>`;
  }

  private async add(event: SubmitEvent): Promise<void> {
    const { domain = '' } = fields(event);
    const form = event.target as HTMLFormElement;
    if (await this.claim(domain.trim().replace(/^https?:\/\//, ''))) form.reset();
  }

  /** A name that another organisation has is given to who proves that it is theirs: then we say how. */
  private async claim(name: string): Promise<boolean> {
    this.isBusy = true;
    try {
      await call('PUT', `${this.base}/vhosts/${encodeURIComponent(name)}`);
      say(w.domainAdded(name));
      this.proof = null;
      void this.look();
      return true;
    } catch (error) {
      const isShown = await this.howToProve(name, error);
      if (!isShown || this.wanted === name) say(isShown ? w.notProven : reason(error), 'bad');
      this.wanted = isShown ? name : '';
      return false;
    } finally {
      this.isBusy = false;
    }
  }

  private async howToProve(name: string, error: unknown): Promise<boolean> {
    if (!(error instanceof Refused) || error.status !== 409) return false;
    const host = encodeURIComponent(name.split('/')[0] ?? '');
    const found = await get<Proof>(`${this.base}/domains/${host}/proof`).catch(() => null);
    this.proof = found?.isOfUse ? found : null;
    return this.proof !== null;
  }

  private prefer(name: string): void {
    void this.act(() => call('PUT', `${this.base}/vhosts/favourite`, { fqdn: name }), w.saved);
  }

  private async drop(name: string): Promise<void> {
    if (!(await confirmed(w.dropDomain(name), w.remove))) return;
    void this.act(() => call('DELETE', `${this.base}/vhosts/${encodeURIComponent(name)}`), w.removed);
  }
}

function record(name: string, type: string, value: string): TemplateResult {
  return html`<span class="record">${copyable(name)} <b>${type}</b> ${copyable(value)}</span>`;
}

function dnsState(found: Dns): TemplateResult {
  const to = [...(found.cname ? [found.cname] : []), ...found.addresses].join(', ');
  const more = found.hiddenAddresses ? w.privateAddresses(found.hiddenAddresses) : '';
  return html`${badge(w.leads[found.lead]?.[0] ?? found.lead, TONES[found.lead])}
    ${to || more ? html`<code>${[to, more].filter(Boolean).join(', ')}</code>` : nothing}
    <span class="soft">${w.leads[found.lead]?.[1]}</span>
    ${
      found.records.length
        ? html`<span class="records"
            ><span>${w.toCreate}</span>
            ${found.records.map(each => record(each.name, each.type, each.value))}</span
          >`
        : ['elsewhere', 'nowhere'].includes(found.lead)
          ? html`<span class="soft records">${w.noRecordHelps}</span>`
          : nothing
    }`;
}

function certificateState(found: Certificate): TemplateResult {
  const until = found.notAfter === null ? '' : ` · ${w.until(moment(found.notAfter))}`;
  const isPending = ['failed', 'renewing', 'ordered'].includes(found.state) && found.nextTryAt !== null;
  return html`${badge(w.certificates[found.state] ?? found.state, TONES[found.state])}
    <span class="soft">${found.issuer}${until}${found.isOperators ? ` · ${w.byOperator}` : ''}</span>
    ${found.error ? html`<span class="soft bad">${w.failedTimes(found.failures)} ${told(found.error, 'room')}</span>` : nothing}
    ${isPending ? html`<span class="soft">${found.state === 'ordered' ? w.renewedAt(ahead(found.nextTryAt ?? 0)) : w.triedAgain(ahead(found.nextTryAt ?? 0))}</span>` : nothing}`;
}

customElements.define('hv-domains', Domains);
