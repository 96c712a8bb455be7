/** What the platform says in sentences of its own (why a deployment failed, why it scaled, what troubles a room), in the reader's language. */
import { language } from './choices';
import { compiled, translated, type Found } from './sentences';

type Codes = Record<string, string>;

let known: Found[] | undefined;
let actions: Codes = {};
let events: Codes = {};

/** Return when sentences can be told; a page that has some waits for it beside what it asks for. English needs nothing. */
export async function canTell(): Promise<void> {
  if (known || language() === 'en') return;
  try {
    const [refusals, deployments, operations] = await Promise.all([
      import('../words/refusals.fr'),
      import('../words/deployments.fr'),
      import('../words/operations.fr'),
    ]);
    ({ actions, events } = operations);
    known = compiled({ ...refusals.sentences, ...deployments.sentences, ...operations.sentences });
  } catch {
    return; // they are told in English
  }
}

/** The sentence in the language of this page; in English where it is not known, as the words of programs are. */
export function told(said: string): string {
  return known && said ? translated(said, known) : said;
}

/** What was done, as the audit names it. */
export const toldAction = (code: string): string => actions[code] ?? code;

/** What others are told of, as notifications name it. */
export const toldEvent = (code: string): string =>
  events[code] ??
  code
    .toLowerCase()
    .replace(/^meta_/, '')
    .replaceAll('_', ' ');
