/** Log lines, thousands of them, in the colours of their terminal: the list alone, as somebody chose it at the pages of logs. */
import '@clevercloud/components/dist/cc-logs.js';
import '@lit-labs/virtualizer/layouts/flow.js'; // which it would fetch later, maybe when nobody answers
import { ansiPaletteStyle } from '@clevercloud/components/dist/lib/ansi/ansi-palette-style.js';
import plain from '@clevercloud/components/dist/lib/ansi/palettes/default.js';
import everblush from '@clevercloud/components/dist/lib/ansi/palettes/everblush.js';
import hyoob from '@clevercloud/components/dist/lib/ansi/palettes/hyoob.js';
import nightOwl from '@clevercloud/components/dist/lib/ansi/palettes/night-owl.js';
import oneLight from '@clevercloud/components/dist/lib/ansi/palettes/one-light.js';
import tokyoNight from '@clevercloud/components/dist/lib/ansi/palettes/tokyo-night-light.js';
import { html, type TemplateResult } from 'lit';
import { chosen, isDark } from '../kit/choices';

export interface Line {
  id: string;
  date: Date;
  message: string;
  metadata: { name: string; value: string }[];
}

export interface LogView extends HTMLElement {
  appendLogs(lines: Line[]): void;
  clear(): void;
}

const PALETTES: Record<string, Record<string, string>> = {
  default: plain,
  'One Light': oneLight,
  'Tokyo Night Light': tokyoNight,
  'Night Owl': nightOwl,
  Everblush: everblush,
  Hyoob: hyoob,
};

/** How lines are shown: what was chosen, else what the theme wants. */
export const look = () => ({
  palette: chosen('logs.palette', '') || (isDark() ? 'Everblush' : 'One Light'),
  date: chosen('logs.date-display', 'time-short'),
  timezone: chosen('logs.timezone', 'local'),
  wraps: chosen('logs.wrap-lines', 'true') === 'true',
  strips: chosen('logs.strip-ansi', 'false') === 'true',
});

export function linesView(renderers: Record<string, unknown>): TemplateResult {
  const { palette, date, timezone, wraps, strips } = look();
  return html`<cc-logs-beta
    follow
    .limit=${5000}
    .metadataRenderers=${renderers}
    style=${ansiPaletteStyle(PALETTES[palette] ?? oneLight)}
    date-display=${date}
    timezone=${timezone}
    ?wrap-lines=${wraps}
    ?strip-ansi=${strips}
  ></cc-logs-beta>`;
}
