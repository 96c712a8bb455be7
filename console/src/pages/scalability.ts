/** How large and how many: between what bounds the platform may choose. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { flavorPicker, sorted } from '../kit/flavors';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { panel } from '../kit/parts';
import { shared } from '../kit/state';
import type { Application } from '../kit/types';
import { w } from '../words';

class Scalability extends Page<Application> {
  static override properties = { ...Page.properties, least: { state: true }, most: { state: true } };
  declare least: string;
  declare most: string;

  get heading(): string {
    return w.sections['hv-scalability'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/applications/${this.params.app}`;
  }

  protected override wakes(change: Change): boolean {
    return change.name === 'apps.app.changed' && change.subject === this.params.app;
  }

  protected async load(): Promise<Application> {
    const app = await get<Application>(this.base);
    this.least = app.instance.minFlavor.name;
    this.most = app.instance.maxFlavor.name;
    return app;
  }

  protected view(app: Application): TemplateResult {
    const may = shared.can('write');
    const flavors = sorted(app.instance.flavors);
    const { minInstances, maxInstances } = app.instance;
    const isSized = this.least !== this.most;
    return html`<form @submit=${this.save}>
      ${panel(
        w.vertical,
        html`<p class="soft">${w.verticalHint}</p>
          ${flavorPicker({
            name: 'minFlavor',
            legend: w.smallest,
            flavors,
            chosen: this.least,
            disabled: !may,
            pick: name =>
              this.pick(
                name,
                'least',
                flavors.map(each => each.name),
              ),
          })}
          ${flavorPicker({
            name: 'maxFlavor',
            legend: w.largest,
            flavors,
            chosen: this.most,
            disabled: !may,
            pick: name =>
              this.pick(
                name,
                'most',
                flavors.map(each => each.name),
              ),
          })}
          <p class="soft" role="status">
            ${isSized ? w.sizedBetween(this.least, this.most) : w.sizedAt(this.least)}
          </p>`,
        { glyph: 'gauge' },
      )}
      ${panel(
        w.horizontal,
        html`<p class="soft">${w.horizontalHint}</p>
          <div class="inline">
            <label
              >${w.leastInstances}<input
                type="number"
                name="minInstances"
                min="1"
                max="40"
                required
                .value=${String(minInstances)}
                ?disabled=${!may}
            /></label>
            <label
              >${w.mostInstances}<input
                type="number"
                name="maxInstances"
                min="1"
                max="40"
                required
                .value=${String(maxInstances)}
                ?disabled=${!may}
            /></label>
          </div>`,
        { glyph: 'scale' },
      )}
      ${
        may
          ? html`<div class="row end">
              <button class="button" name="then" value="save" ?disabled=${this.isBusy}>${w.save}</button>
              <button class="button primary" name="then" value="restart" ?disabled=${this.isBusy}>
                ${w.saveAndRestart}
              </button>
            </div>`
          : nothing
      }
    </form>`;
  }

  private pick(name: string, end: 'least' | 'most', order: string[]): void {
    this[end] = name;
    if (order.indexOf(this.least) > order.indexOf(this.most)) this[end === 'least' ? 'most' : 'least'] = name;
  }

  private async save(event: SubmitEvent): Promise<void> {
    const found = fields(event);
    const then = (event.submitter as HTMLButtonElement | null)?.value;
    const body = {
      minFlavor: this.least,
      maxFlavor: this.most,
      minInstances: Number(found.minInstances),
      maxInstances: Math.max(Number(found.minInstances), Number(found.maxInstances)),
    };
    await this.act(
      async () => {
        await call('PUT', this.base, body);
        if (then === 'restart') await call('POST', `${this.base}/instances`);
      },
      then === 'restart' ? w.savedAndBegun : w.saved,
    );
  }
}

customElements.define('hv-scalability', Scalability);
