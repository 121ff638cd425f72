import { formatDuration, parseBytes, parseDuration } from '../model/units.ts';
import { type Diagnostics, nearest } from './diagnostics.ts';
import { numberIn } from './scalar.ts';
import { list, type MapEntry, type MapNode, mapping, type Node, type ScalarNode, scalar } from './source.ts';

/** A part of a JSON Schema (draft 2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * What a value may look like. `read` checks it and gives its canonical (long, typed) form; after a fault it has told
 * `diagnostics` and gives undefined. `path` names the value for people: "services.web.ports[0]".
 */
export interface Shape {
  readonly schema: JsonSchema;
  read(node: Node, path: string, diagnostics: Diagnostics): Node | undefined;
}

/** One attribute of an object: its shape, what it means, and whether this version acts on it. */
export interface Field {
  readonly shape: Shape;
  readonly description: string;
  readonly required?: boolean;
  /** `later`: understood, but nothing happens yet, which a warning says. Otherwise the warning's own words. */
  readonly support?: 'later' | { readonly note: string };
}

export type Fields = Readonly<Record<string, Field>>;

export function field(shape: Shape, description: string): Field {
  return { shape, description };
}

export function required(shape: Shape, description: string): Field {
  return { shape, description, required: true };
}

/** An attribute this version understands and does not act on. */
export function later(shape: Shape, description: string): Field {
  return { shape, description, support: 'later' };
}

/** A scalar shape from a schema, the words for what is expected, and a reading of one value (undefined: does not fit). */
export function scalarShape(
  schema: JsonSchema,
  expected: string,
  readValue: (value: string | number | boolean) => string | number | boolean | undefined,
): Shape {
  return {
    schema,
    read(node, path, diagnostics) {
      if (node.kind !== 'scalar' || node.value === null) return wrongKind(node, path, expected, diagnostics);
      const value = readValue(node.value);
      if (value === undefined) return badValue(node, path, expected, diagnostics);
      return value === node.value ? node : scalar(value, node.at);
    },
  };
}

export const text: Shape = {
  schema: { type: 'string' },
  read(node, path, diagnostics) {
    if (node.kind === 'scalar' && typeof node.value === 'string') return node;
    if (node.kind !== 'scalar' || node.value === null) return wrongKind(node, path, 'a text', diagnostics);
    diagnostics.error(
      'VALUE_INVALID',
      `${path} must be a text, not ${kindOf(node)}`,
      node.at,
      `put it in quotes: "${String(node.value)}"`,
    );
    return undefined;
  },
};

/** A text, or a number or boolean that stands for its text. */
export const textual: Shape = scalarShape({ type: ['string', 'number', 'boolean'] }, 'a text, number or boolean', String);

export function pattern(regularExpression: RegExp, expected: string): Shape {
  const schema = { type: 'string', pattern: regularExpression.source };
  return scalarShape(schema, expected, (value) =>
    typeof value === 'string' && regularExpression.test(value) ? value : undefined,
  );
}

export function oneOf(...values: readonly string[]): Shape {
  return {
    schema: { enum: values },
    read(node, path, diagnostics) {
      if (node.kind !== 'scalar' || node.value === null) return wrongKind(node, path, `one of ${values.join(', ')}`, diagnostics);
      if (values.includes(String(node.value))) return scalar(String(node.value), node.at);
      const near = nearest(String(node.value), values);
      const hint = near === undefined ? undefined : `did you mean "${near}"?`;
      diagnostics.error(
        'VALUE_INVALID',
        `${path} must be one of ${values.join(', ')}, not "${String(node.value)}"`,
        node.at,
        hint,
      );
      return undefined;
    },
  };
}

const booleanWords: ReadonlyMap<string, boolean> = new Map([
  ...['true', 't', 'yes', 'y', 'on', '1'].map((word) => [word, true] as const),
  ...['false', 'f', 'no', 'n', 'off', '0'].map((word) => [word, false] as const),
]);

export const boolean: Shape = scalarShape({ type: ['boolean', 'string'] }, 'true or false', (value) => {
  return typeof value === 'boolean' ? value : booleanWords.get(String(value).toLowerCase());
});

