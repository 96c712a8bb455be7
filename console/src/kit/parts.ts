/** Small pieces that several pages show. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import { say } from './toasts';
import { w } from '../words';
import { bytes, clock, moment, number } from './format';
import { icon, type IconName } from './icons';
import type { Condition, Flavor } from './types';

const TONES: Record<string, string> = {
  running: 'good',
  deploying: 'busy',
  failed: 'bad',
  stopped: 'idle',
  asleep: 'idle',
  'never deployed': 'idle',
  OK: 'good',
  WIP: 'busy',
  FAIL: 'bad',
  CANCELLED: 'idle',
};

export function condition(found: Condition): TemplateResult {
  return badge(w.conditions[found], TONES[found]);
}

export function deploymentState(state: string): TemplateResult {
  return badge(w.deploymentStates[state] ?? state, TONES[state]);
}

export function badge(text: string, tone = 'idle'): TemplateResult {
  return html`<span class="badge ${tone}"><i></i>${text}</span>`;
}

export function copyable(text: string, shown = text): TemplateResult {
  const copy = async (): Promise<void> => {
    await navigator.clipboard?.writeText(text);
    say(w.copied);
  };
  return html`<span class="copyable"
    ><code>${shown}</code
    ><button type="button" class="bare" title=${w.copy} aria-label="${w.copy}: ${shown}" @click=${copy}>
      ${icon('copy')}
    </button></span
  >`;
}

export function fact(name: string, value: unknown): TemplateResult {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;
}

export function panel(
  title: string,
  inside: unknown,
  options: { glyph?: IconName; aside?: unknown } = {},
): TemplateResult {
  return html`<section class="panel">
    <header>
      <h2>${options.glyph ? icon(options.glyph) : nothing}${title}</h2>
      ${options.aside ?? nothing}
    </header>
    ${inside}
  </section>`;
}

export function memoryWords(found: Flavor): string {
  return bytes(found.mem * 1024 ** 2);
}

export function flavorWords(found: Flavor): string {
  return `${found.cpus} ${w.cpu(found.cpus)}, ${memoryWords(found)}`;
}

export interface Bar {
  at: number;
  parts: { value: number; tone: string }[];
}

const WIDTH = 480;
const HEIGHT = 96;

/** Bars of a day, stacked by tone. `told` is what a reader hears instead. */
export function bars(found: Bar[], told: string): TemplateResult {
  const most = Math.max(1, ...found.map(bar => bar.parts.reduce((sum, each) => sum + each.value, 0)));
  const step = WIDTH / Math.max(1, found.length);
  const drawn = found.map((bar, index) => {
    let top = HEIGHT;
    return bar.parts
      .filter(each => each.value > 0)
      .map(each => {
        const height = Math.max(2, (each.value / most) * (HEIGHT - 6));
        top -= height;
        return svg`<rect class=${each.tone} x=${index * step + 1.5} y=${top} width=${Math.max(1, step - 3)} height=${height} rx="2"><title>${clock(bar.at)}: ${number(each.value)}</title></rect>`;
      });
  });
  return chart(drawn, told, found[0]?.at, found.at(-1)?.at);
}

export interface Measured {
  at: number;
  value: number;
}

/** A line over a range of time, from 0 to `most` percent; it ends where nothing was measured for more than `gapMs`. */
export function area(
  found: Measured[],
  options: { from: number; to: number; gapMs: number; told: string; tone: string },
): TemplateResult {
  const { from, to, gapMs, told, tone } = options;
  const most = Math.max(10, ...found.map(each => each.value)) * 1.1;
  const x = (at: number): number => ((at - from) / Math.max(1, to - from)) * WIDTH;
  const y = (value: number): number => HEIGHT - (value / most) * (HEIGHT - 4);
  const runs: Measured[][] = [];
  for (const each of found) {
    const before = runs.at(-1)?.at(-1);
    if (before && each.at - before.at <= gapMs) runs.at(-1)?.push(each);
    else runs.push([each]);
  }
  const drawn = runs.map(run => {
    const line = run.map(each => `${x(each.at).toFixed(1)},${y(each.value).toFixed(1)}`).join(' L');
    const [begin, end] = [x(run[0]?.at ?? from), x(run.at(-1)?.at ?? from)];
    return svg`<path class="fill ${tone}" d="M${begin},${HEIGHT} L${line} L${end},${HEIGHT}z" /><path class="line ${tone}" d="M${line}" />`;
  });
  const last = found.at(-1);
  if (last) drawn.push(svg`<circle class="dot ${tone}" cx=${x(last.at)} cy=${y(last.value)} r="3" />`);
  return chart(drawn, told, from, to);
}

/** A moment as short as it can be told: today's by the clock, others by the day too. */
const since = (at: number): string => (Date.now() - at > 90_000_000 ? moment(at) : clock(at));

function chart(drawn: unknown, told: string, from?: number, to?: number): TemplateResult {
  return html`<div class="chart">
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${told}>
      ${svg`<line class="grid" x1="0" x2=${WIDTH} y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} /><line class="grid" x1="0" x2=${WIDTH} y1=${HEIGHT / 2} y2=${HEIGHT / 2} />`}
      ${drawn}
    </svg>
    <div class="axis" aria-hidden="true">
      <span>${from ? since(from) : ''}</span><span>${to ? clock(to) : ''}</span>
    </div>
  </div>`;
}

/** Ask before something that cannot be undone: a dialog of the browser's own, with our words in it. */
export function confirmed(text: string, doIt: string, mustType = ''): Promise<boolean> {
  const dialog = document.createElement('dialog');
  dialog.className = 'ask';
  const form = document.createElement('form');
  form.method = 'dialog';
  const words = document.createElement('p');
  words.textContent = text;
  const input = document.createElement('input');
  input.setAttribute('aria-label', w.typeName(mustType));
  input.placeholder = mustType;
  input.autocomplete = 'off';
  const row = document.createElement('div');
  row.className = 'row end';
  const no = Object.assign(document.createElement('button'), {
    className: 'button',
    value: 'no',
    textContent: w.cancel,
  });
  const yes = Object.assign(document.createElement('button'), {
    className: 'button danger',
    value: 'yes',
    textContent: doIt,
  });
  no.formNoValidate = true;
  if (mustType) {
    yes.disabled = true;
    input.addEventListener('input', () => (yes.disabled = input.value !== mustType));
  }
  row.append(no, yes);
  form.append(words, ...(mustType ? [input] : []), row);
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise(resolve => {
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes');
      dialog.remove();
    });
  });
}
