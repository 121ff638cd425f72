import { composeFile, extendedFile } from './attributes.ts';
import type { Diagnostics } from './diagnostics.ts';
import { readEnvFile } from './env-file.ts';
import { interpolate } from './interpolate.ts';
import { clean, merge } from './merge.ts';
import { isRemote, resolvePath, resolvePaths, resolveServicePaths } from './paths.ts';
import { baseName, joinPath, parentPath } from './posix-path.ts';
import { emptyService, service } from './service-attributes.ts';
import {
  childOf,
  entriesOf,
  isNull,
  itemsOf,
  type MapNode,
  type Mark,
  mapping,
  markAt,
  type Node,
  sourceText,
  textOf,
  toPlain,
  withEntry,
  withoutEntry,
} from './source.ts';
import type { Lookup } from './template.ts';
import { readYaml } from './yaml.ts';

/** Read access to files; the command line gives the disk, tests give a table. Paths are absolute, or "-" for standard input. */
export interface ProjectFiles {
  /** The text, or undefined when there is no such file or it cannot be read. */
  read(path: string): string | undefined;
  exists(path: string): boolean;
  isDirectory(path: string): boolean;
}

/** What all stages of one load share. */
export interface Reading {
  readonly files: ProjectFiles;
  readonly diagnostics: Diagnostics;
  readonly home?: string | undefined;
  /** Texts already read and parsed, by path. */
  readonly documents: Map<string, Node[] | undefined>;
}

/** One project, or one included part of it: files merged in order, with one folder and one environment. */
export interface Part {
  readonly paths: readonly string[];
  readonly directory: string;
  readonly lookup: Lookup;
  /** The files whose `include` led here, outermost first. */
  readonly chain: readonly string[];
}

/** The canonical tree of a part: read, interpolated, checked, extended, included and merged. */
export function readPart(reading: Reading, part: Part): Node | undefined {
  let model: Node | undefined;
  for (const path of part.paths) {
    for (const document of documentsOf(reading, path)) {
      const read = readDocument(reading, part, path, document, model);
      if (read) model = model ? merge(model, read) : read;
    }
  }
  return model && clean(model);
}

/** The documents of a file as they stand there; [] after telling why there are none. */
export function documentsOf(reading: Reading, path: string, askedAt?: Mark): Node[] {
  if (!reading.documents.has(path)) reading.documents.set(path, readDocuments(reading, path, askedAt));
  return reading.documents.get(path) ?? [];
}

function readDocuments(reading: Reading, path: string, askedAt: Mark | undefined): Node[] | undefined {
  const { files, diagnostics } = reading;
  const text = path === '-' || !files.isDirectory(path) ? files.read(path) : undefined;
  if (text !== undefined) {
    const documents = readYaml(path, text, diagnostics);
    if (documents?.length === 0)
      diagnostics.error(
        'FILE_INVALID',
        `${baseName(path)} is empty`,
        markAt(sourceText(path, text), 0),
        'a compose file has at least "services:"',
      );
    return documents;
  }
  const exists = files.exists(path);
  const why = files.isDirectory(path) ? 'is a folder, not a file' : exists ? 'cannot be read' : 'does not exist';
  diagnostics.error(exists ? 'FILE_UNREADABLE' : 'FILE_NOT_FOUND', `${path} ${why}`, askedAt);
  return undefined;
}

function readDocument(reading: Reading, part: Part, path: string, document: Node, earlier: Node | undefined): Node | undefined {
  const { diagnostics } = reading;
  if (document.kind !== 'map') {
    diagnostics.error('FILE_INVALID', 'a compose file is a mapping with "services:" and the like', document.at);
    return undefined;
  }
  const filled = interpolate(document, part.lookup, diagnostics);
  const canonical = composeFile.read(filled, '', diagnostics);
  if (canonical?.kind !== 'map') return undefined;
  warnOfVersion(canonical, diagnostics);
  const located = resolvePaths(canonical, { directory: part.directory, home: reading.home });
  const extended = extendServices(reading, { part, path, file: located as MapNode, earlier });
  return includeParts(reading, part, path, extended);
}

