/** What the API refused with, in the reader's language. */
import { language } from './choices';

type Table = typeof import('../words/refusals.fr');
type Found = { pattern: RegExp; sentence: string };

let table: Promise<Found[]> | undefined;

/**
 * The sentence of the API in the language of this page: the one for this very sentence, else what kind of refusal it is and
 * the English beside it. English is returned as it is, and so is everything when the table does not come.
 */
export async function inWords(said: string, code?: number | string): Promise<string> {
  if (language() === 'en') return said;
  try {
    const french = await import('../words/refusals.fr');
    table ??= Promise.resolve(compiled(french));
    const known = translated(said, await table);
    if (known !== said || !said) return known || (french.kinds[String(code)] ?? '');
    const kind = french.kinds[String(code)];
    return kind ? `${kind} (${said})` : said;
  } catch {
    return said;
  }
}

function compiled({ sentences }: Table): Found[] {
  const plain = (text: string): number => text.replaceAll('{}', '').length;
  return Object.entries(sentences)
    .sort(([a], [b]) => plain(b) - plain(a)) // of two that fit, the one that says more
    .map(([said, sentence]) => ({
      pattern: new RegExp(`^${said.split('{}').map(escaped).join('(.*)')}$`, 's'),
      sentence,
    }));
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');

/** What a sentence names may be a sentence itself: why a domain is not valid. */
function translated(said: string, known: Found[]): string {
  for (const { pattern, sentence } of known) {
    const seen = pattern.exec(said);
    if (seen) return sentence.replace(/\{(\d)\}/g, (_, n) => translated(seen[Number(n)] ?? '', known));
  }
  return said;
}
