import { parseDuration } from '../model/units.ts';
import type { StringMap } from '../model/project.ts';
import { childOf, entriesOf, itemsOf, type Node, textOf } from './source.ts';

/** Reading typed values out of a canonical tree; absent ones stay absent. */

/** Text attributes under the model's names: `pick(node, {working_dir: 'workingDir'})`. */
export function pick<Name extends string>(node: Node, names: Readonly<Record<string, Name>>): { [Key in Name]?: string } {
  const picked: { [Key in Name]?: string } = {};
  for (const [attribute, name] of Object.entries(names)) {
    const text = textOf(childOf(node, attribute));
    if (text !== undefined) picked[name] = text;
  }
  return picked;
}

/** The same for numbers. */
export function pickNumbers<Name extends string>(node: Node, names: Readonly<Record<string, Name>>): { [Key in Name]?: number } {
  const picked: { [Key in Name]?: number } = {};
  for (const [attribute, name] of Object.entries(names)) {
    const text = textOf(childOf(node, attribute));
    if (text !== undefined) picked[name] = Number(text);
  }
  return picked;
}

export function flag(node: Node | undefined, key: string, fallback = false): boolean {
  const text = textOf(childOf(node, key));
  return text === undefined ? fallback : text === 'true';
}

export function texts(node: Node | undefined): string[] {
  return itemsOf(node).flatMap((item) => textOf(item) ?? []);
}

export function milliseconds(node: Node | undefined): number | undefined {
  const text = textOf(node);
  return text === undefined ? undefined : parseDuration(text);
}

/** A map of texts; null values become '' unless they are to be dropped. */
export function stringMap(node: Node | undefined, nulls: 'empty' | 'drop' = 'empty'): StringMap {
  const map: Record<string, string> = Object.create(null);
  for (const [key, { value }] of entriesOf(node)) {
    const text = textOf(value);
    if (text !== undefined || nulls === 'empty') map[key] = text ?? '';
  }
  return map;
}
