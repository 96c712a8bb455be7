/**
 * What the platform says in sentences of its own (why a deployment failed, why it scaled, what troubles a room), in the
 * reader's language. English needs nothing; the tables of another come when there is the first sentence to tell, and pages
 * draw it then.
 */
import { language } from './choices';
import { compiled, translated, type Found } from './sentences';

type Codes = Record<string, string>;

const ALIKE = ['', 'Git', 'Console'];
let asked: Promise<void> | undefined;
let hasFailed = false;
let known: Found[] | undefined;
let actions: Codes = {};
let events: Codes = {};

/** Return when sentences can be told. */
export function canTell(): Promise<void> {
  asked ??= language() === 'en' ? Promise.resolve() : ask();
  return asked;
}

async function ask(): Promise<void> {
  try {
    const [refusals, deployments, operations] = await Promise.all([
      import('../words/refusals.fr'),
      import('../words/deployments.fr'),
      import('../words/operations.fr'),
    ]);
    ({ actions, events } = operations);
    known = compiled({ ...refusals.sentences, ...deployments.sentences, ...operations.sentences });
  } catch {
    hasFailed = true; // they are told in English
  }
  window.dispatchEvent(new Event('hv-told'));
}

/** What is told of `said` once the tables are there; nothing until then. */
function once(said: string, tell: (known: Found[]) => string): string {
  if (language() === 'en' || hasFailed || ALIKE.includes(said)) return said;
  if (known) return tell(known);
  void canTell();
  return '';
}

/** The sentence in the language of this page; in English where it is not known, as the words of programs are. */
export const told = (said: string): string => once(said, table => translated(said, table));

/** What was done, as the audit names it. */
export const toldAction = (code: string): string => once(code, () => actions[code] ?? code);

/** What others are told of, as notifications name it. */
export const toldEvent = (code: string): string =>
  once(
    code
      .toLowerCase()
      .replace(/^meta_/, '')
      .replaceAll('_', ' '),
    () => events[code] ?? code,
  );
