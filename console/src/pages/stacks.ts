/** What applications run on: each stack with its packages, and who uses it. */
import { html, nothing, type TemplateResult } from 'lit';
import { get } from '../kit/api';
import { ago, bytes } from '../kit/format';
import { reason } from '../kit/page';
import { badge, fact, panel } from '../kit/parts';
import { w } from '../words';

export interface Stack {
  id: string;
  asked: string[];
  packageCount: number;
  bytes: number;
  madeAt: number;
  usedAt: number;
  needed: boolean;
  apps: { id: string; name: string }[];
}

interface Package {
  name: string;
  version: string;
}

/** The packages of a stack are fetched when somebody opens it. */
export class StacksPanel {
  private packages = new Map<string, Package[] | string>();

  constructor(private readonly changed: () => void) {}

  view(found: Stack[]): TemplateResult {
    return panel(
      w.stacks,
      found.length
        ? html`<p class="soft">${w.stacksHint}</p>
            <ul class="rows names stacks">
              ${found.map(each => this.stack(each))}
            </ul>`
        : html`<p class="soft">${w.noStacks}</p>`,
      { glyph: 'box' },
    );
  }

  private stack(each: Stack): TemplateResult {
    const users = each.apps.map(app => app.name).join(', ');
    return html`<li>
      <details
        @toggle=${(event: Event) => (event.target as HTMLDetailsElement).open && void this.open(each.id)}
      >
        <summary>
          <code>${each.id.slice(0, 18)}</code>
          ${badge(each.needed ? w.inUse : w.idle, each.needed ? 'good' : 'idle')}
          <span class="soft"
            >${[bytes(each.bytes), w.packages(each.packageCount), users].filter(Boolean).join(' · ')}</span
          >
        </summary>
        <dl class="facts tight">
          ${fact(w.usedBy, users || w.nobody)} ${fact(w.lastUsed, ago(each.usedAt))}
          ${fact(w.madeAt, ago(each.madeAt))} ${fact(w.askedFor, each.asked.join(', ') || w.nothingMore)}
        </dl>
        ${this.list(each.id)}
      </details>
    </li>`;
  }

  private list(id: string): TemplateResult | typeof nothing {
    const found = this.packages.get(id);
    if (found === undefined) return nothing;
    if (typeof found === 'string') return html`<p class="soft bad" role="alert">${found}</p>`;
    return html`<div class="scroll tall" tabindex="0" role="region" aria-label=${w.packages(found.length)}>
      <table>
        <thead>
          <tr>
            <th scope="col">${w.package}</th>
            <th scope="col">${w.version}</th>
          </tr>
        </thead>
        <tbody>
          ${found.map(
            each =>
              html`<tr>
                <td>${each.name}</td>
                <td><code>${each.version}</code></td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
  }

  private async open(id: string): Promise<void> {
    if (typeof this.packages.get(id) === 'object') return;
    try {
      this.packages.set(id, (await get<{ packages: Package[] }>(`/v2/havre/stacks/${id}`)).packages);
    } catch (error) {
      this.packages.set(id, reason(error));
    }
    this.changed();
  }
}
