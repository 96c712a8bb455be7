/** Addresses and pages: which page an address means, and going there without loading everything again. */

export interface Place {
  tag: string;
  area: 'home' | 'organisation' | 'application' | 'person' | 'operator' | 'nowhere';
  section: string;
  params: Record<string, string>;
}

interface Rule {
  pattern: RegExp;
  tag: string;
  area: Place['area'];
  section: string;
  load: () => Promise<unknown>;
}

const rules: Rule[] = [];

/** `path` has `:name` parts; the page's module is loaded when somebody goes there. */
export function rule(path: string, area: Place['area'], tag: string, load: () => Promise<unknown>): void {
  const pattern = new RegExp(`^${path.replace(/:([a-z]+)/g, '(?<$1>[^/]+)')}/?$`);
  rules.push({ pattern, tag, area, section: path.split('/').pop() ?? '', load });
}

/** The place that an address means, with its page loaded. */
export async function placeOf(path: string): Promise<Place> {
  for (const each of rules) {
    const seen = each.pattern.exec(path);
    if (!seen) continue;
    await each.load();
    const params = Object.fromEntries(
      Object.entries(seen.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
    );
    return { tag: each.tag, area: each.area, section: each.section, params };
  }
  return { tag: '', area: 'nowhere', section: '', params: {} };
}

export function go(path: string, replace = false): void {
  if (replace) history.replaceState(null, '', path);
  else history.pushState(null, '', path);
  window.dispatchEvent(new Event('hv-go'));
}

/** Links to our own pages stay in the page. */
export function takeLinks(isOurs: (path: string) => boolean): void {
  document.addEventListener('click', event => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
      return;
    const link = event
      .composedPath()
      .find((each): each is HTMLAnchorElement => each instanceof HTMLAnchorElement && each.href !== '');
    if (!link || link.target || link.hasAttribute('download')) return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || !isOurs(to.pathname)) return;
    event.preventDefault();
    if (to.href !== location.href) go(to.pathname + to.search);
  });
}