export function integer(minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER): Shape {
  const expected =
    maximum < Number.MAX_SAFE_INTEGER
      ? `a whole number from ${minimum} to ${maximum}`
      : minimum > Number.MIN_SAFE_INTEGER
        ? `a whole number, ${minimum} or more`
        : 'a whole number';
  return scalarShape({ type: ['integer', 'string'] }, expected, (value) => {
    const number = asNumber(value);
    return number !== undefined && Number.isInteger(number) && number >= minimum && number <= maximum ? number : undefined;
  });
}

export function number(minimum = Number.NEGATIVE_INFINITY): Shape {
  const expected = minimum === Number.NEGATIVE_INFINITY ? 'a number' : `a number, ${minimum} or more`;
  return scalarShape({ type: ['number', 'string'] }, expected, (value) => {
    const read = asNumber(value);
    return read !== undefined && read >= minimum ? read : undefined;
  });
}

function asNumber(value: string | number | boolean): number | undefined {
  return typeof value === 'number' ? value : typeof value === 'string' ? numberIn(value.trim()) : undefined;
}

/** A size; canonical form: the number of bytes as text, as docker compose prints it. */
export const bytes: Shape = scalarShape({ type: ['string', 'number'] }, 'a size such as 512m or 1gb', (value) => {
  const size = typeof value === 'boolean' ? undefined : parseBytes(value);
  return size === undefined || size < -1 ? undefined : String(size);
});

/** A duration; canonical form: Go's notation ("1m30s"). */
export const duration: Shape = scalarShape({ type: 'string', format: 'duration' }, 'a duration such as 30s or 1m30s', (value) => {
  const milliseconds = typeof value === 'string' ? parseDuration(value) : undefined;
  return milliseconds === undefined ? undefined : formatDuration(milliseconds);
});

/** File permission bits; canonical form: "0440". Numbers are as YAML reads them (0440 is octal), texts are octal. */
export const fileMode: Shape = scalarShape({ type: ['string', 'number'] }, 'permission bits such as "0440"', (value) => {
  const bits =
    typeof value === 'number'
      ? value
      : typeof value === 'string' && /^(0o?)?[0-7]{1,4}$/.test(value)
        ? Number.parseInt(value.replace('o', ''), 8)
        : undefined;
  return bits === undefined || !Number.isInteger(bits) || bits < 0 || bits > 0o7777
    ? undefined
    : `0${bits.toString(8).padStart(3, '0')}`;
});

/** A list; each item is read by `item`. Null items are refused. */
export function listOf(item: Shape): Shape {
  return {
    schema: { type: 'array', items: item.schema },
    read: (node, path, diagnostics) =>
      node.kind === 'list' ? readItems(node, item, path, diagnostics) : wrongKind(node, path, 'a list', diagnostics),
  };
}

/** A list, or a single item that stands for a list of one. */
export function oneOrList(item: Shape): Shape {
  return {
    schema: { anyOf: [item.schema, { type: 'array', items: item.schema }] },
    read(node, path, diagnostics) {
      if (node.kind === 'list') return readItems(node, item, path, diagnostics);
      const read = item.read(node, path, diagnostics);
      return read && list([read], node.at);
    },
  };
}

function readItems(node: Node, item: Shape, path: string, diagnostics: Diagnostics): Node {
  const items: Node[] = [];
  const source = node.kind === 'list' ? node.items : [];
  source.forEach((entry, index) => {
    const read = item.read(entry, `${path}[${index}]`, diagnostics);
    if (!read) return;
    // An item that stands for several (a range of ports) comes back as a list.
    if (read.kind === 'list' && expanded.has(read)) items.push(...read.items);
    else items.push(read);
  });
  return list(items, node.at);
}

const expanded = new WeakSet<Node>();

/** Marks a list as standing for its items within the list around it. */
export function several(items: readonly Node[], at: Node['at']): Node {
  if (items.length === 1) return items[0] as Node;
  const node = list(items, at);
  expanded.add(node);
  return node;
}

