/** Programs that may ask people of an organisation to act in their name. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { icon } from '../kit/icons';
import { fields, Page } from '../kit/page';
import { confirmed, copyable, fact, panel } from '../kit/parts';
import { go } from '../kit/router';
import { shared } from '../kit/state';
import { w } from '../words';

interface Consumer {
  key: string;
  name: string;
  description: string;
  url: string;
  picture: string;
  baseUrl: string;
  rights: Record<string, boolean>;
}

const RIGHTS = [
  'access_organisations',
  'access_organisations_bills',
  'access_organisations_consumption_statistics',
  'access_organisations_credit_count',
  'access_personal_information',
  'manage_organisations',
  'manage_organisations_applications',
  'manage_organisations_members',
  'manage_organisations_services',
  'manage_personal_information',
  'manage_ssh_keys',
];

function form(found: Partial<Consumer>, save: (event: SubmitEvent) => void, isBusy: boolean): TemplateResult {
  return html`<form @submit=${save}>
    <div class="grid">
      <label>${w.name}<input name="name" required .value=${found.name ?? ''} /></label>
      <label>${w.description}<input name="description" .value=${found.description ?? ''} /></label>
      <label>${w.homePage}<input name="url" type="url" .value=${found.url ?? ''} /></label>
      <label>${w.baseUrl}<input name="baseUrl" type="url" .value=${found.baseUrl ?? ''} /></label>
    </div>
    <fieldset class="checks">
      <legend>${w.mayAskFor}</legend>
      ${RIGHTS.map(
        each =>
          html`<label class="check"
            ><input type="checkbox" name=${each} .checked=${found.rights?.[each] ?? false} /><span
              >${w.grants[each] ?? each}</span
            ></label
          >`,
      )}
    </fieldset>
    <div class="row end"><button class="button primary" ?disabled=${isBusy}>${w.save}</button></div>
  </form>`;
}

function bodyOf(event: SubmitEvent): unknown {
  const found = fields(event);
  const rights = Object.fromEntries(RIGHTS.map(each => [each, found[each] === 'on']));
  const { name, description, url, baseUrl } = found;
  return { name, description, url: url || null, baseUrl: baseUrl || null, rights };
}

class Consumers extends Page<Consumer[]> {
  get heading(): string {
    return w.sections['hv-consumers'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/consumers`;
  }

  protected load(): Promise<Consumer[]> {
    return get<Consumer[]>(this.base);
  }

  protected view(found: Consumer[]): TemplateResult {
    return html`${panel(
      w.sections['hv-consumers'] ?? '',
      found.length
        ? html`<ul class="rows names">
            ${found.map(
              each =>
                html`<li>
                  <span class="name"
                    ><a href="/organisations/${this.params.owner}/oauth-consumers/${each.key}"
                      ><strong>${each.name}</strong></a
                    ><span class="soft">${each.baseUrl || each.url || each.description}</span></span
                  >
                </li>`,
            )}
          </ul>`
        : html`<p class="soft">${w.noConsumers}</p>`,
      { glyph: 'key' },
    )}
    ${
      shared.can('admin')
        ? panel(
            w.newConsumer,
            form({}, event => void this.add(event), this.isBusy),
            { glyph: 'plus' },
          )
        : nothing
    }`;
  }

  private async add(event: SubmitEvent): Promise<void> {
    const body = bodyOf(event);
    await this.act(async () => {
      const made = await call<Consumer>('POST', this.base, body);
      go(`/organisations/${this.params.owner}/oauth-consumers/${made.key}`);
    }, w.created);
  }
}

class OneConsumer extends Page<Consumer> {
  static override properties = { ...Page.properties, secret: { state: true } };
  declare secret: string;

  get heading(): string {
    return this.data?.name ?? w.sections['hv-consumer'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/consumers/${this.params.key}`;
  }

  protected load(): Promise<Consumer> {
    return get<Consumer>(this.base);
  }

  protected view(found: Consumer): TemplateResult {
    const may = shared.can('admin');
    return html`${panel(
      w.credentials,
      html`<dl class="facts tight">
        ${fact(w.keyWord, copyable(found.key))}
        ${may ? fact(w.secret, this.secret ? copyable(this.secret) : html`<button class="button small" @click=${() => void this.reveal()}>${w.reveal}</button>`) : nothing}
      </dl>`,
      { glyph: 'key' },
    )}
    ${
      may
        ? html`${panel(
            w.information,
            form(found, event => this.save(event), this.isBusy),
            { glyph: 'settings' },
          )}
          ${panel(w.danger, html`<div class="row end"><button class="button danger" @click=${() => void this.erase()}>${icon('trash')} ${w.remove}</button></div>`, { glyph: 'alert' })}`
        : nothing
    }`;
  }

  private async reveal(): Promise<void> {
    await this.act(async () => {
      this.secret = (await get<{ secret: string }>(`${this.base}/secret`)).secret;
    }, '');
  }

  private save(event: SubmitEvent): void {
    const body = bodyOf(event);
    void this.act(() => call('PUT', this.base, body), w.saved);
  }

  private async erase(): Promise<void> {
    if (!(await confirmed(w.dropConsumer(this.heading), w.remove))) return;
    if (await this.act(() => call('DELETE', this.base), w.removed))
      go(`/organisations/${this.params.owner}/oauth-consumers`);
  }
}

customElements.define('hv-consumers', Consumers);
customElements.define('hv-consumer', OneConsumer);
