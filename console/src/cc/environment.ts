/** The forms of variables: simple, expert and JSON. The one of an application has its smart half here. */
import '@clevercloud/components/dist/cc-env-var-form.js';
import '@clevercloud/components/dist/cc-env-var-form.smart-exposed-config.js';
import { html, type TemplateResult } from 'lit';

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

export function publishedForm(): TemplateResult {
  return html`<cc-smart-container
    ><cc-env-var-form context="exposed-config"></cc-env-var-form
  ></cc-smart-container>`;
}
