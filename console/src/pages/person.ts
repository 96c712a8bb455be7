/** Who one is here, and how the console looks at this browser. */
import { html, type TemplateResult } from 'lit';
import { get } from '../kit/api';
import { choose, language, setTheme, theme, type Theme } from '../kit/choices';
import { moment } from '../kit/format';
import { Page } from '../kit/page';
import { badge, copyable, fact, panel } from '../kit/parts';
import type { Me } from '../kit/types';
import { w } from '../words';

class Person extends Page<Me> {
  get heading(): string {
    return w.sections['hv-person'] ?? '';
  }

  protected load(): Promise<Me> {
    return get<Me>('/v2/self');
  }

  protected view(me: Me): TemplateResult {
    const has = me.preferredMFA !== 'NONE';
    return html`${panel(
      w.information,
      html`<dl class="facts">
        ${fact(w.name, me.name)}
        ${fact(w.emailAddress, html`${me.email} <a href="/users/me/emails">${w.change}</a>`)}
        ${fact(w.createdAt, moment(me.creationDate))} ${fact(w.id, copyable(me.id))}
        ${me.admin ? fact(w.role, badge(w.operator, 'good')) : ''}
      </dl>`,
      { glyph: 'person' },
    )}
    ${panel(
      w.security,
      html`<dl class="facts">${fact(w.twoSteps, has ? badge(w.on, 'good') : badge(w.off, 'busy'))}</dl>
        <p><a class="button" href="/users/me/security">${w.passwordAndSteps}</a></p>`,
      { glyph: 'shield' },
    )}
    ${panel(
      w.appearance,
      html`<div class="inline">
        <label
          >${w.theme}<select
            @change=${(event: Event) => setTheme((event.target as HTMLSelectElement).value as Theme)}
          >
            ${(['system', 'light', 'dark'] as const).map(each => html`<option value=${each} ?selected=${each === theme()}>${w.themes[each]}</option>`)}
          </select></label
        >
        <label
          >${w.language}<select @change=${this.speak}>
            <option value="en" ?selected=${language() === 'en'}>English</option>
            <option value="fr" ?selected=${language() === 'fr'}>Français</option>
          </select></label
        >
      </div>`,
      { glyph: 'sun' },
    )}`;
  }

  private speak(event: Event): void {
    choose('language', (event.target as HTMLSelectElement).value);
    location.reload();
  }
}

customElements.define('hv-person', Person);