function warnOfVersion(file: MapNode, diagnostics: Diagnostics): void {
  const version = file.entries.get('version');
  if (version)
    diagnostics.warning(
      'UNSUPPORTED_ATTRIBUTE',
      'the attribute "version" is obsolete and has no effect',
      version.keyAt,
      'remove it',
    );
}

/** Where `extends` looks for services without a `file`. */
interface ExtendScope {
  readonly part: Part;
  readonly path: string;
  readonly file: MapNode;
  readonly earlier: Node | undefined;
}

function extendServices(reading: Reading, scope: ExtendScope): MapNode {
  const services = childOf(scope.file, 'services');
  if (services?.kind !== 'map') return scope.file;
  const directory = scope.part.directory;
  const find = (name: string) => childOf(services, name) ?? childOf(scope.earlier, 'services', name);
  let extended: MapNode = services;
  for (const [name, entry] of services.entries) {
    if (!childOf(entry.value, 'extends')) continue;
    const value = extend(reading, entry.value, { ...scope, directory, find, chain: [`${name} in ${scope.path}`] });
    extended = withEntry(extended, name, value);
  }
  return extended === services ? scope.file : withEntry(scope.file, 'services', extended);
}

interface ExtendContext {
  readonly part: Part;
  readonly path: string;
  readonly directory: string;
  /** A service of the same file, canonical and with its paths resolved. */
  readonly find: (name: string) => Node | undefined;
  readonly chain: readonly string[];
}

/** A service over the one it extends, which may extend another in its turn (compose "extends"). */
function extend(reading: Reading, node: Node, context: ExtendContext): Node {
  const wish = childOf(node, 'extends');
  const name = textOf(childOf(wish, 'service'));
  if (node.kind !== 'map' || !wish || name === undefined) return node;
  const own = withoutEntry(node, 'extends');
  const other = textOf(childOf(wish, 'file'));
  const next = other === undefined ? context : openExtended(reading, other, wish.at, context);
  if (!next) return own;
  const step = `${name} in ${next.path}`;
  if (context.chain.includes(step)) {
    reading.diagnostics.error(
      'DEPENDENCY_CYCLE',
      `services extend one another: ${[...context.chain, step].join(' → ')}`,
      wish.at,
      'remove one of these "extends"',
    );
    return own;
  }
  const base = next.find(name);
  if (!base) {
    reading.diagnostics.error(
      'REFERENCE_UNDEFINED',
      `there is no service "${name}" to extend in ${baseName(next.path)}`,
      childOf(wish, 'service')?.at ?? wish.at,
    );
    return own;
  }
  const extended = extend(reading, isNull(base) ? emptyService(base.at) : base, { ...next, chain: [...context.chain, step] });
  return childOf(merge(inServices(extended), inServices(own)), 'services', 'it') ?? own;
}

/** The merge rules go by path, so a service is merged at a place where services are. */
function inServices(node: Node): Node {
  const entry = (value: Node) => ({ keyAt: node.at, value });
  return mapping(new Map([['services', entry(mapping(new Map([['it', entry(node)]]), node.at))]]), node.at);
}

function openExtended(reading: Reading, file: string, at: Mark, context: ExtendContext): ExtendContext | undefined {
  if (refuseRemote(reading, file, at)) return undefined;
  const path = resolvePath(file, { directory: context.directory, home: reading.home });
  const directory = parentPath(path);
  const documents = documentsOf(reading, path, at);
  if (documents.length === 0) return undefined;
  const find = (name: string) => {
    const raw = documents
      .map((document) => childOf(extendedFile.read(document, '', reading.diagnostics), 'services', name))
      .findLast((found) => found !== undefined);
    if (!raw || isNull(raw)) return raw;
    const read = service.read(
      interpolate(raw, context.part.lookup, reading.diagnostics),
      `services.${name}`,
      reading.diagnostics,
    );
    return read && resolveServicePaths(read, { directory, home: reading.home });
  };
  return { ...context, path, directory, find };
}

