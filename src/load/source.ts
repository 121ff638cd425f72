import type { Position } from '../errors.ts';

/**
 * The tree every stage of the loader works on: YAML's three kinds, each value with the place it was read from.
 * Maps are real Maps, so a key such as `__proto__` is only a key.
 */

/** A text file as read, able to turn an offset into line and column. */
export interface SourceText {
  readonly file: string;
  readonly text: string;
  /** Offsets of the first character of every line. */
  readonly lineStarts: readonly number[];
}

/** A stretch of a source text; `length` counts characters. */
export interface Mark {
  readonly source: SourceText;
  readonly offset: number;
  readonly length: number;
}

export type Scalar = string | number | boolean | null;

/** `reset` removes what earlier files gave; `override` replaces it without merging (compose "merge", tags). */
export type Tag = 'reset' | 'override';

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly value: Scalar;
  readonly at: Mark;
  readonly tag?: Tag;
}

export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly Node[];
  readonly at: Mark;
  readonly tag?: Tag;
}

export interface MapEntry {
  readonly keyAt: Mark;
  readonly value: Node;
}

export interface MapNode {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, MapEntry>;
  readonly at: Mark;
  readonly tag?: Tag;
}

export type Node = ScalarNode | ListNode | MapNode;

export function sourceText(file: string, text: string): SourceText {
  const lineStarts = [0];
  for (let index = text.indexOf('\n'); index !== -1; index = text.indexOf('\n', index + 1)) lineStarts.push(index + 1);
  return { file, text, lineStarts };
}

export function markAt(source: SourceText, offset: number, length = 1): Mark {
  return { source, offset: Math.max(0, Math.min(offset, source.text.length)), length };
}

/** Where a mark is, for people: line and column from 1, never beyond the end of its line. */
export function positionOf(mark: Mark): Position {
  const { source, offset } = mark;
  const line = lineIndex(source.lineStarts, offset);
  const start = source.lineStarts[line] ?? 0;
  const room = Math.max(1, lineText(source, line).length - (offset - start));
  return { file: source.file, line: line + 1, column: offset - start + 1, length: Math.max(1, Math.min(mark.length, room)) };
}

/** The text of the line a mark begins on, without its line break. */
export function sourceLineOf(mark: Mark): string {
  return lineText(mark.source, lineIndex(mark.source.lineStarts, mark.offset));
}

function lineIndex(lineStarts: readonly number[], offset: number): number {
  let low = 0;
  let high = lineStarts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((lineStarts[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function lineText(source: SourceText, line: number): string {
  const start = source.lineStarts[line] ?? 0;
  const end = source.lineStarts[line + 1] ?? source.text.length + 1;
  return source.text.slice(start, end - 1).replace(/\r$/, '');
}

export function scalar(value: Scalar, at: Mark): ScalarNode {
  return { kind: 'scalar', value, at };
}

export function list(items: readonly Node[], at: Mark): ListNode {
  return { kind: 'list', items, at };
}

export function mapping(entries: ReadonlyMap<string, MapEntry>, at: Mark): MapNode {
  return { kind: 'map', entries, at };
}

/** A map made by the loader itself, every part standing where `at` is. */
export function mappingOf(fields: Readonly<Record<string, Node | undefined>>, at: Mark): MapNode {
  const entries = new Map<string, MapEntry>();
  for (const [key, value] of Object.entries(fields)) if (value) entries.set(key, { keyAt: value.at, value });
  return mapping(entries, at);
}

export function isNull(node: Node | undefined): boolean {
  return node?.kind === 'scalar' && node.value === null;
}

/** The value below a chain of keys; undefined where the chain breaks. */
export function childOf(node: Node | undefined, ...keys: readonly string[]): Node | undefined {
  let current = node;
  for (const key of keys) {
    if (current?.kind !== 'map') return undefined;
    current = current.entries.get(key)?.value;
  }
  return current;
}

/** The text of a scalar child, or undefined. */
export function textOf(node: Node | undefined): string | undefined {
  return node?.kind === 'scalar' && node.value !== null ? String(node.value) : undefined;
}

export function itemsOf(node: Node | undefined): readonly Node[] {
  return node?.kind === 'list' ? node.items : [];
}

export function entriesOf(node: Node | undefined): [string, MapEntry][] {
  return node?.kind === 'map' ? [...node.entries] : [];
}

/** A copy of a map with one entry set; `keyAt` stays where it was. */
export function withEntry(node: MapNode, key: string, value: Node, keyAt: Mark = value.at): MapNode {
  const entries = new Map(node.entries);
  entries.set(key, { keyAt: node.entries.get(key)?.keyAt ?? keyAt, value });
  return { ...node, entries };
}

export function withoutEntry(node: MapNode, key: string): MapNode {
  if (!node.entries.has(key)) return node;
  const entries = new Map(node.entries);
  entries.delete(key);
  return { ...node, entries };
}

/** Plain data: what JSON can say. Objects have no prototype. */
export type Plain = Scalar | readonly Plain[] | PlainObject;
export interface PlainObject {
  readonly [key: string]: Plain;
}

export function toPlain(node: Node): Plain {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toPlain);
  const object: Record<string, Plain> = Object.create(null);
  for (const [key, entry] of node.entries) object[key] = toPlain(entry.value);
  return object;
}
