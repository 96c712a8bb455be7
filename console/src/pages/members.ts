/** The people of an organisation, and what each may do. */
import { html, type TemplateResult } from 'lit';
import { members } from '../cc/people';
import type { Change } from '../kit/live';
import { Page } from '../kit/page';
import { panel } from '../kit/parts';
import { shared } from '../kit/state';
import type { Overview } from '../kit/types';
import { w } from '../words';

class Members extends Page<Overview> {
  get heading(): string {
    return w.sections['hv-members'] ?? '';
  }

  protected override wakes(change: Change): boolean {
    return change.name.startsWith('governance.member');
  }

  protected load(): Promise<Overview> {
    return shared.of(this.params.owner ?? '');
  }

  protected view(found: Overview): TemplateResult {
    return html`${members(found.can.includes('admin'))}
    ${panel(
      w.whatRolesMay,
      html`<div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">${w.role}</th>
              ${w.rightsOfRoles.map(each => html`<th scope="col">${each}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${(['ADMIN', 'MANAGER', 'DEVELOPER', 'ACCOUNTING'] as const).map(
              (role, index) =>
                html`<tr>
                  <th scope="row">${w.roles[role]}</th>
                  ${w.rightsOfRoles.map((_, right) => html`<td>${right < [5, 4, 3, 1][index]! ? '✓' : '–'}</td>`)}
                </tr>`,
            )}
          </tbody>
        </table>
      </div>`,
      { glyph: 'shield' },
    )}`;
  }
}

customElements.define('hv-members', Members);
