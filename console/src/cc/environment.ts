/** The forms of variables: simple, expert and JSON. What they show is the page's to ask for and to save. */
import '@clevercloud/components/dist/cc-env-var-form.js';
import '@clevercloud/components/dist/cc-env-var-linked-services.js';
import { html, type TemplateResult } from 'lit';
import { speakOfForms } from './core';

await speakOfForms();

export interface Variable {
  name: string;
  value: string;
}

export type FormState =
  | { type: 'loading' | 'error' }
  | { type: 'loaded' | 'saving'; validationMode: 'simple' | 'strict'; variables: Variable[] };

export function variablesForm(
  state: FormState,
  options: {
    name: string;
    restart: boolean;
    readonly: boolean;
    save: (found: Variable[]) => void;
    start: () => void;
  },
): TemplateResult {
  return html`<cc-env-var-form
    context="env-var"
    app-name=${options.name}
    ?restart-app=${options.restart}
    ?readonly=${options.readonly}
    .state=${state}
    @cc-env-var-form:submit=${(event: CustomEvent<Variable[]>) => options.save(event.detail)}
    @cc-env-var-form:restart-app=${options.start}
  ></cc-env-var-form>`;
}

export function publishedForm(
  state: FormState,
  options: { name: string; readonly: boolean; save: (found: Variable[]) => void },
): TemplateResult {
  return html`<cc-env-var-form
    context="exposed-config"
    app-name=${options.name}
    ?readonly=${options.readonly}
    .state=${state}
    @cc-env-var-form:submit=${(event: CustomEvent<Variable[]>) => options.save(event.detail)}
  ></cc-env-var-form>`;
}

/** What other applications publish for this one: to read, and to copy as text or JSON. */
export function linkedVariables(
  name: string,
  found: { name: string; variables: Variable[] }[],
): TemplateResult {
  const servicesStates = found.map(each => ({ type: 'loaded', ...each }));
  return html`<cc-env-var-linked-services
    type="app"
    app-name=${name}
    .state=${{ type: 'loaded', servicesStates }}
  ></cc-env-var-linked-services>`;
}
