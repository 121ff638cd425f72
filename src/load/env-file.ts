import type { Diagnostics } from './diagnostics.ts';
import { reportTemplateFault } from './interpolate.ts';
import { type Mark, markAt, type SourceText, sourceText } from './source.ts';
import { type Lookup, substitute, TemplateFault } from './template.ts';

/**
 * The variables of an env file (`.env`, `env_file`, `label_file`) in compose's dialect. `lookup` gives what the surroundings
 * know: it wins over the file's own earlier lines in `$NAME`, and is what a key without a value takes its value from.
 * Reading ends at the first fault.
 */
export function readEnvFile(file: string, text: string, lookup: Lookup, diagnostics: Diagnostics): Map<string, string> {
  const reader = new EnvReader(sourceText(file, text), lookup, diagnostics);
  try {
    reader.readAll();
  } catch (error) {
    if (error instanceof EnvFault) diagnostics.error('FILE_INVALID', error.message, error.at, error.hint);
    else if (error instanceof TemplateFault) reportTemplateFault(error, reader.lineMark(), diagnostics);
    else throw error;
  }
  return reader.values;
}

/** The same for `format: raw`: each line is KEY=VALUE without any further meaning, `#` begins a comment line. */
export function readRawEnvFile(text: string, lookup: Lookup): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of withoutByteOrderMark(text).split('\n')) {
    const content = line.replace(/\r$/, '');
    if (content.trim() === '' || content.trimStart().startsWith('#')) continue;
    const equals = content.indexOf('=');
    const key = (equals === -1 ? content : content.slice(0, equals)).trim();
    const value = equals === -1 ? lookup(key) : content.slice(equals + 1);
    if (value !== undefined) values.set(key, value);
  }
  return values;
}

class EnvFault extends Error {
  readonly at: Mark;
  readonly hint: string;

  constructor(message: string, at: Mark, hint: string) {
    super(message);
    this.at = at;
    this.hint = hint;
  }
}

class EnvReader {
  readonly values = new Map<string, string>();
  readonly #source: SourceText;
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #diagnostics: Diagnostics;
  #position: number;
  #keyStart = 0;

  constructor(source: SourceText, lookup: Lookup, diagnostics: Diagnostics) {
    this.#source = source;
    this.#text = source.text;
    this.#lookup = lookup;
    this.#diagnostics = diagnostics;
    this.#position = source.text.startsWith('\ufeff') ? 1 : 0;
  }

  readAll(): void {
    for (this.#skipBlankAndComments(); this.#position < this.#text.length; this.#skipBlankAndComments()) this.#readVariable();
  }

  /** Where the variable being read begins. */
  lineMark(): Mark {
    const end = this.#text.indexOf('\n', this.#keyStart);
    return markAt(this.#source, this.#keyStart, Math.max(1, (end === -1 ? this.#text.length : end) - this.#keyStart));
  }

  #skipBlankAndComments(): void {
    const blank = /(?:\s+|#[^\n]*)*/y;
    blank.lastIndex = this.#position;
    blank.exec(this.#text);
    this.#position = blank.lastIndex;
  }

  #readVariable(): void {
    this.#matched(/export[ \t]+(?=[^\s=:])/y);
    this.#keyStart = this.#position;
    const key = this.#matched(/[^=:\n\r#]*/y)?.trim() ?? '';
    this.#checkKey(key);
    const separator = this.#matched(/[=:]/y);
    if (separator === undefined) {
      this.#matched(/#[^\n]*/y);
      const inherited = this.#lookup(key);
      if (inherited !== undefined) this.values.set(key, inherited);
      return;
    }
    this.#matched(/[ \t]+/y);
    this.values.set(key, this.#readValue());
  }

  #checkKey(key: string): void {
    const bad = /[^\p{L}\p{N}_.\-[\]]/u.exec(key);
    if (!bad) return;
    const at = markAt(this.#source, this.#keyStart, key.length);
    if (/\s/.test(bad[0])) throw new EnvFault(`a variable's name has no space: "${key}"`, at, 'write NAME=value');
    throw new EnvFault(
      `"${bad[0]}" does not belong into a variable's name: "${key}"`,
      at,
      'a name has letters, digits and _ . - [ ]',
    );
  }

  #readValue(): string {
    const quote = this.#text[this.#position];
    if (quote === '"' || quote === "'") return this.#readQuoted(quote);
    const line = this.#matched(/[^\r\n]*/y) ?? '';
    return this.#expand(line.replace(/(^|\s)#.*$/, '').trim());
  }

  #readQuoted(quote: string): string {
    const start = this.#position;
    const end = closingQuote(this.#text, start, quote);
    if (end === -1)
      throw new EnvFault(`the quote ${quote} is not closed`, markAt(this.#source, start), `add ${quote} at the end of the value`);
    const content = this.#text.slice(start + 1, end);
    this.#position = end + 1;
    this.#matched(/[^\n]*/y);
    return quote === "'" ? content.replaceAll("\\'", "'") : this.#expand(withoutEscapes(content));
  }

  #expand(text: string): string {
    const own = (name: string) => this.#lookup(name) ?? this.values.get(name);
    return substitute(text, own, (name) => {
      this.#diagnostics.warning(
        'VARIABLE_MISSING',
        `the variable ${name} is not set; an empty text stands in for it`,
        this.lineMark(),
      );
    });
  }

  #matched(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position;
    const match = pattern.exec(this.#text)?.[0];
    if (match !== undefined) this.#position += match.length;
    return match;
  }
}

function closingQuote(text: string, start: number, quote: string): number {
  for (let index = start + 1; index < text.length; index++) {
    if (text[index] === '\\') index++;
    else if (text[index] === quote) return index;
  }
  return -1;
}

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  c: '',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
};

/** Backslash sequences of a double-quoted value; `\$` becomes `$$`, which the interpolation that follows makes a dollar sign. */
function withoutEscapes(text: string): string {
  return text.replace(/\\(0[0-7]{1,3}|[abcfnrtv"\\$])/g, (_whole, sequence: string) => {
    if (sequence === '$') return '$$';
    if (sequence.startsWith('0')) return String.fromCharCode(Number.parseInt(sequence, 8));
    return escapes[sequence] as string;
  });
}

function withoutByteOrderMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}
