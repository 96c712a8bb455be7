/** What is said for a moment at the edge of the page; it stays while somebody points at it or reads it by keyboard. */
import { LitElement, html, type TemplateResult } from 'lit';
import { w } from '../words';
import { icon } from './icons';

type Tone = 'good' | 'bad' | 'busy';

interface Toast {
  text: string;
  tone: Tone;
  timer: number;
}

const STAYS_MS = { good: 5_000, busy: 5_000, bad: 12_000 };
const MOST = 4;

class Toasts extends LitElement {
  static override properties = { found: { state: true } };
  declare found: Toast[];

  constructor() {
    super();
    this.found = [];
  }

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  show(text: string, tone: Tone): void {
    const made: Toast = { text, tone, timer: 0 };
    this.found.slice(0, Math.max(0, this.found.length + 1 - MOST)).forEach(each => this.drop(each));
    this.found = [...this.found, made];
    this.leave(made);
  }

  private drop(gone: Toast): void {
    window.clearTimeout(gone.timer);
    this.found = this.found.filter(each => each !== gone);
  }

  private stay(each: Toast): void {
    window.clearTimeout(each.timer);
  }

  private leave(each: Toast): void {
    this.stay(each);
    each.timer = window.setTimeout(() => this.drop(each), STAYS_MS[each.tone]);
  }

  protected override render(): TemplateResult {
    return html`<div class="toasts" role="status" aria-live="polite">
      ${this.found.map(
        each =>
          html`<div
            class="toast ${each.tone}"
            @pointerenter=${() => this.stay(each)}
            @pointerleave=${() => this.leave(each)}
            @focusin=${() => this.stay(each)}
            @focusout=${() => this.leave(each)}
          >
            ${icon(each.tone === 'good' ? 'check' : 'alert')}<span>${each.text}</span>
            <button class="bare" @click=${() => this.drop(each)} aria-label=${w.close} title=${w.close}>
              ${icon('cross')}
            </button>
          </div>`,
      )}
    </div>`;
  }
}

customElements.define('hv-toasts', Toasts);

/** Say something for a moment. */
export function say(text: string, tone: Tone = 'good'): void {
  document.querySelector<Toasts>('hv-toasts')?.show(text, tone);
}

// The components say so, too: that something was copied.
window.addEventListener('cc:notify', event => {
  const { message, intent } = (event as CustomEvent<{ message: string; intent: string }>).detail;
  say(message, intent === 'danger' ? 'bad' : intent === 'warning' ? 'busy' : 'good');
});
