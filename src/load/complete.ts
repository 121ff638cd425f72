import type { Diagnostics } from './diagnostics.ts';
import { readEnvFile, readRawEnvFile } from './env-file.ts';
import type { ProjectFiles } from './model.ts';
import {
  childOf,
  entriesOf,
  isNull,
  itemsOf,
  type MapEntry,
  type MapNode,
  mapping,
  mappingOf,
  type Node,
  scalar,
  textOf,
  withEntry,
} from './source.ts';
import type { Lookup } from './template.ts';

/** What a merged file leaves unsaid: implicit dependencies, the default network, names, variables from files. */

/** The services of a merged file as a map; null ones count as empty. */
export function servicesOf(model: Node | undefined): MapNode {
  const services = childOf(model, 'services');
  if (services?.kind !== 'map') return mapping(new Map(), model?.at ?? nowhere);
  const entries = new Map<string, MapEntry>();
  for (const [name, { keyAt, value }] of services.entries)
    entries.set(name, { keyAt, value: isNull(value) ? mapping(new Map(), value.at) : value });
  return mapping(entries, services.at);
}

const nowhere = { source: { file: '', text: '', lineStarts: [0] }, offset: 0, length: 1 };

/**
 * A service with the dependencies its other attributes imply: links and shared namespaces (which restart with their target)
 * and volumes_from (compose "depends_on"; compose-go's normalization).
 */
export function withImpliedDependencies(service: Node): Node {
  if (service.kind !== 'map') return service;
  let depends: MapNode | undefined;
  const known = childOf(service, 'depends_on');
  for (const { target, restart, node } of impliedDependencies(service)) {
    depends ??= known?.kind === 'map' ? known : mapping(new Map(), node.at);
    if (depends.entries.has(target)) continue;
    const { at } = node;
    depends = withEntry(
      depends,
      target,
      mappingOf(
        { condition: scalar('service_started', at), restart: restart ? scalar(true, at) : undefined, required: scalar(true, at) },
        at,
      ),
    );
  }
  const completed = depends ?? known;
  return completed?.kind === 'map'
    ? withEntry(service, 'depends_on', mapping(new Map(entriesOf(completed).map(withDependencyDefaults)), completed.at))
    : service;
}

function impliedDependencies(service: Node): { target: string; restart: boolean; node: Node }[] {
  const links = itemsOf(childOf(service, 'links')).map((node) => ({
    target: (textOf(node) ?? '').split(':')[0] ?? '',
    restart: true,
    node,
  }));
  const shared = ['network_mode', 'ipc', 'pid', 'uts', 'cgroup'].flatMap((key) => {
    const node = childOf(service, key);
    const target = /^service:(.+)$/.exec(textOf(node) ?? '')?.[1];
    return node && target !== undefined ? [{ target, restart: true, node }] : [];
  });
  const mounts = itemsOf(childOf(service, 'volumes_from')).flatMap((node) => {
    const target = textOf(node) ?? '';
    return target.startsWith('container:') ? [] : [{ target: target.split(':')[0] ?? '', restart: false, node }];
  });
  return [...links, ...shared, ...mounts];
}

function withDependencyDefaults([name, entry]: [string, MapEntry]): [string, MapEntry] {
  const { at } = entry.value;
  const value = entry.value.kind === 'map' ? entry.value : mapping(new Map(), at);
  const withCondition = value.entries.has('condition') ? value : withEntry(value, 'condition', scalar('service_started', at));
  return [
    name,
    {
      keyAt: entry.keyAt,
      value: withCondition.entries.has('required') ? withCondition : withEntry(withCondition, 'required', scalar(true, at)),
    },
  ];
}

/** Whether a service is attached to networks at all; without naming any it is attached to `default`. */
export function withDefaultNetwork(service: Node): Node {
  if (service.kind !== 'map') return service;
  const mode = textOf(childOf(service, 'network_mode'));
  const networks = childOf(service, 'networks');
  if (mode !== undefined && mode !== 'bridge') return service;
  if (networks?.kind === 'map' && networks.entries.size > 0) return service;
  if (mode === 'bridge' || childOf(service, 'provider')) return service;
  return withEntry(service, 'networks', mappingOf({ default: scalar(null, service.at) }, service.at));
}

/** Ports, grants and health checks with the defaults that docker compose writes out. */
export function withDefaults(service: Node): Node {
  let completed = withListDefaults(service, 'ports', { mode: 'ingress', protocol: 'tcp' });
  completed = withSortedHosts(withSecretTargets(completed));
  const build = childOf(completed, 'build');
  if (completed.kind !== 'map' || build?.kind !== 'map') return completed;
  const located = build.entries.has('context') ? build : withEntry(build, 'context', scalar('.', build.at));
  const named =
    located.entries.has('dockerfile') || located.entries.has('dockerfile_inline')
      ? located
      : withEntry(located, 'dockerfile', scalar('Dockerfile', build.at));
  return withEntry(completed, 'build', named);
}

function withListDefaults(service: Node, key: string, defaults: Readonly<Record<string, string>>): Node {
  const items = childOf(service, key);
  if (service.kind !== 'map' || items?.kind !== 'list') return service;
  const completed = items.items.map((item) => {
    let node = item;
    for (const [name, value] of Object.entries(defaults))
      if (node.kind === 'map' && !node.entries.has(name)) node = withEntry(node, name, scalar(value, node.at));
    return node;
  });
  return withEntry(service, key, { ...items, items: completed });
}

