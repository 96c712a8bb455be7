/** The view of log lines with what a person may choose about it: filtered, in one of several palettes, with these dates. */
import '@clevercloud/components/dist/cc-logs-control.js';
import { html, type TemplateResult } from 'lit';
import { choose } from '../kit/choices';
import { look } from './lines';

interface Options {
  follow?: boolean;
  filter?: string;
  limit?: number;
  metadata?: { name: string; value: string }[];
  renderers?: Record<string, unknown>;
  display?: Record<string, { label: string; hidden: boolean }>;
}

export function logView({
  follow = true,
  filter = '',
  limit = 5000,
  metadata = [],
  renderers,
  display,
}: Options): TemplateResult {
  const keep = (event: CustomEvent<{ name: string; value: unknown }>): void => {
    if (event.detail.name !== 'metadata-display')
      choose(`logs.${event.detail.name}`, String(event.detail.value));
  };
  const { palette, date, timezone, wraps, strips } = look();
  return html`<cc-logs-control-beta
    ?follow=${follow}
    .limit=${limit}
    .messageFilter=${filter || null}
    .metadataFilter=${metadata}
    .metadataRenderers=${renderers ?? {}}
    .metadataDisplay=${display ?? {}}
    .palette=${palette}
    date-display=${date}
    timezone=${timezone}
    ?wrap-lines=${wraps}
    ?strip-ansi=${strips}
    @cc-logs-control:option-change=${keep}
  ></cc-logs-control-beta>`;
}
