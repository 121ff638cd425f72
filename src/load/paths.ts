import { joinPath } from './posix-path.ts';
import { isHostPath } from './short-forms.ts';
import { childOf, type MapEntry, type MapNode, type Node, scalar, textOf } from './source.ts';

/** Where relative paths start, and what `~` means. */
export interface PathBase {
  readonly directory: string;
  readonly home?: string | undefined;
}

/** A path of a compose file as an absolute one; Windows paths stay as they are. */
export function resolvePath(path: string, base: PathBase): string {
  if (path === '~' || path.startsWith('~/')) return base.home === undefined ? path : joinPath(base.home, path.slice(2));
  if (/^[a-zA-Z]:[\\/]/.test(path) || path.startsWith('\\\\')) return path;
  return joinPath(base.directory, path);
}

/** Whether a text names something to be fetched rather than a folder. */
export function isRemote(path: string): boolean {
  return (
    /^[a-z][a-z0-9+.-]*:\/\//i.test(path) ||
    /^git@/.test(path) ||
    /^(github\.com|gitlab\.com|bitbucket\.org)\//.test(path) ||
    /\.git(#|$)/.test(path)
  );
}

type Change = (node: Node, base: PathBase) => Node;

/** Where in a canonical file paths stand (compose-go resolves the same ones); `*` is any key or every item of a list. */
const pathRules: readonly (readonly [string, Change])[] = [
  ['services.*.build.context', folderOrRemote],
  ['services.*.build.additional_contexts.*', folderOrRemote],
  ['services.*.env_file.*.path', path],
  ['services.*.label_file.*', path],
  ['services.*.develop.watch.*.path', path],
  ['services.*.volumes.*', bindSource],
  ['services.*.image', rootFilesystem],
  ['services.*.security_opt.*', profileFile],
  ['services.*.credential_spec.file', path],
  ['configs.*.file', path],
  ['secrets.*.file', path],
  ['volumes.*.driver_opts', bindDevice],
];

const steps = pathRules.map(([pattern, change]) => ({ keys: pattern.split('.'), change }));

/** All relative paths of a canonical file made absolute. */
export function resolvePaths(file: Node, base: PathBase): Node {
  return steps.reduce((node, { keys, change }) => changeAt(node, keys, (found) => change(found, base)), file);
}

/** The same for one service that was read on its own. */
export function resolveServicePaths(service: Node, base: PathBase): Node {
  const own = steps.filter(({ keys }) => keys[0] === 'services');
  return own.reduce((node, { keys, change }) => changeAt(node, keys.slice(2), (found) => change(found, base)), service);
}

function changeAt(node: Node, keys: readonly string[], change: (node: Node) => Node): Node {
  const [key, ...rest] = keys;
  if (key === undefined) return change(node);
  if (node.kind === 'list' && key === '*') return { ...node, items: node.items.map((item) => changeAt(item, rest, change)) };
  if (node.kind !== 'map') return node;
  return key === '*' ? changeEvery(node, rest, change) : changeOne(node, key, rest, change);
}

function changeEvery(node: MapNode, rest: readonly string[], change: (node: Node) => Node): Node {
  let entries: Map<string, MapEntry> | undefined;
  for (const [key, entry] of node.entries) {
    const value = changeAt(entry.value, rest, change);
    if (value === entry.value) continue;
    entries ??= new Map(node.entries);
    entries.set(key, { keyAt: entry.keyAt, value });
  }
  return entries ? { ...node, entries } : node;
}

function changeOne(node: MapNode, key: string, rest: readonly string[], change: (node: Node) => Node): Node {
  const entry = node.entries.get(key);
  if (!entry) return node;
  const value = changeAt(entry.value, rest, change);
  if (value === entry.value) return node;
  const entries = new Map(node.entries);
  entries.set(key, { keyAt: entry.keyAt, value });
  return { ...node, entries };
}

function path(node: Node, base: PathBase): Node {
  const written = textOf(node);
  return written === undefined ? node : scalar(resolvePath(written, base), node.at);
}

function folderOrRemote(node: Node, base: PathBase): Node {
  const written = textOf(node);
  const stays = written === undefined || isRemote(written) || /^(service|target|docker-image|oci-layout):/.test(written);
  return stays ? node : path(node, base);
}

function bindSource(node: Node, base: PathBase): Node {
  if (textOf(childOf(node, 'type')) !== 'bind') return node;
  return changeAt(node, ['source'], (source) => (textOf(source) === '' ? source : path(source, base)));
}

function rootFilesystem(node: Node, base: PathBase): Node {
  const written = textOf(node) ?? '';
  return written.startsWith('rootfs:') ? scalar(`rootfs:${resolvePath(written.slice(7), base)}`, node.at) : node;
}

function profileFile(node: Node, base: PathBase): Node {
  const written = textOf(node) ?? '';
  const file = /^seccomp[=:](.*)$/s.exec(written)?.[1];
  return file === undefined || file === 'unconfined' || !isHostPath(file)
    ? node
    : scalar(`seccomp=${resolvePath(file, base)}`, node.at);
}

/** A volume of the local driver that is a bind mount: `type: none, o: bind, device: PATH`. */
function bindDevice(node: Node, base: PathBase): Node {
  const isBind = (textOf(childOf(node, 'o')) ?? '').split(',').includes('bind');
  return isBind ? changeAt(node, ['device'], (device) => path(device, base)) : node;
}
