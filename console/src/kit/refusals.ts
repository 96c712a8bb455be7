/** What the API refused with, in the reader's language. */
import { language } from './choices';
import { compiled, translated, type Found } from './sentences';

let table: Found[] | undefined;

/**
 * The sentence of the API in the language of this page: the one for this very sentence, else what kind of refusal it is and
 * the English beside it. English is returned as it is, and so is everything when the table does not come.
 */
export async function inWords(said: string, code?: number | string): Promise<string> {
  if (language() === 'en') return said;
  try {
    const french = await import('../words/refusals.fr');
    table ??= compiled(french.sentences);
    const known = translated(said, table);
    if (known !== said || !said) return known || (french.kinds[String(code)] ?? '');
    const kind = french.kinds[String(code)];
    return kind ? `${kind} (${said})` : said;
  } catch {
    return said;
  }
}
