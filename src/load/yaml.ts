import {
  type Alias,
  Composer,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type ParsedNode,
  Parser,
  type Scalar as YamlScalar,
} from 'yaml';
import type { Diagnostics } from './diagnostics.ts';
import { plainScalar } from './scalar.ts';
import { type Mark, type MapEntry, markAt, type Node, type SourceText, sourceText, type Tag } from './source.ts';

/** Bounds on a compose file; far above any real one, low enough that none of them can hang or fill the memory. */
export const yamlLimits = {
  /** Characters of one file. */
  characters: 5 * 1024 * 1024,
  /** Levels of nesting. */
  depth: 100,
  /** Values after aliases are written out (compose-go: 100,000 visits). */
  values: 100_000,
} as const;

/** The documents of one YAML text; what is wrong with it goes to `diagnostics`, and undefined comes back. */
export function readYaml(file: string, text: string, diagnostics: Diagnostics): Node[] | undefined {
  const source = sourceText(file, text);
  if (text.length > yamlLimits.characters) {
    diagnostics.error(
      'FILE_TOO_LARGE',
      `the file has ${text.length} characters; a compose file may have ${yamlLimits.characters}`,
      markAt(source, 0),
    );
    return undefined;
  }
  const binary = text.indexOf('\0');
  if (binary !== -1) {
    diagnostics.error('YAML_SYNTAX', 'the file contains a zero byte, so it is no text', markAt(source, binary));
    return undefined;
  }
  try {
    return new TreeReader(source, diagnostics).documents();
  } catch (error) {
    if (error instanceof Stopped) return undefined;
    // The parser recurses; its stack is the last bound, for what the depth check cannot foresee.
    if (!(error instanceof RangeError)) throw error;
    diagnostics.error('FILE_INVALID', 'the file is nested too deeply to be read', markAt(source, 0));
    return undefined;
  }
}

/** Reading has ended with a diagnostic that makes everything after it meaningless. */
class Stopped extends Error {}

/** Turns the parser's documents into our tree: aliases written out, merge keys applied, duplicate keys refused. */
class TreeReader {
  readonly #source: SourceText;
  readonly #diagnostics: Diagnostics;
  /** What an anchor stands for; `undefined` while its value is still being read (a cycle if asked for then). */
  #anchors = new Map<string, { node: Node | undefined; size: number }>();
  #values = 0;

  constructor(source: SourceText, diagnostics: Diagnostics) {
    this.#source = source;
    this.#diagnostics = diagnostics;
  }

  documents(): Node[] {
    const tokens = [...new Parser().parse(this.#source.text)];
    if (mayBeDeep(this.#source.text)) for (const token of tokens) this.#checkDepth(token);
    // `failsafe`: every scalar stays text here, because compose's own rules (scalar.ts) say what a plain one means.
    // `uniqueKeys` compares every key with every other one; this reader does it with a Map.
    const composer = new Composer({
      schema: 'failsafe',
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
      strict: true,
    });
    const documents = [...composer.compose(tokens, true, this.#source.text.length)];
    const errors = documents.flatMap((document) => document.errors);
    for (const error of errors.slice(0, 20)) {
      const hint = syntaxHints[error.code];
      this.#diagnostics.error('YAML_SYNTAX', sentence(error.message), this.#mark(error.pos[0], error.pos[1]), hint);
    }
    if (errors.length > 0) throw new Stopped();
    const nodes: Node[] = [];
    for (const document of documents) {
      this.#anchors = new Map();
      if (document.contents) nodes.push(this.#node(document.contents as ParsedNode));
    }
    return nodes;
  }

  #checkDepth(token: unknown): void {
    const pending: [unknown, number][] = [[token, 0]];
    for (let next = pending.pop(); next; next = pending.pop()) {
      const [current, depth] = next;
      if (typeof current !== 'object' || current === null) continue;
      if (depth > yamlLimits.depth)
        this.#stop('FILE_INVALID', `more than ${yamlLimits.depth} levels of nesting`, this.#markOfToken(current));
      const { items, value, key } = current as { items?: unknown[]; value?: unknown; key?: unknown };
      const isCollection = Array.isArray(items);
      if (isCollection) for (const item of items) pending.push([item, depth + 1]);
      if (value !== undefined) pending.push([value, depth]);
      if (key !== undefined) pending.push([key, depth]);
    }
  }

  #markOfToken(token: object): Mark {
    return markAt(this.#source, 'offset' in token && typeof token.offset === 'number' ? token.offset : 0);
  }

  #node(node: ParsedNode): Node {
    if (isAlias(node)) return this.#alias(node);
    const at = this.#mark(node.range[0], node.range[1]);
    this.#count(1, at);
    const before = this.#values;
    const anchor = node.anchor;
    if (anchor !== undefined) this.#anchors.set(anchor, { node: undefined, size: 0 });
    const tag = tags[node.tag ?? ''];
    const read = isMap(node)
      ? this.#map(node.items, at)
      : isSeq(node)
        ? this.#list(node.items, at)
        : this.#scalar(node as YamlScalar.Parsed, at);
    const tagged = tag ? { ...read, tag } : read;
    if (anchor !== undefined) this.#anchors.set(anchor, { node: tagged, size: this.#values - before + 1 });
    return tagged;
  }

  #alias(alias: Alias.Parsed): Node {
    const at = this.#mark(alias.range[0], alias.range[1]);
    const target = this.#anchors.get(alias.source);
    if (!target) this.#stop('YAML_SYNTAX', `the alias *${alias.source} has no anchor &${alias.source} before it`, at);
    if (!target.node) this.#stop('YAML_SYNTAX', `the alias *${alias.source} stands inside the value of its own anchor`, at);
    this.#count(target.size, at);
    return target.node;
  }

  #count(values: number, at: Mark): void {
    this.#values += values;
    if (this.#values > yamlLimits.values) {
      this.#stop('FILE_TOO_LARGE', `with its aliases written out the file has more than ${yamlLimits.values} values`, at);
    }
  }

  #scalar(node: YamlScalar.Parsed, at: Mark): Node {
    const text = typeof node.value === 'string' ? node.value : (node.source ?? '');
    const isPlain = node.type === 'PLAIN' && node.tag !== '!!str' && node.tag !== 'tag:yaml.org,2002:str';
    return { kind: 'scalar', value: isPlain ? plainScalar(text) : text, at };
  }

  #list(items: readonly unknown[], at: Mark): Node {
    return { kind: 'list', items: items.map((item) => this.#node(item as ParsedNode)), at };
  }

  #map(items: readonly unknown[], at: Mark): Node {
    const entries = new Map<string, MapEntry>();
    const merged: [Node, Mark][] = [];
    for (const pair of items) {
      if (!isPair(pair)) continue;
      const keyNode = pair.key as ParsedNode | null;
      if (!keyNode) continue;
      const keyAt = this.#mark(keyNode.range[0], keyNode.range[1]);
      const key = this.#key(keyNode, keyAt);
      const value = pair.value ? this.#node(pair.value as ParsedNode) : ({ kind: 'scalar', value: null, at: keyAt } as const);
      if (key === '<<' && isScalar(keyNode) && keyNode.type === 'PLAIN') merged.push([value, keyAt]);
      else this.#addEntry(entries, key, { keyAt, value });
    }
    for (const [value, keyAt] of merged) for (const map of this.#mergedMaps(value, keyAt)) addMissing(entries, map);
    return { kind: 'map', entries, at };
  }

  #key(node: ParsedNode, at: Mark): string {
    const read = isAlias(node) ? this.#alias(node) : isScalar(node) ? undefined : null;
    if (read === null || (read && read.kind !== 'scalar')) this.#stop('YAML_SYNTAX', 'a key must be a single value', at);
    if (read?.kind === 'scalar') return String(read.value);
    const scalar = node as YamlScalar.Parsed;
    if (scalar.anchor !== undefined) this.#anchors.set(scalar.anchor, { node: this.#scalar(scalar, at), size: 1 });
    return String(scalar.value ?? '');
  }

  #addEntry(entries: Map<string, MapEntry>, key: string, entry: MapEntry): void {
    const earlier = entries.get(key);
    if (earlier) {
      const line = this.#lineOf(earlier.keyAt);
      this.#diagnostics.error(
        'YAML_SYNTAX',
        `the key "${key}" is already there, in line ${line}`,
        entry.keyAt,
        'remove one of the two',
      );
      return;
    }
    entries.set(key, entry);
  }

