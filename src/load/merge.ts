import { type MapEntry, type MapNode, mapping, type Node, textOf, childOf } from './source.ts';

/**
 * Puts an override over a base, both in canonical form (compose "merge"): maps merge key by key, lists append, anything else is
 * replaced, an empty override keeps the base. `rules` names the exceptions. A value tagged `reset` stays as a tombstone, so that
 * it also removes what lies further below; `clean` takes the tombstones out in the end.
 */
export function merge(base: Node, override: Node): Node {
  return mergeAt(base, override, rules);
}

/** A tree without tags and tombstones, its lists without the entries that a later one replaced. */
export function clean(node: Node): Node {
  return cleanAt(node, rules);
}

type Rule =
  /** The override takes the whole place. */
  | { readonly kind: 'replace' }
  /** A map of variables or labels: an empty value is a value. */
  | { readonly kind: 'variables' }
  /** The override takes the whole place when its driver is another one. */
  | { readonly kind: 'driver' }
  /** A list in which entries with the same identity replace one another. */
  | { readonly kind: 'unique'; readonly identity: (item: Node) => string }
  /** A list of maps in which those with the same identity merge. */
  | { readonly kind: 'mergedBy'; readonly identity: (item: Node) => string };

/** Rules by path; `*` is any key. */
interface RuleTree {
  readonly rule?: Rule;
  readonly children: Map<string, RuleTree>;
}

const replace: Rule = { kind: 'replace' };
const variables: Rule = { kind: 'variables' };
const sameValue: Rule = { kind: 'unique', identity: (item) => textOf(item) ?? JSON.stringify(item) };

function unique(...keys: readonly string[]): Rule {
  return { kind: 'unique', identity: (item) => keys.map((key) => textOf(childOf(item, key)) ?? '').join(' ') };
}

const rules: RuleTree = ruleTree([
  ['services.*.command', replace],
  ['services.*.entrypoint', replace],
  ['services.*.healthcheck.test', replace],
  ['services.*.ulimits.*', replace],
  ['services.*.build.ulimits.*', replace],
  ['services.*.logging', { kind: 'driver' }],
  ['services.*.annotations', variables],
  ['services.*.environment', variables],
  ['services.*.labels', variables],
  ['services.*.sysctls', variables],
  ['services.*.build.args', variables],
  ['services.*.build.labels', variables],
  ['services.*.build.additional_contexts', variables],
  ['services.*.deploy.labels', variables],
  ['networks.*.labels', variables],
  ['volumes.*.labels', variables],
  ['networks.*.ipam.config', { kind: 'mergedBy', identity: (item) => textOf(childOf(item, 'subnet')) ?? '' }],
  ['services.*.ports', { kind: 'unique', identity: portIdentity }],
  ['services.*.volumes', unique('target')],
  ['services.*.devices', unique('target')],
  [
    'services.*.configs',
    { kind: 'unique', identity: (item) => textOf(childOf(item, 'target')) ?? `/${textOf(childOf(item, 'source'))}` },
  ],
  ['services.*.secrets', { kind: 'unique', identity: (item) => secretTarget(item) }],
  ['services.*.env_file', unique('path')],
  ['services.*.label_file', sameValue],
  ['services.*.expose', sameValue],
  ['services.*.extra_hosts', sameValue],
  ['services.*.cap_add', sameValue],
  ['services.*.cap_drop', sameValue],
  ['services.*.links', sameValue],
  ['services.*.external_links', sameValue],
  ['services.*.profiles', sameValue],
  ['services.*.tmpfs', sameValue],
  ['services.*.dns', sameValue],
  ['services.*.dns_opt', sameValue],
  ['services.*.dns_search', sameValue],
  ['services.*.group_add', sameValue],
  ['services.*.security_opt', sameValue],
  ['services.*.networks.*.aliases', sameValue],
  ['services.*.networks.*.link_local_ips', sameValue],
  ['services.*.build.tags', sameValue],
]);

