import { type Diagnostics, nearest } from './diagnostics.ts';
import { childOf, entriesOf, itemsOf, type MapEntry, type MapNode, mapping, type Node, textOf, withEntry } from './source.ts';

/** Which services take part, and which are left out. */
export interface Selection {
  readonly active: MapNode;
  readonly inactive: readonly string[];
}

/**
 * Services without profiles, with an active one, or asked for by name, which also activates their profiles; `*` stands for all
 * (compose "profiles").
 */
export function selectByProfiles(services: MapNode, profiles: readonly string[], targets: readonly string[]): Selection {
  const active = new Set(profiles);
  for (const target of targets) for (const profile of profilesOf(services, target)) active.add(profile);
  return split(services, (name) => {
    const own = profilesOf(services, name);
    return own.length === 0 || active.has('*') || targets.includes(name) || own.some((profile) => active.has(profile));
  });
}

/** The services asked for and, through depends_on, what they need; all when none is asked for. */
export function selectTargets(
  services: MapNode,
  targets: readonly string[],
  known: readonly string[],
  diagnostics: Diagnostics,
): Selection {
  if (targets.length === 0) return { active: services, inactive: [] };
  const wanted = new Set<string>();
  const pending = [...targets];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (wanted.has(name)) continue;
    wanted.add(name);
    pending.push(...entriesOf(childOf(services, name, 'depends_on')).map(([dependency]) => dependency));
  }
  for (const target of targets.filter((name) => !services.entries.has(name))) {
    const near = nearest(target, known);
    diagnostics.error(
      'NO_SUCH_SERVICE',
      `there is no service "${target}"`,
      undefined,
      near === undefined ? `services: ${known.slice(0, 20).join(', ')}` : `did you mean "${near}"?`,
    );
  }
  return split(services, (name) => wanted.has(name));
}

function profilesOf(services: MapNode, name: string): string[] {
  return itemsOf(childOf(services, name, 'profiles')).map((profile) => textOf(profile) ?? '');
}

function split(services: MapNode, isActive: (name: string) => boolean): Selection {
  const active = new Map<string, MapEntry>();
  const inactive: string[] = [];
  for (const [name, entry] of services.entries) {
    if (isActive(name)) active.set(name, entry);
    else inactive.push(name);
  }
  return { active: mapping(active, services.at), inactive };
}

/** The top level without the networks, volumes, configs and secrets that none of the services uses. */
export function withoutUnused(model: MapNode, services: MapNode): MapNode {
  let kept = model;
  for (const [kind, namesIn] of uses) {
    const group = childOf(model, kind);
    if (group?.kind !== 'map') continue;
    const used = new Set(entriesOf(services).flatMap(([, { value }]) => namesIn(value)));
    kept = withEntry(kept, kind, mapping(new Map([...group.entries].filter(([key]) => used.has(key))), group.at));
  }
  return kept;
}

const uses: readonly (readonly [string, (service: Node) => string[]])[] = [
  ['networks', (service) => entriesOf(childOf(service, 'networks')).map(([name]) => name)],
  ['volumes', (service) => sourcesIn(service, 'volumes')],
  ['configs', (service) => sourcesIn(service, 'configs')],
  ['secrets', (service) => sourcesIn(service, 'secrets')],
];

function sourcesIn(service: Node, key: string): string[] {
  return itemsOf(childOf(service, key)).flatMap((item) => textOf(childOf(item, 'source')) ?? []);
}