/** Hosts in order of their names, the addresses of each as written. */
function withSortedHosts(service: Node): Node {
  const hosts = childOf(service, 'extra_hosts');
  if (service.kind !== 'map' || hosts?.kind !== 'list') return service;
  const nameOf = (node: Node) => (textOf(node) ?? '').split('=')[0] ?? '';
  const items = [...hosts.items].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0));
  return withEntry(service, 'extra_hosts', { ...hosts, items });
}

function withSecretTargets(service: Node): Node {
  const secrets = childOf(service, 'secrets');
  if (service.kind !== 'map' || secrets?.kind !== 'list') return service;
  const items = secrets.items.map((item) => {
    const isComplete = item.kind !== 'map' || textOf(childOf(item, 'target'));
    return isComplete ? item : withEntry(item, 'target', scalar(`/run/secrets/${textOf(childOf(item, 'source'))}`, item.at));
  });
  return withEntry(service, 'secrets', { ...secrets, items });
}

/** Networks, volumes, configs and secrets with the names they have outside the file. */
export function withNames(model: MapNode, project: string, usesDefaultNetwork: boolean): MapNode {
  let named = model;
  const networks = childOf(model, 'networks');
  if (usesDefaultNetwork && !childOf(networks, 'default')) {
    const map = networks?.kind === 'map' ? networks : mapping(new Map(), model.at);
    named = withEntry(named, 'networks', withEntry(map, 'default', mapping(new Map(), model.at)));
  }
  for (const kind of ['networks', 'volumes', 'configs', 'secrets']) {
    const group = childOf(named, kind);
    if (group?.kind !== 'map') continue;
    const entries = new Map<string, MapEntry>();
    for (const [key, { keyAt, value }] of group.entries) {
      entries.set(key, { keyAt, value: withName(value, key, project) });
    }
    named = withEntry(named, kind, mapping(entries, group.at));
  }
  return named;
}

function withName(resource: Node, key: string, project: string): Node {
  const map = resource.kind === 'map' ? resource : mapping(new Map(), resource.at);
  if (textOf(childOf(map, 'name'))) return map;
  const isExternal = childOf(map, 'external')?.kind === 'scalar' && textOf(childOf(map, 'external')) === 'true';
  return withEntry(map, 'name', scalar(isExternal ? key : `${project}_${key}`, map.at));
}

/** What reading variables from files needs. */
export interface VariableSources {
  readonly files: ProjectFiles;
  readonly lookup: Lookup;
  readonly diagnostics: Diagnostics;
}

/** `environment` over `env_file`, and names without a value looked up in the project's environment (compose "env_file"). */
export function withVariables(service: Node, sources: VariableSources): Node {
  const environment = variablesOf(service, { files: 'env_file', values: 'environment' }, sources);
  const labels = variablesOf(service, { files: 'label_file', values: 'labels' }, sources);
  if (service.kind !== 'map') return service;
  const filled = environment ? withEntry(service, 'environment', lookUpMissing(environment, sources.lookup)) : service;
  return labels ? withEntry(filled, 'labels', labels) : filled;
}

function variablesOf(service: Node, keys: { files: string; values: string }, sources: VariableSources): MapNode | undefined {
  const entries = new Map<string, MapEntry>();
  const fromFiles = itemsOf(childOf(service, keys.files));
  const read = new Map<string, string>();
  for (const file of fromFiles)
    for (const [name, value] of readVariableFile(file, read, sources)) {
      read.set(name, value);
      entries.set(name, { keyAt: file.at, value: scalar(value, file.at) });
    }
  const own = childOf(service, keys.values);
  if (own?.kind === 'map') for (const [name, entry] of own.entries) entries.set(name, entry);
  return own?.kind === 'map' || fromFiles.length > 0 ? mapping(entries, own?.at ?? service.at) : undefined;
}

function readVariableFile(
  file: Node,
  earlier: ReadonlyMap<string, string>,
  { files, lookup, diagnostics }: VariableSources,
): Map<string, string> {
  const path = textOf(childOf(file, 'path')) ?? textOf(file) ?? '';
  const text = files.isDirectory(path) ? undefined : files.read(path);
  if (text === undefined) {
    const isRequired = textOf(childOf(file, 'required')) !== 'false';
    if (isRequired)
      diagnostics.error(
        'FILE_NOT_FOUND',
        `the file ${path} ${files.exists(path) ? 'cannot be read' : 'does not exist'}`,
        (childOf(file, 'path') ?? file).at,
        'create it, or mark it with "required: false"',
      );
    return new Map();
  }
  const surroundings: Lookup = (name) => lookup(name) ?? earlier.get(name);
  return textOf(childOf(file, 'format')) === 'raw'
    ? readRawEnvFile(text, surroundings)
    : readEnvFile(path, text, surroundings, diagnostics);
}

function lookUpMissing(environment: MapNode, lookup: Lookup): MapNode {
  const entries = new Map<string, MapEntry>();
  for (const [name, entry] of environment.entries) {
    const value = isNull(entry.value) ? lookup(name) : undefined;
    entries.set(name, value === undefined ? entry : { keyAt: entry.keyAt, value: scalar(value, entry.value.at) });
  }
  return mapping(entries, environment.at);
}
