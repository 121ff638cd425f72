import type { Scalar } from './source.ts';

/**
 * What a plain (unquoted) YAML scalar means in a compose file: YAML 1.2's core schema, with octal numbers also in their
 * 1.1 form (0440) as go-yaml reads them. `yes`, `no`, `on`, `off` stay text; a boolean attribute understands them.
 */
export function plainScalar(text: string): Scalar {
  const first = text.charCodeAt(0);
  // Nearly every scalar begins with a letter that begins no special word: n, N, t, T, f, F, ~ or a number do.
  if (words.has(text)) return words.get(text) as Scalar;
  const mayBeNumber = (first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46;
  return mayBeNumber ? (numberIn(text) ?? text) : text;
}

const words: ReadonlyMap<string, Scalar> = new Map<string, Scalar>([
  ['', null],
  ['~', null],
  ['null', null],
  ['Null', null],
  ['NULL', null],
  ['true', true],
  ['True', true],
  ['TRUE', true],
  ['false', false],
  ['False', false],
  ['FALSE', false],
]);

/** The number a text stands for in YAML, or undefined: 12, 0x1f, 0o17, 017, 0b11, 1_000, 1.5, 1e3. */
export function numberIn(text: string): number | undefined {
  for (const [pattern, radix, prefix] of integerForms) {
    if (pattern.test(text)) return integer(text, radix, prefix);
  }
  return /^[-+]?(\.\d+|\d[\d_]*(\.\d*)?)(e[-+]?\d+)?$/i.test(text) ? Number(text.replaceAll('_', '')) : undefined;
}

const integerForms: readonly (readonly [RegExp, number, number])[] = [
  [/^[-+]?0x[0-9a-f_]+$/i, 16, 2],
  [/^[-+]?0o[0-7_]+$/, 8, 2],
  [/^[-+]?0b[01_]+$/, 2, 2],
  [/^[-+]?0[0-7_]+$/, 8, 1],
];

function integer(text: string, radix: number, prefix: number): number {
  const negative = text.startsWith('-');
  const digits = text.replace(/^[-+]/, '').slice(prefix).replaceAll('_', '');
  const value = Number.parseInt(digits, radix);
  return negative ? -value : value;
}
