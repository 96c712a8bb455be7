/** The view of log lines: thousands of them, filtered, in the colours of their terminal. */
import '@clevercloud/components/dist/cc-logs-control.js';
import '@lit-labs/virtualizer/layouts/flow.js'; // which it would fetch later, maybe when nobody answers
import { html, type TemplateResult } from 'lit';
import { chosen, choose, isDark } from '../kit/choices';

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
  const palette = chosen('logs.palette', '');
  return html`<cc-logs-control-beta
    ?follow=${follow}
    .limit=${limit}
    .messageFilter=${filter || null}
    .metadataFilter=${metadata}
    .metadataRenderers=${renderers ?? {}}
    .metadataDisplay=${display ?? {}}
    .palette=${palette || (isDark() ? 'Everblush' : 'One Light')}
    date-display=${chosen('logs.date-display', 'time-short')}
    timezone=${chosen('logs.timezone', 'local')}
    ?wrap-lines=${chosen('logs.wrap-lines', 'true') === 'true'}
    ?strip-ansi=${chosen('logs.strip-ansi', 'false') === 'true'}
    @cc-logs-control:option-change=${keep}
  ></cc-logs-control-beta>`;
}
