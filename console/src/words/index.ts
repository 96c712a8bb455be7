/** What the console says, in the person's language. `w` is there once `loadWords` has returned. */
import type { Language } from '../kit/choices';
import type { Words } from './en';

export let w: Words;

export async function loadWords(language: Language): Promise<void> {
  w = language === 'fr' ? (await import('./fr')).default : (await import('./en')).default;
}
