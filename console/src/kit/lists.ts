/** Lists of named things with what may be done to each, and the search above a list. */
import { html, nothing, type TemplateResult } from 'lit';
import { w } from '../words';
import { icon, type IconName } from './icons';

export interface Named {
  name: unknown;
  about?: unknown;
  aside?: unknown;
}

/** A row for each, or what to do while there is none. */
export function names<T>(found: T[], none: string, row: (each: T) => Named): TemplateResult {
  if (!found.length) return html`<p class="soft">${none}</p>`;
  return html`<ul class="rows names">
    ${found.map(each => {
      const { name, about, aside } = row(each);
      return html`<li>
        <span class="name">${name} ${about ? html`<span class="soft">${about}</span>` : nothing}</span>
        ${aside ?? nothing}
      </li>`;
    })}
  </ul>`;
}

/** The button of a row that takes it away; `about` tells a listener which row. */
export function takeAway(
  word: string,
  about: string,
  act: () => unknown,
  glyph: IconName = 'trash',
): TemplateResult {
  return html`<button class="button small danger" aria-label="${word}: ${about}" @click=${act}>
    ${icon(glyph)} ${word}
  </button>`;
}

/** The button that sends a form in a grid. */
export function send(word: string, isBusy: boolean): TemplateResult {
  return html`<div class="row end">
    <button class="button primary" ?disabled=${isBusy}>${icon('plus')} ${word}</button>
  </div>`;
}

export function search(hint: string, value: string, set: (value: string) => void): TemplateResult {
  return html`<label class="search"
    >${icon('search')}<span class="hidden">${w.search}</span>
    <input
      type="search"
      placeholder=${hint}
      .value=${value}
      @input=${(event: InputEvent) => set((event.target as HTMLInputElement).value)}
  /></label>`;
}