function refuseRemote(reading: Reading, file: string, at: Mark): boolean {
  if (!isRemote(file) && !file.startsWith('oci:')) return false;
  reading.diagnostics.error(
    'UNSUPPORTED_ATTRIBUTE',
    `"${file}" is not on this machine; files from elsewhere are not supported yet`,
    at,
    'fetch it first, and name the local copy',
  );
  return true;
}

const resourceKinds = ['services', 'networks', 'volumes', 'configs', 'secrets', 'models'] as const;

function includeParts(reading: Reading, part: Part, path: string, file: MapNode): Node {
  let whole: MapNode = withoutEntry(file, 'include');
  for (const wish of itemsOf(childOf(file, 'include'))) {
    const included = readIncluded(reading, part, path, wish);
    if (included) whole = adopt(reading, whole, included, wish.at);
  }
  return whole;
}

function readIncluded(reading: Reading, part: Part, path: string, wish: Node): Node | undefined {
  const base = { directory: part.directory, home: reading.home };
  const written = itemsOf(childOf(wish, 'path'));
  if (written.some((node) => refuseRemote(reading, textOf(node) ?? '', node.at))) return undefined;
  const paths = written.map((node) => resolvePath(textOf(node) ?? '', base));
  const [first] = paths;
  if (first === undefined) return undefined;
  const chain = [...part.chain, path];
  const cyclic = paths.find((included) => chain.includes(included));
  if (cyclic !== undefined) {
    reading.diagnostics.error(
      'DEPENDENCY_CYCLE',
      `files include one another: ${[...chain, cyclic].map(baseName).join(' → ')}`,
      wish.at,
      'remove one of these "include"',
    );
    return undefined;
  }
  const ownDirectory = textOf(childOf(wish, 'project_directory'));
  const directory = ownDirectory === undefined ? parentPath(first) : resolvePath(ownDirectory, base);
  for (const [index, node] of written.entries()) documentsOf(reading, paths[index] ?? first, node.at);
  return readPart(reading, { paths, directory, chain, lookup: includedLookup(reading, part, wish, directory) });
}

/** The including project's variables win over those of the included one's env files. */
function includedLookup(reading: Reading, part: Part, wish: Node, directory: string): Lookup {
  const named = itemsOf(childOf(wish, 'env_file'));
  const own = new Map<string, string>();
  const lookup: Lookup = (name) => part.lookup(name) ?? own.get(name);
  const read = (path: string, at: Mark | undefined) => {
    const text = reading.files.read(path);
    if (text !== undefined)
      for (const [name, value] of readEnvFile(path, text, lookup, reading.diagnostics)) own.set(name, value);
    else if (at) reading.diagnostics.error('FILE_NOT_FOUND', `the env file ${path} does not exist`, at);
  };
  for (const node of named) {
    if (textOf(node) === '/dev/null') continue;
    read(resolvePath(textOf(node) ?? '', { directory: part.directory, home: reading.home }), node.at);
  }
  if (named.length === 0) read(joinPath(directory, '.env'), undefined);
  return lookup;
}

/** Takes over what an included part defines; the same name with another definition is a conflict. */
function adopt(reading: Reading, file: MapNode, included: Node, at: Mark): MapNode {
  let whole = file;
  for (const kind of resourceKinds) {
    for (const [name, entry] of entriesOf(childOf(included, kind))) {
      const group = childOf(whole, kind);
      const own = childOf(group, name);
      if (own && !own.tag && JSON.stringify(toPlain(own)) !== JSON.stringify(toPlain(entry.value))) {
        reading.diagnostics.error(
          'CONFLICT',
          `${kind}.${name} is defined here and, differently, in the included ${baseName(entry.keyAt.source.file)}`,
          own.at,
          'rename one of the two, or override it in an override file',
        );
      }
      if (own) continue;
      const map = group?.kind === 'map' ? group : mapping(new Map(), at);
      whole = withEntry(whole, kind, withEntry(map, name, entry.value, entry.keyAt));
    }
  }
  return whole;
}
