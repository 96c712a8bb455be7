/** How long ago, in words that go on by themselves; the moment itself when one points at it. */
import { html, type TemplateResult } from 'lit';
import { ago, moment } from './format';

const EVERY_MS = 10_000;
const shown = new Set<Since>();

class Since extends HTMLElement {
  #at = 0;

  set at(at: number) {
    this.#at = at;
    this.title = moment(at);
    this.tell();
  }

  tell(): void {
    const words = ago(this.#at);
    if (this.textContent !== words) this.textContent = words;
  }

  connectedCallback(): void {
    shown.add(this);
  }

  disconnectedCallback(): void {
    shown.delete(this);
  }
}

window.setInterval(() => shown.forEach(each => each.tell()), EVERY_MS);
customElements.define('hv-since', Since);

export const since = (at: number): TemplateResult => html`<hv-since .at=${at}></hv-since>`;