  #lineOf(mark: Mark): number {
    return this.#source.text.slice(0, mark.offset).split('\n').length;
  }

  /** YAML 1.1 merge key: one map, or a list of maps of which the earlier ones win (https://yaml.org/type/merge.html). */
  #mergedMaps(value: Node, keyAt: Mark): ReadonlyMap<string, MapEntry>[] {
    const maps = value.kind === 'list' ? value.items : [value];
    return maps.map((map) => {
      if (map.kind !== 'map') this.#stop('YAML_SYNTAX', 'the merge key << needs a mapping, or a list of mappings', keyAt);
      return map.entries;
    });
  }

  #mark(start: number, end: number): Mark {
    return markAt(this.#source, start, Math.max(1, end - start));
  }

  #stop(code: 'YAML_SYNTAX' | 'FILE_INVALID' | 'FILE_TOO_LARGE', message: string, at: Mark): never {
    this.#diagnostics.error(code, message, at);
    throw new Stopped();
  }
}

/**
 * Whether a text can reach the limit of depth at all. A block level needs a column (two levels can share one: a list in a map),
 * a flow level a bracket; so with few of both the walk over all tokens is not needed.
 */
function mayBeDeep(text: string): boolean {
  let brackets = 0;
  for (let index = text.search(/[[{]/); index !== -1 && brackets < 40; index++) {
    const code = text.charCodeAt(index);
    if (Number.isNaN(code)) break;
    if (code === 91 || code === 123) brackets++;
  }
  return brackets >= 40 || /^[ \t\-?:]{28}/m.test(text);
}

const tags: Readonly<Record<string, Tag | undefined>> = { '!reset': 'reset', '!override': 'override' };

const syntaxHints: Readonly<Partial<Record<string, string>>> = {
  TAB_AS_INDENT: 'indent with spaces',
  BAD_INDENT: 'entries of one mapping or list begin in the same column',
  MISSING_CHAR: 'look for an unclosed quote or bracket, or a missing ":" or ","',
  BLOCK_AS_IMPLICIT_KEY: 'put a value that contains ": " in quotes',
};

/** The parser's messages as one sentence of ours: no trailing full stop, small initial. */
function sentence(message: string): string {
  const clean = message.replace(/\s+/g, ' ').replace(/\.$/, '');
  return clean.charAt(0).toLowerCase() + clean.slice(1);
}

/** Merge keys ("<<") give way to the map's own keys, and later ones to earlier ones. */
function addMissing(entries: Map<string, MapEntry>, merged: Iterable<readonly [string, MapEntry]>): void {
  for (const [key, entry] of merged) if (!entries.has(key)) entries.set(key, entry);
}
