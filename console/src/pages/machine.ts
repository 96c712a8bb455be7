/** What the machine of the installation can and cannot do, as `havre doctor` prints it, and how full its disk is. */
import { html, nothing, type TemplateResult } from 'lit';
import { ago, bytes } from '../kit/format';
import { icon } from '../kit/icons';
import { waiting } from '../kit/page';
import { badge, panel } from '../kit/parts';
import { told } from '../kit/told';
import { w } from '../words';

export interface Finding {
  what: string;
  ok: boolean;
  seen: string;
  follows: string;
  fatal: boolean;
}

interface DiskPart {
  name: string;
  place: string;
  isInside: boolean;
  bytes: number | null;
  limitBytes: number | null;
  limitOf: 'all' | 'app' | 'release' | null;
}

export interface Disk {
  place: string;
  totalBytes: number;
  freeBytes: number;
  freeFiles: number;
  reserveBytes: number;
  reserveFiles: number;
  parts: DiskPart[];
  measuredAt: number;
}

const NEAR = 0.9;

export function findingsPanel(found: Finding[]): TemplateResult {
  const lacking = found.filter(each => !each.ok).length;
  const said = lacking ? badge(w.lacking(lacking), 'busy') : badge(w.inOrder, 'good');
  return panel(
    w.machine,
    html`<p class="soft">${w.machineHint} <code>havre doctor</code></p>
      <ul class="rows names findings">
        ${found.map(finding)}
      </ul>`,
    { glyph: 'shield', aside: said },
  );
}

function finding(each: Finding): TemplateResult {
  const tone = each.ok ? 'good' : each.fatal ? 'bad' : 'busy';
  return html`<li>
    <span class="name"
      >${icon(each.ok ? 'check' : 'alert')}<strong>${w.findings[each.what] ?? each.what}</strong>
      ${badge(each.ok ? w.able : each.fatal ? w.unable : w.limited, tone)}
      <span class="soft">${told(each.seen, 'machine')}</span>
      ${each.follows ? html`<span class="soft follows">→ ${told(each.follows, 'machine')}</span>` : nothing}</span
    >
  </li>`;
}

export function diskPanel(found: Disk | undefined, failure: string): TemplateResult {
  if (!found)
    return panel(w.disk, failure ? html`<p class="soft bad">${failure}</p>` : waiting(), { glyph: 'box' });
  const used = found.totalBytes - found.freeBytes;
  const isLow = found.freeBytes < 2 * found.reserveBytes || found.freeFiles < 2 * found.reserveFiles;
  const inside = found.parts.filter(each => each.isInside);
  const sum = inside.reduce((total, each) => total + (each.bytes ?? 0), 0);
  return panel(
    w.disk,
    html`<p class="figure">
        ${bytes(found.freeBytes)}
        <small>${w.freeOf(bytes(found.totalBytes))} · <code>${found.place}</code></small>
      </p>
      <div class="meter">
        <meter
          min="0"
          max=${found.totalBytes}
          high=${found.totalBytes - 2 * found.reserveBytes}
          value=${used}
          aria-label=${w.usedOf(bytes(used), bytes(found.totalBytes))}
        ></meter>
      </div>
      <p class="soft">${w.reserve(bytes(found.reserveBytes))} ${w.measured(ago(found.measuredAt))}</p>
      <div class="scroll" tabindex="0" role="region" aria-label=${w.disk}>
        <table>
          <thead>
            <tr>
              <th scope="col">${w.part}</th>
              <th scope="col">${w.size}</th>
              <th scope="col">${w.limit}</th>
            </tr>
          </thead>
          <tbody>
            ${found.parts.map(part)}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">${w.dataFolder}</th>
              <td>${bytes(sum)}</td>
              <td></td>
            </tr>
          </tfoot>
        </table>
      </div>`,
    { glyph: 'box', aside: badge(isLow ? w.diskLow : w.inOrder, isLow ? 'bad' : 'good') },
  );
}

function part(each: DiskPart): TemplateResult {
  const name = w.diskParts[each.name] ?? each.name;
  const limit = each.limitBytes;
  const isWhole = limit !== null && each.limitOf === 'all' && each.bytes !== null;
  return html`<tr>
    <td title=${each.place}>
      ${name}${each.isInside ? nothing : html` <span class="soft">${w.besides}</span>`}
    </td>
    <td>${each.bytes === null ? w.notMeasured : bytes(each.bytes)}</td>
    <td>
      ${limit === null ? '–' : w.limits[each.limitOf ?? 'all']?.(bytes(limit))}
      ${isWhole ? html`<meter min="0" max=${limit} high=${limit * NEAR} value=${each.bytes ?? 0} aria-label="${name}: ${w.usedOf(bytes(each.bytes ?? 0), bytes(limit))}"></meter>` : nothing}
    </td>
  </tr>`;
}
