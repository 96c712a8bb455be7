/** Sentences of the platform in another language, by pattern: what they name stays as it is, or is a sentence itself. */

export type Found = { pattern: RegExp; sentence: string };

/** Of a table of English sentences with `{}` where one names something, and theirs with `{1}` in its place. */
export function compiled(table: Record<string, string>): Found[] {
  const plain = (text: string): number => text.replaceAll('{}', '').length;
  return Object.entries(table)
    .sort(([a], [b]) => plain(b) - plain(a)) // of two that fit, the one that says more
    .map(([said, sentence]) => ({
      pattern: new RegExp(`^${said.split('{}').map(escaped).join('(.*)')}$`, 's'),
      sentence,
    }));
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');

/**
 * What a sentence names may be a sentence itself: why a domain is not valid. `{=1}` is what a program said, which is never
 * translated.
 */
export function translated(said: string, known: Found[]): string {
  for (const { pattern, sentence } of known) {
    const seen = pattern.exec(said);
    if (!seen) continue;
    return sentence.replace(/\{(=?)(\d)\}/g, (_, asItIs, n) => {
      const named = seen[Number(n)] ?? '';
      return asItIs ? named : translated(named, known);
    });
  }
  return said;
}
