/**
 * Splits a command line into words as a shell would, without a shell: blanks separate, single quotes keep everything,
 * double quotes keep all but backslash before `"` `\` `$` and backtick, a backslash keeps the next character (compose "command").
 * undefined: a quote is not closed.
 */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word = '';
  let hasWord = false;
  let quote = '';
  for (let index = 0; index < text.length; index++) {
    const character = text[index] as string;
    if (quote === "'") {
      if (character === "'") quote = '';
      else word += character;
    } else if (character === '\\') {
      index++;
      const next = text[index] ?? '';
      // A backslash at the end of a line joins it with the next one.
      if (next !== '\n') word += quote === '"' && !'"\\$`'.includes(next) ? `\\${next}` : next;
      hasWord ||= next !== '\n';
    } else if (quote === '"') {
      if (character === '"') quote = '';
      else word += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      hasWord = true;
    } else if (/\s/.test(character)) {
      if (hasWord) words.push(word);
      [word, hasWord] = ['', false];
    } else {
      word += character;
      hasWord = true;
    }
  }
  if (quote !== '') return undefined;
  if (hasWord) words.push(word);
  return words;
}
