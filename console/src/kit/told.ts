/**
 * What the platform says in sentences of its own (why a deployment failed, why it scaled, what troubles a room), in the
 * reader's language. English needs nothing; of another language come the tables that the subject needs, when there is the
 * first sentence to tell, and pages draw it then.
 */
import { language } from './choices';
import { compiled, translated, type Found } from './sentences';

type Words = Record<string, string>;

const TABLES = {
  causes: () => import('../words/causes.fr'),
  deployments: () => import('../words/deployments.fr'),
  machine: () => import('../words/machine.fr'),
  operations: () => import('../words/operations.fr'),
  programs: () => import('../words/programs.fr'),
  refusals: () => import('../words/refusals.fr'),
} satisfies Record<string, () => Promise<{ sentences: Words }>>;

/** What is told of, and where the sentences about it are. A test holds each to the code that says them. */
const SUBJECTS = {
  cause: ['causes'],
  deployment: ['causes', 'deployments', 'programs'],
  machine: ['machine', 'programs', 'refusals'],
  room: ['causes', 'deployments', 'operations', 'programs', 'refusals'],
  sending: ['operations', 'refusals'],
} satisfies Record<string, (keyof typeof TABLES)[]>;

type Subject = keyof typeof SUBJECTS;

const ALIKE = ['', 'API', 'Console', 'Git'];
const asked = new Map<Subject, Promise<void>>();
const known = new Map<Subject, Found[]>();
let codes: { actions: Words; events: Words } | undefined;
let areCodesAsked = false;

/** Return when sentences about `subject` can be told. */
export function canTell(subject: Subject): Promise<void> {
  const begun = asked.get(subject) ?? (language() === 'en' ? Promise.resolve() : ask(subject));
  asked.set(subject, begun);
  return begun;
}

async function ask(subject: Subject): Promise<void> {
  try {
    const found = await Promise.all(SUBJECTS[subject].map(each => TABLES[each]()));
    known.set(subject, compiled(Object.assign({}, ...found.map(each => each.sentences)) as Words));
  } catch {
    known.set(subject, []); // they are told in English
  }
  window.dispatchEvent(new Event('hv-told'));
}

async function askCodes(): Promise<void> {
  areCodesAsked = true;
  codes = await import('../words/audit.fr').catch(() => ({ actions: {}, events: {} }));
  window.dispatchEvent(new Event('hv-told'));
}

/** The sentence in the language of this page; in English where it is not known, as the words of programs are. */
export function told(said: string, subject: Subject): string {
  if (language() === 'en' || ALIKE.includes(said)) return said;
  const table = known.get(subject);
  if (!table) void canTell(subject);
  return table ? translated(said, table) : ''; // until the tables are there
}

function toldCode(code: string, of: 'actions' | 'events', otherwise: string): string {
  if (language() === 'en') return otherwise;
  if (!codes && !areCodesAsked) void askCodes();
  return codes ? (codes[of][code] ?? otherwise) : '';
}

/** What was done, as the audit names it. */
export const toldAction = (code: string): string => toldCode(code, 'actions', code);

/** What others are told of, as notifications name it. */
export function toldEvent(code: string): string {
  const plain = code
    .toLowerCase()
    .replace(/^meta_/, '')
    .replaceAll('_', ' ');
  return toldCode(code, 'events', plain);
}
