import type { Diagnostics } from './diagnostics.ts';
import { type Mark, markAt, type Node, type ScalarNode } from './source.ts';
import { type Lookup, substitute, TemplateFault } from './template.ts';

/** Every text of a tree with its variables replaced; keys stay as they are (compose "interpolation"). */
export function interpolate(node: Node, lookup: Lookup, diagnostics: Diagnostics): Node {
  if (node.kind === 'scalar') return interpolateScalar(node, lookup, diagnostics);
  if (node.kind === 'list') {
    const items = node.items.map((item) => interpolate(item, lookup, diagnostics));
    return items.some((item, index) => item !== node.items[index]) ? { ...node, items } : node;
  }
  let changed = false;
  const entries = new Map(node.entries);
  for (const [key, entry] of node.entries) {
    const value = interpolate(entry.value, lookup, diagnostics);
    if (value === entry.value) continue;
    changed = true;
    entries.set(key, { keyAt: entry.keyAt, value });
  }
  return changed ? { ...node, entries } : node;
}

function interpolateScalar(node: ScalarNode, lookup: Lookup, diagnostics: Diagnostics): Node {
  if (typeof node.value !== 'string' || !node.value.includes('$')) return node;
  const text = node.value;
  try {
    const value = substitute(text, lookup, (name, offset) => {
      const at = partOf(node, text.slice(offset, offset + name.length + 1));
      diagnostics.warning(
        'VARIABLE_MISSING',
        `the variable ${name} is not set; an empty text stands in for it`,
        at,
        `set it, or write \${${name}:-} to say that empty is meant`,
      );
    });
    return { ...node, value };
  } catch (error) {
    if (!(error instanceof TemplateFault)) throw error;
    const at = partOf(node, text.slice(error.offset, error.offset + error.length));
    reportTemplateFault(error, at, diagnostics);
    return { ...node, value: '' };
  }
}

/** Tells of a text that could not be interpolated, in a compose file or an env file. */
export function reportTemplateFault(fault: TemplateFault, at: Mark, diagnostics: Diagnostics): void {
  if (fault.kind === 'missing')
    diagnostics.error('VARIABLE_MISSING', fault.message, at, `set ${fault.variable} in the environment or in .env`);
  else diagnostics.error('TEMPLATE_INVALID', fault.message, at, 'write $NAME or ${NAME}; for a dollar sign itself write $$');
}

/** The stretch of the file where a part of a scalar's text stands; the whole scalar where escapes or folding hide it. */
function partOf(node: ScalarNode, part: string): Mark {
  const { source, offset, length } = node.at;
  const braced = `\${${part.slice(1)}`;
  const raw = source.text.slice(offset, offset + length);
  for (const wanted of [part, braced]) {
    const index = raw.indexOf(wanted);
    if (index !== -1) return markAt(source, offset + index, wanted.length);
  }
  return node.at;
}
