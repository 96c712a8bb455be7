/**
 * What every page needs of the components: their language, their notifications, and whose things they show.
 *
 * This folder is the only one that knows the package. See docs/decisions on the console.
 */
import { addTranslations, setLanguage } from '@clevercloud/components/dist/i18n.js';
import '@clevercloud/components/dist/cc-toaster.js';
import { updateRootContext } from '@clevercloud/components/dist/smart-manager.js';
import type { Language } from '../kit/choices';

/** What the components say here instead of what they say: they name their maker's service. */
type Words = Record<string, string | ((facts: Record<string, string>) => string)>;
const OURS: Record<Language, Words> = {
  en: {
    'cc-env-var-form.heading.env-var': 'Variables of this application',
    'cc-env-var-form.heading.exposed-config': 'Published variables',
    'cc-env-var-form.description.env-var': 'What the application finds in its environment at its next start.',
    'cc-env-var-form.description.exposed-config': ({ appName }) =>
      `Not for ${appName} itself: applications that depend on it have them in their environment.`,
  },
  fr: {
    'cc-env-var-form.heading.env-var': 'Variables de cette application',
    'cc-env-var-form.heading.exposed-config': 'Variables publiées',
    'cc-env-var-form.description.env-var':
      'Ce que l’application trouve dans son environnement à son prochain démarrage.',
    'cc-env-var-form.description.exposed-config': ({ appName }) =>
      `Pas pour ${appName} elle-même : les applications qui en dépendent les ont dans leur environnement.`,
  },
};

/** Load the words of one language. Once, before anything is shown. */
export async function speak(language: Language): Promise<void> {
  const found =
    language === 'fr'
      ? await import('@clevercloud/components/dist/translations.fr.js')
      : await import('@clevercloud/components/dist/translations.en.js');
  addTranslations(found.lang, found.translations);
  addTranslations(found.lang, OURS[language]);
  setLanguage(found.lang);
}

/** Whose things the smart components of the page show. There is no credential in it. */
export function show(place: Record<string, unknown>): void {
  updateRootContext({ apiConfig: { API_HOST: location.origin }, ...place });
}

interface Toaster extends HTMLElement {
  show(toast: { message: string; title?: string; intent: string }): void;
}

/** Say something for a moment at the edge of the page. */
export function say(message: string, intent: 'success' | 'danger' | 'info' = 'success'): void {
  document.querySelector<Toaster>('cc-toaster')?.show({ message, intent });
}

window.addEventListener('cc:notify', event => {
  document.querySelector<Toaster>('cc-toaster')?.show((event as CustomEvent).detail);
});
