/** The frame of every page: the bar, where one is, the way around, whether the platform answers. */
import { LitElement, html, nothing, type TemplateResult } from 'lit';
import { unsafeStatic, html as staticHtml } from 'lit/static-html.js';
import { answers, call, Refused } from './kit/api';
import { choose, language, setTheme, isDark } from './kit/choices';
import { icon, mark, type IconName } from './kit/icons';
import { live } from './kit/live';
import { waiting, wrong } from './kit/page';
import { condition } from './kit/parts';
import { placeOf, takeLinks, type Place } from './kit/router';
import { shared } from './kit/state';
import { w } from './words';

const OURS = /^\/($|organisations|users\/me\/(?!security|password|second-factor|applications)|installation)/;
const BEGIN_AGAIN_MS = 1500;

interface Entry {
  path: string;
  text: string;
  glyph: IconName;
}

class Shell extends LitElement {
  static override properties = {
    place: { state: true },
    isUp: { state: true },
    isReady: { state: true },
    isOpen: { state: true },
    failure: { state: true },
  };
  declare place: Place | null;
  declare isUp: boolean;
  declare isReady: boolean;
  declare isOpen: boolean;
  declare failure: Refused | null;
  private turn = 0;
  private inSight = '';

  constructor() {
    super();
    this.place = null;
    this.isUp = true;
    this.isReady = false;
    this.isOpen = false;
    this.failure = null;
  }

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    window.addEventListener('popstate', () => void this.arrive());
    window.addEventListener('hv-go', () => void this.arrive());
    window.addEventListener('hv-theme', () => this.requestUpdate());
    takeLinks(path => OURS.test(path));
    live.watch(isUp => (this.isUp = isUp));
    shared.onChange(() => this.requestUpdate());
    document.addEventListener('click', event => {
      for (const menu of this.querySelectorAll<HTMLDetailsElement>('details.menu[open]')) {
        if (!menu.contains(event.target as Node)) menu.open = false;
      }
    });
    document.addEventListener('keydown', event => {
      if (event.key !== 'Escape') return;
      this.querySelectorAll<HTMLDetailsElement>('details.menu[open]').forEach(menu => {
        menu.open = false;
        menu.querySelector('summary')?.focus();
      });
    });
    void this.begin();
  }

  private async begin(): Promise<void> {
    try {
      await shared.begin();
    } catch (error) {
      const isAway = !(error instanceof Refused) || error.isAway;
      this.isUp = !isAway;
      this.failure = isAway || error.status === 401 ? null : error; // 401: on the way to sign in
      window.setTimeout(() => void this.begin(), isAway ? BEGIN_AGAIN_MS : BEGIN_AGAIN_MS * 4);
      return;
    }
    this.failure = null;
    this.isUp = true;
    this.isReady = true;
    live.start();
    await this.arrive(true);
  }

  private async arrive(isFirst = false): Promise<void> {
    const turn = ++this.turn;
    let place: Place;
    try {
      place = await placeOf(location.pathname);
    } catch {
      await answers(); // a file did not come, or there is a newer version
      if (turn === this.turn) location.reload();
      return;
    }
    if (turn !== this.turn) return;
    const { owner } = place.params;
    this.isOpen = false;
    this.place = place;
    if (owner) void shared.of(owner).catch(() => undefined);
    await this.updateComplete;
    if (isFirst) return;
    window.scrollTo(0, 0);
    const heading = this.querySelector<HTMLElement>('main h1');
    heading?.focus({ preventScroll: true });
  }

  protected override render(): TemplateResult {
    return html`<a class="skip" href="#main" @click=${this.skip}>${w.skip}</a>
      ${this.bar()}
      ${this.isUp ? nothing : html`<div class="away" role="status">${icon('wave')} ${w.awayHint}</div>`}
      <div class="frame ${this.place?.area ?? ''}">
        ${this.isReady ? this.side() : nothing}
        <main id="main">
          ${
            this.isReady
              ? this.page()
              : this.failure
                ? wrong(this.failure, () => void this.begin())
                : waiting()
          }
        </main>
      </div>
      <hv-toasts></hv-toasts>`;
  }

  /** Where the sections are one line to scroll, the one that is looked at is in sight. */
  protected override updated(): void {
    const here = this.querySelector('.side a[aria-current=page]');
    const list = here?.closest('ul');
    const seen = `${location.pathname} ${list?.children.length}`;
    if (!here || !list || seen === this.inSight) return;
    this.inSight = seen;
    const [at, room] = [here.getBoundingClientRect(), list.getBoundingClientRect()];
    list.scrollLeft += at.left + at.width / 2 - (room.left + room.width / 2);
  }

  private skip(event: Event): void {
    event.preventDefault();
    this.querySelector<HTMLElement>('main h1')?.focus();
  }

  private page(): unknown {
    const place = this.place;
    if (!place) return nothing;
    if (!place.tag) {
      document.title = `${w.notFound} · Havre`;
      return html`<header class="page-head"><h1 tabindex="-1">${w.notFound}</h1></header>
        <div class="panel state">
          ${icon('wave')}
          <p><a href="/">${w.home}</a></p>
        </div>`;
    }
    const app = place.params.app ? shared.app(place.params.app) : undefined;
    const where = app?.name ?? (place.params.owner ? shared.overview?.name : undefined);
    document.title = [w.sections[place.tag] ?? '', where, 'Havre'].filter(Boolean).join(' · ');
    const tag = unsafeStatic(place.tag);
    return staticHtml`<${tag} class="page" .params=${place.params}></${tag}>`;
  }

  private bar(): TemplateResult {
    const { owner, app } = this.place?.params ?? {};
    const seen = shared.overview?.id === owner || shared.me?.id === owner ? shared.overview : null;
    const found = app ? shared.app(app) : undefined;
    return html`<header class="bar">
      <a class="brand" href="/" aria-label="Havre">${mark()}<span>Havre</span></a>
      ${
        owner
          ? html`<nav class="crumbs" aria-label=${w.whereYouAre}>
              ${
                owner
                  ? html`<details class="menu">
                      <summary>${seen?.name ?? '…'}${icon('chevron')}</summary>
                      <div class="sheet">
                        ${shared.organisations.map(
                          each =>
                            html`<a href="/organisations/${each.id}" aria-current=${each.id === seen?.id}
                              >${each.name}</a
                            >`,
                        )}
                        <hr />
                        <a href="/">${w.allOrganisations}</a>
                      </div>
                    </details>`
                  : nothing
              }
              ${app ? html`<a class="crumb" href="/organisations/${owner}/applications/${app}">${found?.name ?? '…'}</a>` : nothing}
            </nav>`
          : nothing
      }
      <div class="tools">
        <button
          class="bare"
          @click=${this.turnTheme}
          aria-label=${isDark() ? w.toLight : w.toDark}
          title=${isDark() ? w.toLight : w.toDark}
        >
          ${icon(isDark() ? 'sun' : 'moon')}
        </button>
        <button
          class="bare lang"
          @click=${this.turnLanguage}
          lang=${language() === 'en' ? 'fr' : 'en'}
          aria-label=${language() === 'en' ? 'FR: Français' : 'EN: English'}
        >
          ${language() === 'en' ? 'FR' : 'EN'}
        </button>
        ${
          shared.me
            ? html`<details class="menu right">
                <summary aria-label=${w.yourAccount}>
                  <span class="avatar" aria-hidden="true">${initials(shared.me.name)}</span>
                </summary>
                <div class="sheet">
                  <p><strong>${shared.me.name}</strong><br /><span class="soft">${shared.me.email}</span></p>
                  <hr />
                  <a href="/users/me/information">${w.yourAccount}</a>
                  <a href="/users/me/ssh-keys">${w.sections['hv-keys']}</a>
                  <a href="/users/me/api-tokens">${w.sections['hv-tokens']}</a>
                  ${shared.me.admin ? html`<a href="/installation">${w.sections['hv-installation']}</a>` : nothing}
                  <hr />
                  <button @click=${this.leave}>${w.signOut}</button>
                </div>
              </details>`
            : nothing
        }
      </div>
    </header>`;
  }

  private side(): TemplateResult | typeof nothing {
    const place = this.place;
    if (!place) return nothing;
    const entries = this.entries(place);
    if (!entries.length) return nothing;
    const here = location.pathname.replace(/\/$/, '');
    const app = place.params.app ? shared.app(place.params.app) : undefined;
    const isHere = (entry: Entry): boolean =>
      entry.path === here ||
      (place.tag === 'hv-activity' && entry.path.endsWith('/activity')) ||
      (place.tag === 'hv-new-app' && entry.glyph === 'apps') ||
      (place.tag === 'hv-consumer' && entry.path.endsWith('/oauth-consumers'));
    return html`<nav class="side" aria-label=${w.sectionsOfThis}>
      ${app ? html`<div class="side-head"><strong>${app.name}</strong>${condition(app.condition)}</div>` : nothing}
      <ul>
        ${entries.map(
          entry =>
            html`<li>
              <a href=${entry.path} aria-current=${isHere(entry) ? 'page' : 'false'}
                >${icon(entry.glyph)}<span>${entry.text}</span></a
              >
            </li>`,
        )}
      </ul>
    </nav>`;
  }

  private entries(place: Place): Entry[] {
    const { owner, app } = place.params;
    const s = w.sections;
    const entry = (path: string, tag: string, glyph: IconName): Entry => ({
      path,
      text: s[tag] ?? '',
      glyph,
    });
    if (place.area === 'application') {
      const base = `/organisations/${owner}/applications/${app}`;
      const inside = shared.can('look inside');
      return [
        entry(base, 'hv-overview', 'gauge'),
        entry(`${base}/activity`, 'hv-activity', 'activity'),
        ...(inside
          ? [
              entry(`${base}/logs`, 'hv-logs', 'lines'),
              entry(`${base}/access-logs`, 'hv-access-logs', 'list'),
            ]
          : []),
        ...(inside ? [entry(`${base}/environment-variables`, 'hv-environment', 'variables')] : []),
        entry(`${base}/domain-names`, 'hv-domains', 'globe'),
        entry(`${base}/tcp-redirections`, 'hv-redirections', 'link'),
        entry(`${base}/service-dependencies`, 'hv-dependencies', 'box'),
        entry(`${base}/scalability`, 'hv-scalability', 'scale'),
        ...(inside ? [entry(`${base}/log-drains`, 'hv-drains', 'wave')] : []),
        entry(`${base}/settings`, 'hv-settings', 'settings'),
      ];
    }
    if (place.area === 'organisation') {
      const base = `/organisations/${owner}`;
      return [
        entry(base, 'hv-apps', 'apps'),
        entry(`${base}/members`, 'hv-members', 'people'),
        ...(shared.can('admin') ? [entry(`${base}/audit`, 'hv-audit', 'shield')] : []),
        ...(shared.can('look inside') ? [entry(`${base}/notifications`, 'hv-notifications', 'bell')] : []),
        entry(`${base}/oauth-consumers`, 'hv-consumers', 'key'),
        entry(`${base}/settings`, 'hv-organisation', 'settings'),
      ];
    }
    if (place.area === 'person') {
      return [
        entry('/users/me/information', 'hv-person', 'person'),
        entry('/users/me/emails', 'hv-emails', 'mail'),
        entry('/users/me/ssh-keys', 'hv-keys', 'key'),
        entry('/users/me/api-tokens', 'hv-tokens', 'shield'),
        entry('/users/me/sessions', 'hv-sessions', 'list'),
      ];
    }
    if (place.area === 'operator') {
      return [
        entry('/installation', 'hv-installation', 'gauge'),
        entry('/installation/people', 'hv-people', 'people'),
      ];
    }
    return [];
  }

  private turnTheme(): void {
    setTheme(isDark() ? 'light' : 'dark');
  }

  private turnLanguage(): void {
    choose('language', language() === 'en' ? 'fr' : 'en');
    location.reload();
  }

  private async leave(): Promise<void> {
    try {
      await call('DELETE', '/v2/self/sessions/current');
    } finally {
      location.assign('/login');
    }
  }
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  return ((words[0]?.[0] ?? '?') + (words.length > 1 ? (words.at(-1)?.[0] ?? '') : '')).toUpperCase();
}

customElements.define('hv-shell', Shell);
