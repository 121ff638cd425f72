/**
 * Splits a command line into words as a shell would, without a shell: blanks separate, single quotes keep everything,
 * double quotes keep all but backslash before `"` `\\` `$` and backtick, a backslash keeps the next character (compose "command").
 * undefined: a quote is not closed.
 */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (const { groups = {} } of text.matchAll(pieces)) {
    if (groups['open'] !== undefined) return undefined;
    const kept = keptOf(groups);
    if (kept !== undefined) word = (word ?? '') + kept;
    else if (groups['blank'] !== undefined && word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  return word === undefined ? words : [...words, word];
}

/** Each alternative is one way in which a shell reads characters; `open` is a quote that nothing closes. */
const pieces =
  /(?<blank>\s+)|\\(?<escaped>[\s\S]?)|'(?<single>[^']*)'|"(?<double>(?:[^"\\]|\\[\s\S])*)"|(?<plain>[^\s\\'"]+)|(?<open>['"])/g;

/** What a piece adds to the word it is in; undefined: nothing. */
function keptOf(groups: Readonly<Record<string, string | undefined>>): string | undefined {
  const { escaped, single, double, plain } = groups as { escaped?: string; single?: string; double?: string; plain?: string };
  // A backslash at the end of a line joins it with the next one.
  if (escaped === '\n') return undefined;
  return escaped ?? single ?? plain ?? double?.replace(/\\([\s\S])/g, unescapeDouble);
}

function unescapeDouble(whole: string, character: string): string {
  if (character === '\n') return '';
  return '"\\$`'.includes(character) ? character : whole;
}
