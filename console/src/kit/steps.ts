/** The steps of what somebody waits for, as they happen, with how long each took. */
import { html, nothing, type TemplateResult } from 'lit';
import { w } from '../words';
import { took } from './format';
import { icon } from './icons';
import type { Step } from './types';

/** How the whole is: it goes on, it went well, or it did not. */
export type Outcome = 'under way' | 'well' | 'badly';

export function stepsList(found: Step[], outcome: Outcome, now: number): TemplateResult | typeof nothing {
  if (!found.length) return nothing;
  return html`<ol class="steps" aria-label=${w.steps}>
    ${found.map((each, at) => stepItem(each, found[at + 1], outcome, now))}
  </ol>`;
}

/** What was undone after a later step failed had gone well. */
function toneOf(step: Step, next: Step | undefined, outcome: Outcome): string {
  const wasDone = step.state === 'done' || (step.state === 'undone' && hasBegun(next));
  if (wasDone || outcome === 'well') return 'good';
  if (step.state === 'undone' || (step.state === 'begun' && outcome === 'badly')) return 'bad';
  return step.state === 'begun' ? 'busy' : 'idle';
}

const hasBegun = (step: Step | undefined): boolean => (step?.beganAt ?? null) !== null;

function stepItem(step: Step, next: Step | undefined, outcome: Outcome, now: number): TemplateResult {
  const tone = toneOf(step, next, outcome);
  const ended = step.state === 'undone' && hasBegun(next) ? next?.beganAt : step.endedAt; // its undoing took no part
  const until = ended ?? (outcome === 'under way' ? now : step.beganAt);
  const ms = step.beganAt === null || until === null ? null : until - step.beganAt;
  const glyph = tone === 'good' ? icon('check') : tone === 'bad' ? icon('cross') : nothing;
  return html`<li class=${tone} aria-current=${tone === 'busy' ? 'step' : 'false'}>
    <i>${glyph}</i><span>${w.stepNames[step.name] ?? step.name}</span
    ><small>${ms === null ? '\u00a0' : took(ms)}</small>
  </li>`;
}
