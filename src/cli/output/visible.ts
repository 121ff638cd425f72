/**
 * Text of a container or a file, made harmless for a terminal: what would move the cursor, set the title, write the
 * clipboard or turn the reading direction becomes visible; colours (SGR) and tabs stay. Pure.
 */

/** ECMA-48 5.4: CSI, parameters, final byte "m". */
const colourSequence = /\u001b\[[0-9;:]*m/y;

/** Of one line without its newline. */
export function makeVisible(line: string): string {
  if (!suspicious.test(line)) return line;
  let result = '';
  let index = 0;
  while (index < line.length) {
    colourSequence.lastIndex = index;
    const colour = colourSequence.exec(line);
    if (colour) {
      result += colour[0];
      index += colour[0].length;
      continue;
    }
    const character = String.fromCodePoint(line.codePointAt(index) as number);
    result += visibleCharacter(character);
    index += character.length;
  }
  return result;
}

/** The same without colours either: for names and messages that we colour ourselves. */
export function makePlain(text: string): string {
  return suspicious.test(text) ? Array.from(text, visibleCharacter).join('') : text;
}

/** C0 (but tab), DEL, C1, the bidirectional controls (Unicode TR 9, 2), line and paragraph separators. */
const suspicious = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]/u;

function visibleCharacter(character: string): string {
  if (!suspicious.test(character)) return character;
  const code = character.codePointAt(0) as number;
  if (code < 0x20) return `^${String.fromCodePoint(code + 0x40)}`;
  if (code === 0x7f) return '^?';
  return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
}
