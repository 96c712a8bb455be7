/** Choosing a size: all flavors from small to large, with what each has. */
import { html, type TemplateResult } from 'lit';
import { w } from '../words';
import { memoryWords } from './parts';
import type { Flavor } from './types';

export function flavorPicker(options: {
  name: string;
  legend: string;
  flavors: Flavor[];
  chosen: string;
  disabled?: boolean;
  pick?: (name: string) => void;
}): TemplateResult {
  return html`<fieldset class="picker" ?disabled=${options.disabled ?? false}>
    <legend>${options.legend}</legend>
    <div>
      ${options.flavors.map(
        each =>
          html`<label>
            <input
              type="radio"
              name=${options.name}
              value=${each.name}
              .checked=${each.name === options.chosen}
              @change=${() => options.pick?.(each.name)}
            />
            <span
              ><strong>${each.name}</strong
              ><small>${each.cpus} ${w.cpu(each.cpus)}<br />${memoryWords(each)}</small></span
            >
          </label>`,
      )}
    </div>
  </fieldset>`;
}

export const sorted = (found: Flavor[]): Flavor[] =>
  [...found].sort((a, b) => a.mem - b.mem || a.cpus - b.cpus);
