/** Looks a variable up; undefined: not set. */
export type Lookup = (name: string) => string | undefined;

/** Why a text could not be interpolated; `offset` and `length` say which part of the text. */
export class TemplateFault extends Error {
  readonly kind: 'invalid' | 'missing';
  readonly variable: string;
  readonly offset: number;
  readonly length: number;

  constructor(kind: 'invalid' | 'missing', message: string, place: { variable?: string; offset: number; length: number }) {
    super(message);
    this.kind = kind;
    this.variable = place.variable ?? '';
    this.offset = place.offset;
    this.length = place.length;
  }
}

/**
 * Replaces `$NAME`, `${NAME}` and the forms with an operator (`:-` `-` `:?` `?` `:+` `+`), whose right side is a template
 * in its turn and is looked at only when it is used; `$$` is a dollar sign (compose "interpolation"). `onUnset` hears of every
 * variable that is neither set nor has a default.
 * @throws TemplateFault
 */
export function substitute(text: string, lookup: Lookup, onUnset: (name: string, offset: number) => void = () => {}): string {
  if (!text.includes('$')) return text;
  let result = '';
  let position = 0;
  while (position < text.length) {
    const dollar = text.indexOf('$', position);
    if (dollar === -1) break;
    result += text.slice(position, dollar);
    const part = readPart(text, dollar);
    result += textFor(part, text, { lookup, onUnset });
    position = part.end;
  }
  return result + text.slice(position);
}

/** Names of all variables a text asks for, in order, with the default where one is written. */
export function variablesIn(text: string): { name: string; operator: string; operand: string }[] {
  const found: { name: string; operator: string; operand: string }[] = [];
  for (let dollar = text.indexOf('$'); dollar !== -1; ) {
    const part = readPart(text, dollar);
    if (part.name !== undefined) found.push({ name: part.name, operator: part.operator, operand: part.operand });
    if (part.operand.includes('$')) found.push(...variablesIn(part.operand));
    dollar = text.indexOf('$', part.end);
  }
  return found;
}

interface Part {
  readonly start: number;
  readonly end: number;
  /** undefined: a dollar sign, escaped or alone. */
  readonly name?: string;
  readonly operator: string;
  readonly operand: string;
  readonly operandStart: number;
}

const namePattern = /[_a-zA-Z][_a-zA-Z0-9]*/y;

function readPart(text: string, dollar: number): Part {
  const next = text[dollar + 1];
  const bare = { start: dollar, operator: '', operand: '', operandStart: 0 };
  if (next === '$') return { ...bare, end: dollar + 2 };
  if (next === '{') return readBraced(text, dollar);
  const name = nameAt(text, dollar + 1);
  // A dollar sign before anything else is itself.
  if (name === '') return { ...bare, end: dollar + 1 };
  return { ...bare, end: dollar + 1 + name.length, name };
}

function readBraced(text: string, dollar: number): Part {
  const close = closingBrace(text, dollar + 1);
  const name = nameAt(text, dollar + 2);
  const after = dollar + 2 + name.length;
  if (close === -1 || name === '') throw invalid(text, dollar, close === -1 ? text.length : close + 1);
  const operator = /^(:?[-?+])?/.exec(text.slice(after, after + 2))?.[0] ?? '';
  if (operator === '' && after !== close) throw invalid(text, dollar, close + 1);
  const operandStart = after + operator.length;
  return { start: dollar, end: close + 1, name, operator, operand: text.slice(operandStart, close), operandStart };
}

function nameAt(text: string, start: number): string {
  namePattern.lastIndex = start;
  return namePattern.exec(text)?.[0] ?? '';
}

function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let index = open; index < text.length; index++) {
    if (text[index] === '{') depth++;
    if (text[index] === '}' && --depth === 0) return index;
  }
  return -1;
}

function invalid(text: string, start: number, end: number): TemplateFault {
  return new TemplateFault('invalid', `"${text.slice(start, Math.min(end, start + 80))}" is no variable`, {
    offset: start,
    length: Math.max(1, end - start),
  });
}

interface Environment {
  readonly lookup: Lookup;
  readonly onUnset: (name: string, offset: number) => void;
}

function textFor(part: Part, text: string, environment: Environment): string {
  if (part.name === undefined) return '$';
  const value = environment.lookup(part.name);
  // With the colon an empty value counts as none.
  const isGiven = part.operator.startsWith(':') ? Boolean(value) : value !== undefined;
  const operand = () => nested(part, environment);
  switch (part.operator.at(-1)) {
    case '-':
      return isGiven ? (value as string) : operand();
    case '+':
      return isGiven ? operand() : '';
    case '?':
      if (isGiven) return value as string;
      throw missing(part, text, operand());
    default:
      if (value === undefined) environment.onUnset(part.name, part.start);
      return value ?? '';
  }
}

/** How deeply defaults may stand inside defaults; each level scans its text again. */
const nestingLimit = 50;

function nested(part: Part, environment: Environment): string {
  const depth = part.operand.split('${').length;
  if (depth > nestingLimit)
    throw new TemplateFault('invalid', `more than ${nestingLimit} variables inside one another`, {
      offset: part.start,
      length: part.end - part.start,
    });
  const shifted = (name: string, offset: number) => environment.onUnset(name, part.operandStart + offset);
  return substitute(part.operand, environment.lookup, shifted);
}

function missing(part: Part, text: string, why: string): TemplateFault {
  const name = part.name as string;
  const message = `the variable ${name} is required and ${part.operator === ':?' ? 'not set, or empty' : 'not set'}${why ? `: ${why}` : ''}`;
  return new TemplateFault('missing', message, {
    variable: name,
    offset: part.start,
    length: Math.min(part.end, text.length) - part.start,
  });
}
