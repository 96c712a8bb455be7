/** The SSH keys of a person. */
import { html, type TemplateResult } from 'lit';
import { call, get } from '../kit/api';
import { names, send, takeAway } from '../kit/lists';
import type { Change } from '../kit/live';
import { fields, Page } from '../kit/page';
import { confirmed, panel } from '../kit/parts';
import { w } from '../words';

interface Key {
  name: string;
  key: string;
  fingerprint: string;
}

class Keys extends Page<Key[]> {
  get heading(): string {
    return w.sections['hv-keys'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('governance.key');
  }

  protected load(): Promise<Key[]> {
    return get<Key[]>('/v2/self/keys');
  }

  protected view(found: Key[]): TemplateResult {
    return html`${panel(
      w.newKey,
      html`<p class="soft">${w.keyHint}</p>
        <form class="grid" @submit=${this.add}>
          <label>${w.name}<input name="name" required maxlength="120" autocomplete="off" /></label>
          <label
            >${w.publicKey}<input
              name="key"
              required
              autocomplete="off"
              spellcheck="false"
              placeholder="ssh-ed25519 AAAA…"
          /></label>
          ${send(w.add, this.isBusy)}
        </form>`,
      { glyph: 'key' },
    )}
    ${panel(
      w.sections['hv-keys'] ?? '',
      names(found, w.noKeys, each => ({
        name: html`<strong>${each.name}</strong>`,
        about: html`<code>${each.fingerprint}</code>`,
        aside: takeAway(w.remove, each.name, () => this.drop(each)),
      })),
      { glyph: 'list' },
    )}`;
  }

  private async add(event: SubmitEvent): Promise<void> {
    const { name = '', key = '' } = fields(event);
    const form = event.target as HTMLFormElement;
    const path = `/v2/self/keys/${encodeURIComponent(name)}`;
    if (await this.act(() => call('PUT', path, key.trim()), w.saved)) form.reset();
  }

  private async drop(each: Key): Promise<void> {
    if (!(await confirmed(w.dropKey(each.name), w.remove))) return;
    void this.act(() => call('DELETE', `/v2/self/keys/${encodeURIComponent(each.name)}`), w.removed);
  }
}

customElements.define('hv-keys', Keys);
