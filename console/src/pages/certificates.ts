/** What an organisation uploaded to be shown for its domains, and how to upload one. */
import { html, nothing, type TemplateResult } from 'lit';
import { ago, ahead, moment } from '../kit/format';
import { icon } from '../kit/icons';
import { badge, panel } from '../kit/parts';
import { w } from '../words';

export interface Uploaded {
  id: string;
  names: string[];
  issuer: string;
  notAfter: string;
  domains: string[];
}

interface Doing {
  may: boolean;
  isBusy: boolean;
  add: (event: SubmitEvent) => void;
  drop: (each: Uploaded) => void;
}

const SOON_MS = 21 * 86_400_000;

export function certificatesPanel(found: Uploaded[], doing: Doing): TemplateResult {
  return panel(
    w.ownCertificates,
    html`<p class="soft">${w.ownCertificatesHint}</p>
      ${
        found.length
          ? html`<ul class="rows names certificates">
              ${found.map(each => uploaded(each, doing))}
            </ul>`
          : nothing
      }
      ${doing.may ? uploading(doing) : nothing}`,
    { glyph: 'shield' },
  );
}

function uploaded(each: Uploaded, doing: Doing): TemplateResult {
  const end = Date.parse(each.notAfter);
  const left = end - Date.now();
  const said = left <= 0 ? w.endedAt(ago(end)) : w.endsAt(ahead(end));
  return html`<li>
    <span class="name"
      ><strong>${each.names.join(', ')}</strong>
      ${badge(said, left <= 0 ? 'bad' : left < SOON_MS ? 'busy' : 'good')}
      <span class="soft">${each.issuer} · ${w.until(moment(end))}</span>
      <span class="soft"
        >${each.domains.length ? w.shownFor(each.domains.join(', ')) : w.shownForNone}</span
      ></span
    >
    ${
      doing.may
        ? html`<button
            class="button small danger"
            aria-label="${w.remove}: ${each.names.join(', ')}"
            @click=${() => doing.drop(each)}
          >
            ${icon('trash')} ${w.remove}
          </button>`
        : nothing
    }
  </li>`;
}

function uploading(doing: Doing): TemplateResult {
  return html`<details class="more">
    <summary>${w.uploadCertificate}</summary>
    <form @submit=${doing.add}>
      <label
        >${w.chain}<textarea
          name="certificate"
          required
          rows="5"
          spellcheck="false"
          placeholder="-----BEGIN CERTIFICATE-----"
        ></textarea></label
      ><label
        >${w.privateKey}<textarea
          name="key"
          rows="5"
          spellcheck="false"
          autocomplete="off"
          placeholder="-----BEGIN PRIVATE KEY-----"
        ></textarea>
      </label>
      <div class="row end">
        <button class="button primary" ?disabled=${doing.isBusy}>${icon('plus')} ${w.add}</button>
      </div>
    </form>
  </details>`;
}
