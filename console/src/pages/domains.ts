/** The names of an application: what answers on each, which is shown, and what a DNS record has to say. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get, Refused } from '../kit/api';
import { moment } from '../kit/format';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { badge, confirmed, copyable, panel } from '../kit/parts';
import { shared } from '../kit/state';
import { w } from '../words';

interface Certificate {
  id: string;
  names: string[];
  issuer: string;
  notAfter: number | string;
  domains: string[];
}

interface Shown {
  names: string[];
  favourite: string | null;
  dns: { cname: string; a: string[]; aaaa?: string[] };
  certificates: Certificate[];
}

class Domains extends Page<Shown> {
  get heading(): string {
    return w.sections['hv-domains'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/applications/${this.params.app}/vhosts`;
  }

  protected override wakes(change: Change): boolean {
    return change.subject === this.params.app || change.name.startsWith('edge.');
  }

  protected async load(): Promise<Shown> {
    const { owner, app } = this.params;
    const [names, favourite, balancers, certificates] = await Promise.all([
      get<{ fqdn: string }[]>(this.base),
      get<{ fqdn: string }>(`${this.base}/favourite`).catch((error: unknown) => {
        if (error instanceof Refused && error.status === 404) return null;
        throw error;
      }),
      get<{ dns: Shown['dns'] }[]>(
        `/v4/load-balancers/organisations/${owner}/applications/${app}/load-balancers/default`,
      ),
      get<Certificate[]>(`/v2/organisations/${owner}/certificates`),
    ]);
    const dns = balancers[0]?.dns ?? { cname: '', a: [] };
    return { names: names.map(each => each.fqdn), favourite: favourite?.fqdn ?? null, dns, certificates };
  }

  protected view({ names, favourite, dns, certificates }: Shown): TemplateResult {
    const may = shared.can('write');
    const shown = names.map(each => each.replace(/\/$/, ''));
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
        <ul class="rows names">
          ${shown.map(each => this.row(each, each === favourite?.replace(/\/$/, ''), certificates, may))}
        </ul>`,
      { glyph: 'globe' },
    )}
    ${panel(
      w.dns,
      html`<p class="soft">${w.dnsHint}</p>
        <dl class="facts">
          <div>
            <dt>CNAME</dt>
            <dd>${copyable(dns.cname)}</dd>
          </div>
          ${dns.a.map(
            each =>
              html`<div>
                <dt>A</dt>
                <dd>${copyable(each)}</dd>
              </div>`,
          )}
          ${(dns.aaaa ?? []).map(
            each =>
              html`<div>
                <dt>AAAA</dt>
                <dd>${copyable(each)}</dd>
              </div>`,
          )}
        </dl>`,
      { glyph: 'link' },
    )}`;
  }

  private row(name: string, isFavourite: boolean, certificates: Certificate[], may: boolean): TemplateResult {
    const host = name.split('/')[0]?.split(':')[0] ?? '';
    const own = certificates.find(each => each.domains.includes(host));
    return html`<li>
      <span class="name"
        ><a href="https://${name}/" target="_blank" rel="noopener"
          ><strong>${name}</strong> ${icon('external')}</a
        >
        ${isFavourite ? badge(w.primary, 'good') : nothing}
        <span class="soft"
          >${icon('shield')}
          ${own ? w.ownCertificate(own.issuer, moment(own.notAfter)) : w.platformCertificate}</span
        ></span
      >
      ${
        may
          ? html`<span class="row">
              ${isFavourite ? nothing : html`<button class="button small" @click=${() => this.prefer(name)} aria-label="${w.makePrimary}: ${name}">${w.makePrimary}</button>`}
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
    </li>`;
  }

  private async add(event: SubmitEvent): Promise<void> {
    const { domain = '' } = fields(event);
    const form = event.target as HTMLFormElement;
    const name = domain.trim().replace(/^https?:\/\//, '');
    if (await this.act(() => call('PUT', `${this.base}/${encodeURIComponent(name)}`), w.domainAdded(name)))
      form.reset();
  }

  private prefer(name: string): void {
    void this.act(() => call('PUT', `${this.base}/favourite`, { fqdn: name }), w.saved);
  }

  private async drop(name: string): Promise<void> {
    if (!(await confirmed(w.dropDomain(name), w.remove))) return;
    void this.act(() => call('DELETE', `${this.base}/${encodeURIComponent(name)}`), w.removed);
  }
}

customElements.define('hv-domains', Domains);