function portIdentity(item: Node): string {
  const part = (key: string, fallback: string) => textOf(childOf(item, key)) ?? fallback;
  return `${part('host_ip', '')} ${part('published', '')} ${part('target', '')} ${part('protocol', 'tcp')}`;
}

function secretTarget(item: Node): string {
  const target = textOf(childOf(item, 'target')) ?? textOf(childOf(item, 'source')) ?? '';
  return target.startsWith('/') ? target : `/run/secrets/${target}`;
}

function ruleTree(table: readonly (readonly [string, Rule])[]): RuleTree {
  const root: { rule?: Rule; children: Map<string, RuleTree> } = { children: new Map() };
  for (const [path, rule] of table) {
    let tree = root;
    for (const key of path.split('.')) {
      const child = tree.children.get(key) ?? { children: new Map() };
      tree.children.set(key, child);
      tree = child as typeof root;
    }
    tree.rule = rule;
  }
  return root;
}

function below(tree: RuleTree | undefined, key: string): RuleTree | undefined {
  return tree?.children.get(key) ?? tree?.children.get('*');
}

function mergeAt(base: Node, override: Node, tree: RuleTree | undefined): Node {
  if (override.tag) return override;
  if (base.tag === 'reset') return { ...override, tag: 'override' };
  const merged = mergeUntagged(base, override, tree);
  return base.tag && merged !== base ? { ...merged, tag: base.tag } : merged;
}

function mergeUntagged(base: Node, override: Node, tree: RuleTree | undefined): Node {
  if (override.kind === 'scalar' && override.value === null) return base;
  if (base.kind === 'scalar' && base.value === null) return override;
  if (base.kind !== override.kind || tree?.rule?.kind === 'replace') return override;
  if (tree?.rule?.kind === 'driver' && differ(base, override, 'driver')) return override;
  if (base.kind === 'list' && override.kind === 'list') return { ...override, items: [...base.items, ...override.items] };
  if (base.kind === 'map' && override.kind === 'map') return mergeMaps(base, override, tree);
  return override;
}

function differ(base: Node, override: Node, key: string): boolean {
  const [before, after] = [textOf(childOf(base, key)), textOf(childOf(override, key))];
  return before !== undefined && after !== undefined && before !== after;
}

function mergeMaps(base: MapNode, override: MapNode, tree: RuleTree | undefined): Node {
  const entries = new Map<string, MapEntry>(base.entries);
  for (const [key, entry] of override.entries) {
    const before = base.entries.get(key);
    if (!before || tree?.rule?.kind === 'variables') entries.set(key, entry);
    else entries.set(key, { keyAt: entry.keyAt, value: mergeAt(before.value, entry.value, below(tree, key)) });
  }
  return mapping(entries, override.at);
}

function cleanAt(node: Node, tree: RuleTree | undefined): Node {
  if (node.kind === 'scalar') return node;
  if (node.kind === 'list') {
    const items = node.items.map((item) => cleanAt(item, undefined));
    return { kind: 'list', items: distinct(items, tree?.rule), at: node.at };
  }
  const entries = new Map<string, MapEntry>();
  for (const [key, { keyAt, value }] of node.entries) {
    if (value.tag !== 'reset') entries.set(key, { keyAt, value: cleanAt(value, below(tree, key)) });
  }
  return mapping(entries, node.at);
}

/** Of items with one identity the last counts, at the place of the first; or they merge there. */
function distinct(items: readonly Node[], rule: Rule | undefined): readonly Node[] {
  if (rule?.kind !== 'unique' && rule?.kind !== 'mergedBy') return items;
  const kept = new Map<string, Node>();
  for (const item of items) {
    const key = rule.identity(item);
    const before = kept.get(key);
    kept.set(key, before && rule.kind === 'mergedBy' ? mergeAt(before, item, undefined) : item);
  }
  return [...kept.values()];
}
