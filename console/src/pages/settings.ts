/** What an application is called and how it is served; taking it away. */
import { html, nothing, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { sorted } from '../kit/flavors';
import { moment } from '../kit/format';
import { icon } from '../kit/icons';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { confirmed, copyable, fact, flavorWords, panel } from '../kit/parts';
import { go } from '../kit/router';
import { shared } from '../kit/state';
import type { Application } from '../kit/types';
import { w } from '../words';

const FLAGS = [
  'forceHttps',
  'stickySessions',
  'homogeneous',
  'cancelOnPush',
  'separateBuild',
  'task',
] as const;

class Settings extends Page<Application> {
  get heading(): string {
    return w.sections['hv-settings'] ?? '';
  }

  private get base(): string {
    return `/v2/organisations/${this.params.owner}/applications/${this.params.app}`;
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('apps.app.') && change.subject === this.params.app;
  }

  protected async load(): Promise<Application> {
    return get<Application>(this.base);
  }

  protected view(app: Application): TemplateResult {
    const may = shared.can('write');
    const on: Record<(typeof FLAGS)[number], boolean> = {
      forceHttps: app.forceHttps === 'ENABLED',
      stickySessions: app.stickySessions,
      homogeneous: !app.homogeneous,
      cancelOnPush: app.cancelOnPush,
      separateBuild: app.separateBuild,
      task: app.instance.lifetime === 'TASK',
    };
    return html`<form @submit=${this.save}>
        ${panel(
          w.information,
          html`<div class="grid">
              <label
                >${w.name}<input name="name" required maxlength="80" .value=${app.name} ?disabled=${!may}
              /></label>
              <label
                >${w.description}<input
                  name="description"
                  maxlength="400"
                  .value=${app.description}
                  ?disabled=${!may}
              /></label>
              <label
                >${w.tags}<input
                  name="tags"
                  .value=${app.tags.join(' ')}
                  placeholder="production team:web"
                  ?disabled=${!may}
              /></label>
              <label
                >${w.branch}<input
                  name="branch"
                  required
                  maxlength="200"
                  spellcheck="false"
                  autocapitalize="off"
                  .value=${app.branch}
                  title=${w.branchHint}
                  ?disabled=${!may}
              /></label>
              <label
                >${w.buildFlavor}<select name="buildFlavor" ?disabled=${!may}>
                  ${sorted(app.instance.flavors).map(each => html`<option value=${each.name} ?selected=${each.name === app.buildFlavor.name}>${each.name} (${flavorWords(each)})</option>`)}
                </select></label
              >
            </div>
            <dl class="facts tight">
              ${fact(w.kind, app.instance.variant.name)} ${fact(w.createdAt, moment(app.creationDate))}
              ${fact(w.id, copyable(app.id))} ${fact('git', copyable(app.deployment.url))}
            </dl>`,
          { glyph: 'settings' },
        )}
        ${panel(
          w.behaviour,
          html`<ul class="plain flags">
            ${FLAGS.map(
              each =>
                html`<li>
                  <label class="check"
                    ><input
                      type="checkbox"
                      role="switch"
                      name=${each}
                      .checked=${on[each]}
                      ?disabled=${!may}
                    />
                    <span
                      ><strong>${w.flags[each]?.[0]}</strong><small>${w.flags[each]?.[1]}</small></span
                    ></label
                  >
                </li>`,
            )}
          </ul>`,
          { glyph: 'shield' },
        )}
        ${may ? html`<div class="row end"><button class="button primary" ?disabled=${this.isBusy}>${w.save}</button></div>` : nothing}
      </form>
      ${
        shared.can('delete')
          ? panel(
              w.danger,
              html`<div class="row between">
                <p>${w.deleteHint}</p>
                <button class="button danger" @click=${() => void this.erase(app)}>
                  ${icon('trash')} ${w.deleteApplication}
                </button>
              </div>`,
              { glyph: 'alert' },
            )
          : nothing
      }`;
  }

  private async save(event: SubmitEvent): Promise<void> {
    const found = fields(event);
    const on = (name: string): boolean => found[name] === 'on';
    const body = {
      name: found.name,
      description: found.description,
      branch: (found.branch ?? '').trim(),
      buildFlavor: found.buildFlavor,
      forceHttps: on('forceHttps') ? 'ENABLED' : 'DISABLED',
      stickySessions: on('stickySessions'),
      homogeneous: !on('homogeneous'),
      cancelOnPush: on('cancelOnPush'),
      separateBuild: on('separateBuild'),
      instanceLifetime: on('task') ? 'TASK' : 'REGULAR',
    };
    await this.act(async () => {
      await call('PUT', this.base, body);
      await call('PUT', `${this.base}/tags`, (found.tags ?? '').split(/[\s,]+/).filter(Boolean));
    }, w.saved);
  }

  private async erase(app: Application): Promise<void> {
    if (!(await confirmed(w.deleteQuestion(app.name), w.deleteApplication, app.name))) return;
    if (await this.act(() => call('DELETE', this.base), w.deleting))
      go(`/organisations/${this.params.owner}`);
  }
}

customElements.define('hv-settings', Settings);
