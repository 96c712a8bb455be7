/** A new application: what kind, what size, what name; then the commands that bring the code. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { flavorPicker, sorted } from '../kit/flavors';
import { icon } from '../kit/icons';
import { fields, Page } from '../kit/page';
import { panel } from '../kit/parts';
import { pushCommands } from '../kit/push';
import { shared } from '../kit/state';
import type { Application, Flavor } from '../kit/types';
import { told } from '../kit/told';
import { w } from '../words';

interface Product {
  type: string;
  name: string;
  variant: { id: string; slug: string; name: string };
  description: string;
  flavors: Flavor[];
  defaultFlavor: Flavor;
}

class NewApp extends Page<Product[]> {
  static override properties = {
    ...Page.properties,
    kind: { state: true },
    flavor: { state: true },
    made: { state: true },
  };
  declare kind: string;
  declare flavor: string;
  declare made: Application | null;

  constructor() {
    super();
    this.kind = 'node';
    this.flavor = 'XS';
    this.made = null;
  }

  get heading(): string {
    return this.made ? this.made.name : (w.sections['hv-new-app'] ?? '');
  }

  protected async load(): Promise<Product[]> {
    const found = await get<Product[]>('/v2/products/instances');
    return found.sort((a, b) => a.name.localeCompare(b.name));
  }

  protected view(products: Product[]): TemplateResult {
    if (this.made) return this.next(this.made);
    const product = products.find(each => each.variant.slug === this.kind) ?? products[0];
    return html`<form @submit=${this.create}>
      ${panel(
        w.whatKind,
        html`<fieldset class="picker kinds">
          <legend class="hidden">${w.kind}</legend>
          <div>
            ${products.map(
              each =>
                html`<label title=${titleOf(each)}>
                  <input
                    type="radio"
                    name="kind"
                    value=${each.variant.slug}
                    .checked=${each.variant.slug === this.kind}
                    ?disabled=${lacks(each)}
                    @change=${() => (this.kind = each.variant.slug)}
                  />
                  <span
                    ><i class="glyph" aria-hidden="true">${each.name.slice(0, 2)}</i
                    ><strong>${each.variant.name}</strong
                    >${lacks(each) ? html`<small>${w.notHere}</small>` : nothing}</span
                  >
                </label>`,
            )}
          </div>
        </fieldset>`,
        { glyph: 'box' },
      )}
      ${
        product
          ? panel(
              w.whatSize,
              html`${flavorPicker({ name: 'flavor', legend: w.flavor, flavors: sorted(product.flavors), chosen: this.flavor, pick: name => (this.flavor = name) })}
                <div class="inline">
                  <label
                    >${w.instances}<input type="number" name="instances" min="1" max="40" value="1" required
                  /></label>
                </div>`,
              { glyph: 'gauge' },
            )
          : nothing
      }
      ${panel(
        w.whatName,
        html`<div class="grid">
          <label>${w.name}<input name="name" required maxlength="80" autocomplete="off" /></label>
          <label>${w.description}<input name="description" maxlength="400" autocomplete="off" /></label>
        </div>`,
        { glyph: 'settings' },
      )}
      <div class="row end">
        <a class="button" href="/organisations/${this.params.owner}">${w.cancel}</a>
        <button class="button primary" ?disabled=${this.isBusy}>
          ${icon('plus')} ${w.createApplication}
        </button>
      </div>
    </form>`;
  }

  private next(app: Application): TemplateResult {
    return html`${panel(w.pushIt, pushCommands(app, true), { glyph: 'box' })}
      <div class="row end">
        <a class="button" href="/organisations/${app.ownerId}/applications/${app.id}/environment-variables"
          >${w.setVariables}</a
        >
        <a class="button primary" href="/organisations/${app.ownerId}/applications/${app.id}"
          >${w.goToApplication}</a
        >
      </div>`;
  }

  private async create(event: SubmitEvent): Promise<void> {
    const found = fields(event);
    const product = this.data?.find(each => each.variant.slug === this.kind);
    if (!product) return;
    const count = Number(found.instances);
    const body = {
      name: found.name,
      description: found.description || found.name,
      instanceType: product.type,
      instanceVariant: product.variant.id,
      minFlavor: this.flavor,
      maxFlavor: this.flavor,
      minInstances: count,
      maxInstances: count,
      zone: 'par',
    };
    await this.act(async () => {
      this.made = await call<Application>(
        'POST',
        `/v2/organisations/${this.params.owner}/applications`,
        body,
      );
      void shared.fresh(this.params.owner ?? '');
    }, w.created);
  }
}

/** What of it is not on this machine; empty: nothing. */
const lackOf = (each: Product): string => /\(not on this machine: (.*)\)/.exec(each.description)?.[1] ?? '';
const lacks = (each: Product): boolean => lackOf(each) !== '';
const titleOf = (each: Product): string =>
  each.variant.name + (lacks(each) ? ` (${told(lackOf(each), 'machine')})` : '');

customElements.define('hv-new-app', NewApp);