/** A map with keys of the user's choice. A null value stays null when `nullable`, and is refused otherwise. */
export function mapOf(value: Shape, options: { nullable?: boolean; key?: RegExp; keyHint?: string; noun?: string } = {}): Shape {
  const valueSchema = options.nullable ? { anyOf: [{ type: 'null' }, value.schema] } : value.schema;
  return {
    schema: {
      type: 'object',
      additionalProperties: valueSchema,
      ...(options.key && { propertyNames: { pattern: options.key.source } }),
    },
    read(node, path, diagnostics) {
      if (node.kind !== 'map') return wrongKind(node, path, 'a mapping', diagnostics);
      const entries = new Map<string, MapEntry>();
      for (const [key, entry] of node.entries) {
        if (options.key && !options.key.test(key)) {
          diagnostics.error(
            'NAME_INVALID',
            `"${key}" cannot be the name of ${options.noun ?? 'an entry'}`,
            entry.keyAt,
            options.keyHint,
          );
          continue;
        }
        const read = readEntry(entry, value, path === '' ? key : `${path}.${key}`, diagnostics, options.nullable);
        if (read) entries.set(key, { keyAt: entry.keyAt, value: read });
      }
      return { ...node, entries };
    },
  };
}

/** A value that may be removed (!reset), replaced (!override) or empty. */
function readEntry(entry: MapEntry, shape: Shape, path: string, diagnostics: Diagnostics, nullable = true): Node | undefined {
  const node = entry.value;
  if (node.tag === 'reset') return node;
  if (node.kind === 'scalar' && node.value === null && nullable) return node;
  const read = shape.read(node, path, diagnostics);
  return read && node.tag ? { ...read, tag: node.tag } : read;
}

/** An object with known attributes; `x-…` ones pass unread. */
export function object(fields: Fields): Shape {
  const known = new Map(Object.entries(fields));
  const names = [...known.keys()];
  return {
    schema: objectSchema(fields),
    read(node, path, diagnostics) {
      if (node.kind !== 'map') return wrongKind(node, path, 'a mapping', diagnostics);
      for (const [name, definition] of known) {
        if (definition.required && !node.entries.has(name))
          diagnostics.error('FILE_INVALID', `${path} lacks "${name}"`, node.at, `add "${name}": ${definition.description}`);
      }
      return readFields(node, known, names, path, diagnostics);
    },
  };
}

function readFields(
  node: MapNode,
  known: ReadonlyMap<string, Field>,
  names: readonly string[],
  path: string,
  diagnostics: Diagnostics,
): Node {
  const entries = new Map<string, MapEntry>();
  for (const [key, entry] of node.entries) {
    const definition = known.get(key);
    const place = path === '' ? key : `${path}.${key}`;
    if (!definition) {
      if (key.startsWith('x-')) entries.set(key, entry);
      else unknownAttribute(key, entry, names, path, diagnostics);
      continue;
    }
    const read = readEntry(entry, definition.shape, place, diagnostics);
    if (read) entries.set(key, { keyAt: entry.keyAt, value: read });
    if (definition.support && read && !saysNothing(read)) unsupportedAttribute(place, entry, definition.support, diagnostics);
  }
  return mapping(entries, node.at);
}

/** Empty and switched-off values ask for nothing, so not acting on them needs no warning. */
function saysNothing(node: Node): boolean {
  if (node.tag === 'reset') return true;
  return node.kind === 'scalar' ? node.value === null || node.value === false : false;
}

function unknownAttribute(key: string, entry: MapEntry, names: readonly string[], path: string, diagnostics: Diagnostics): void {
  const near = nearest(key, names);
  const place = path === '' ? 'the top level' : path;
  const hint =
    near === undefined ? 'remove it, or begin its name with x- if it is a note of your own' : `did you mean "${near}"?`;
  diagnostics.error('UNKNOWN_ATTRIBUTE', `${place} has no attribute "${key}"`, entry.keyAt, hint);
}

function unsupportedAttribute(
  place: string,
  entry: MapEntry,
  support: NonNullable<Field['support']>,
  diagnostics: Diagnostics,
): void {
  const message = support === 'later' ? `${place} is not supported yet and has no effect` : `${place} ${support.note}`;
  diagnostics.warning('UNSUPPORTED_ATTRIBUTE', message, entry.keyAt);
}

function objectSchema(fields: Fields): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  for (const [name, { shape, description, support }] of Object.entries(fields)) {
    const note = support === 'later' ? ' (not supported yet)' : '';
    properties[name] = { description: `${description}${note}`, anyOf: [{ type: 'null' }, shape.schema] };
  }
  const needed = Object.entries(fields).flatMap(([name, { required }]) => (required ? [name] : []));
  return {
    type: 'object',
    properties,
    patternProperties: { '^x-': {} },
    additionalProperties: false,
    ...(needed.length > 0 && { required: needed }),
  };
}

