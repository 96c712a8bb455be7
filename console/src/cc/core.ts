/**
 * What every page needs of the components: their language.
 *
 * This folder is the only one that knows the package. See docs/decisions on the console.
 */
import { addTranslations, setLanguage } from '@clevercloud/components/dist/i18n.js';
import { language, type Language } from '../kit/choices';

/** What the components say here instead of what they say: they name their maker's service. */
type Words = Record<string, string | ((facts: Record<string, string>) => string)>;
const OURS: Record<Language, Words> = {
  en: {
    'cc-env-var-form.heading.env-var': 'Variables of this application',
    'cc-env-var-form.heading.exposed-config': 'Published variables',
    'cc-env-var-form.description.env-var': 'What the application finds in its environment at its next start.',
    'cc-env-var-form.description.exposed-config': ({ appName }) =>
      `Not for ${appName} itself: applications that depend on it have them in their environment.`,
    'cc-env-var-linked-services.description.app': ({ serviceName, appName }) =>
      `What ${serviceName} publishes; ${appName} has it in its environment.`,
    'cc-orga-member-list.main-heading': 'Who works here',
    'cc-orga-member-list.invite.info':
      'Somebody with an account here is a member at once; anybody else is sent an invitation by e-mail.',
    'cc-orga-member-list.leave.text': 'Somebody there has to invite you to come back.',
  },
  fr: {
    'cc-env-var-form.heading.env-var': 'Variables de cette application',
    'cc-env-var-form.heading.exposed-config': 'Variables publiées',
    'cc-env-var-form.description.env-var':
      'Ce que l’application trouve dans son environnement à son prochain démarrage.',
    'cc-env-var-form.description.exposed-config': ({ appName }) =>
      `Pas pour ${appName} elle-même : les applications qui en dépendent les ont dans leur environnement.`,
    'cc-env-var-linked-services.description.app': ({ serviceName, appName }) =>
      `Ce que ${serviceName} publie ; ${appName} l’a dans son environnement.`,
    'cc-orga-member-list.main-heading': 'Qui travaille ici',
    'cc-orga-member-list.invite.info':
      'Qui a un compte ici devient membre aussitôt ; toute autre personne reçoit une invitation par courriel.',
    'cc-orga-member-list.leave.text': 'Il faudra une invitation pour y revenir.',
  },
};

/** Load the words of one language. Once, before anything is shown. */
export async function speak(language: Language): Promise<void> {
  const found =
    language === 'fr'
      ? await import('@clevercloud/components/dist/translations.fr.js')
      : await import('@clevercloud/components/dist/translations.en.js');
  addTranslations(found.lang, found.translations);
  setLanguage(found.lang);
}

/** Load the words of the larger forms: what shows one waits for them. */
export async function speakOfForms(): Promise<void> {
  const found = language() === 'fr' ? await import('./forms.fr') : await import('./forms.en');
  addTranslations(found.lang, found.translations);
  addTranslations(found.lang, OURS[language()]);
}
