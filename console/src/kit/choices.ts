/** What a person chose at this browser: theme, language, ranges. Kept here and nowhere else. */

export type Language = 'en' | 'fr';
export type Theme = 'light' | 'dark' | 'system';

export function chosen(name: string, otherwise: string): string {
  try {
    return localStorage.getItem(`havre.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function choose(name: string, value: string): void {
  try {
    localStorage.setItem(`havre.${name}`, value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

export function language(): Language {
  const system = navigator.language.toLowerCase().startsWith('fr') ? 'fr' : 'en';
  return chosen('language', system) === 'fr' ? 'fr' : 'en';
}

export function theme(): Theme {
  const kept = chosen('theme', 'system');
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

export function isDark(): boolean {
  const kept = theme();
  return kept === 'system' ? matchMedia('(prefers-color-scheme: dark)').matches : kept === 'dark';
}

export function setTheme(wanted: Theme): void {
  choose('theme', wanted);
  if (wanted === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
  window.dispatchEvent(new Event('hv-theme'));
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  window.dispatchEvent(new Event('hv-theme'));
});