/** A map, or a list of `KEY=VALUE`; canonical form: the map. A key alone has the value null. */
export function keyValues(options: { separators?: RegExp; noun?: string } = {}): Shape {
  const noun = options.noun ?? 'KEY=VALUE';
  const valueSchema = { type: ['string', 'number', 'boolean', 'null'] };
  return {
    schema: {
      anyOf: [
        { type: 'object', additionalProperties: valueSchema },
        { type: 'array', items: { type: 'string' } },
      ],
    },
    read(node, path, diagnostics) {
      if (node.kind === 'list') return pairsToMap(node.items, node, path, noun, diagnostics);
      if (node.kind !== 'map') return wrongKind(node, path, `a mapping, or a list of ${noun}`, diagnostics);
      const entries = new Map<string, MapEntry>();
      for (const [key, entry] of node.entries) {
        const { value } = entry;
        if (value.tag === 'reset' || (value.kind === 'scalar' && value.value === null)) entries.set(key, entry);
        else if (value.kind === 'scalar')
          entries.set(key, { keyAt: entry.keyAt, value: { ...value, value: String(value.value) } });
        else wrongKind(value, `${path}.${key}`, 'a text, number, boolean or null', diagnostics);
      }
      return { ...node, entries };
    },
  };
}

function pairsToMap(items: readonly Node[], node: Node, path: string, noun: string, diagnostics: Diagnostics): Node {
  const entries = new Map<string, MapEntry>();
  items.forEach((item, index) => {
    if (item.kind !== 'scalar' || item.value === null) {
      wrongKind(item, `${path}[${index}]`, noun, diagnostics);
      return;
    }
    const pair = String(item.value);
    const equals = pair.indexOf('=');
    const key = equals === -1 ? pair : pair.slice(0, equals);
    if (key !== key.trimEnd()) {
      diagnostics.error(
        'VALUE_INVALID',
        `${path}[${index}]: the name "${key}" ends with a space`,
        item.at,
        'remove the space before "="',
      );
      return;
    }
    entries.set(key, { keyAt: item.at, value: scalar(equals === -1 ? null : pair.slice(equals + 1), item.at) });
  });
  return mapping(entries, node.at);
}

/** Chooses a shape by the kind of the value: a short form next to a long one. */
export function either(forms: Partial<Record<Node['kind'], Shape>>, expected: string): Shape {
  const shapes = Object.values(forms);
  return {
    schema: { anyOf: shapes.map((shape) => shape.schema) },
    read: (node, path, diagnostics) =>
      forms[node.kind]?.read(node, path, diagnostics) ??
      (forms[node.kind] ? undefined : wrongKind(node, path, expected, diagnostics)),
  };
}

/** A shape followed by a change of its canonical form. */
export function andThen(shape: Shape, change: (node: Node, path: string, diagnostics: Diagnostics) => Node | undefined): Shape {
  return {
    schema: shape.schema,
    read(node, path, diagnostics) {
      const read = shape.read(node, path, diagnostics);
      return read && change(read, path, diagnostics);
    },
  };
}

/** Anything at all. */
export const anything: Shape = { schema: {}, read: (node) => node };

export function wrongKind(node: Node, path: string, expected: string, diagnostics: Diagnostics): undefined {
  diagnostics.error('VALUE_INVALID', `${path === '' ? 'the file' : path} must be ${expected}, not ${kindOf(node)}`, node.at);
  return undefined;
}

export function badValue(node: ScalarNode, path: string, expected: string, diagnostics: Diagnostics): undefined {
  const shown = String(node.value);
  diagnostics.error(
    'VALUE_INVALID',
    `${path} must be ${expected}, not "${shown.length > 60 ? `${shown.slice(0, 59)}…` : shown}"`,
    node.at,
  );
  return undefined;
}

function kindOf(node: Node): string {
  if (node.kind === 'list') return 'a list';
  if (node.kind === 'map') return 'a mapping';
  if (node.value === null) return 'empty';
  return typeof node.value === 'string'
    ? 'a text'
    : typeof node.value === 'number'
      ? `the number ${node.value}`
      : `the boolean ${node.value}`;
}
