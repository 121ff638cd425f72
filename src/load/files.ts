import type { Diagnostics } from './diagnostics.ts';
import { readEnvFile } from './env-file.ts';
import type { ProjectFiles } from './model.ts';
import { baseName, joinPath, parentPath } from './posix-path.ts';
import { type Lookup, substitute } from './template.ts';

/** Which files make the project: compose files, the folder relative paths start from, and the variables. */
export interface Location {
  /** Absolute, in the order of merging; "-" is standard input. */
  readonly paths: readonly string[];
  /** Absolute. */
  readonly directory: string;
  /** The surroundings' variables, then those of the env files. */
  readonly env: ReadonlyMap<string, string>;
}

/** What the command line says about the files. */
export interface FileRequest {
  /** The current folder, absolute. */
  readonly workingDir: string;
  /** `-f`; empty: look for the usual names. */
  readonly files: readonly string[];
  /** `--project-directory` */
  readonly projectDirectory?: string | undefined;
  /** `--env-file`; empty: `.env`. */
  readonly envFiles: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The usual names of a compose file, the preferred one first (compose "the compose file"). */
const composeNames = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];
const overrideNames = [
  'compose.override.yml',
  'compose.override.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
];

/**
 * Finds the files: `-f`, else COMPOSE_FILE, else the usual names in the current folder and those above it, with an override
 * file beside. `.env` of the starting folder is read first (it may set COMPOSE_FILE), then that of the project's folder.
 */
export function findFiles(request: FileRequest, files: ProjectFiles, diagnostics: Diagnostics): Location {
  const env = new Map<string, string>();
  for (const [name, value] of Object.entries(request.env)) if (value !== undefined) env.set(name, value);
  const start = startFolder(request);
  readEnvFiles(request, start, env, files, diagnostics);
  const paths = composeFiles(request, env, files, diagnostics);
  const directory = request.projectDirectory === undefined ? folderOf(paths[0], request.workingDir) : start;
  if (directory !== start && request.envFiles.length === 0) readEnvFiles(request, directory, env, files, diagnostics);
  return { paths, directory, env };
}

function startFolder(request: FileRequest): string {
  if (request.projectDirectory !== undefined) return joinPath(request.workingDir, request.projectDirectory);
  return folderOf(request.files[0], request.workingDir);
}

function folderOf(path: string | undefined, workingDir: string): string {
  return path === undefined || path === '-' ? joinPath(workingDir, '.') : parentPath(joinPath(workingDir, path));
}

function readEnvFiles(
  request: FileRequest,
  folder: string,
  env: Map<string, string>,
  files: ProjectFiles,
  diagnostics: Diagnostics,
): void {
  const surroundings = new Set(Object.keys(request.env).filter((name) => request.env[name] !== undefined));
  const named = namedEnvFiles(request, env);
  if (named.length === 0 && isTrue(env.get('COMPOSE_DISABLE_ENV_FILE'))) return;
  const lookup: Lookup = (name) => env.get(name);
  const already = new Set(env.keys());
  const paths = named.length > 0 ? named.map((name) => joinPath(request.workingDir, name)) : [joinPath(folder, '.env')];
  for (const path of paths) {
    const text = files.isDirectory(path) ? undefined : files.read(path);
    if (text === undefined && named.length > 0) tellMissing(path, files, diagnostics);
    for (const [key, value] of text === undefined ? [] : readEnvFile(path, text, lookup, diagnostics)) {
      // Of several env files the last wins; the surroundings, and an earlier folder's .env, always do.
      if (!surroundings.has(key) && !already.has(key)) env.set(key, value);
    }
  }
}

function tellMissing(path: string, files: ProjectFiles, diagnostics: Diagnostics): void {
  diagnostics.error('FILE_NOT_FOUND', `the env file ${path} ${files.exists(path) ? 'cannot be read' : 'does not exist'}`);
}

/** `--env-file`, else COMPOSE_ENV_FILES; none: the .env of the folder, if it is there. */
function namedEnvFiles(request: FileRequest, env: ReadonlyMap<string, string>): readonly string[] {
  if (request.envFiles.length > 0) return request.envFiles;
  return (env.get('COMPOSE_ENV_FILES') ?? '').split(',').filter((name) => name !== '');
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && ['1', 't', 'true', 'y', 'yes', 'on'].includes(value.toLowerCase());
}

function composeFiles(
  request: FileRequest,
  env: ReadonlyMap<string, string>,
  files: ProjectFiles,
  diagnostics: Diagnostics,
): string[] {
  const absolute = (path: string) => (path === '-' ? path : joinPath(request.workingDir, path));
  if (request.files.length > 0) return request.files.map(absolute);
  const fromEnv = env.get('COMPOSE_FILE');
  if (fromEnv)
    return fromEnv
      .split(env.get('COMPOSE_PATH_SEPARATOR') || ':')
      .filter((path) => path !== '')
      .map(absolute);
  const start =
    request.projectDirectory === undefined ? request.workingDir : joinPath(request.workingDir, request.projectDirectory);
  return discover(joinPath(start, '.'), files, diagnostics);
}

function discover(start: string, files: ProjectFiles, diagnostics: Diagnostics): string[] {
  for (let folder = start; ; folder = parentPath(folder)) {
    const found = composeNames.map((name) => joinPath(folder, name)).filter((path) => files.exists(path));
    const [first, ...others] = found;
    if (first !== undefined) {
      if (others.length > 0) {
        diagnostics.warning(
          'CONFLICT',
          `several compose files lie in ${folder}; ${baseName(first)} is taken, not ${others.map(baseName).join(', ')}`,
          undefined,
          'remove the others, or choose with -f',
        );
      }
      const override = overrideNames.map((name) => joinPath(folder, name)).find((path) => files.exists(path));
      return override === undefined ? [first] : [first, override];
    }
    if (folder === '/' || folder === '.') break;
  }
  diagnostics.error(
    'FILE_NOT_FOUND',
    `no compose file in ${start} or above`,
    undefined,
    `create ${composeNames[0]}, or name a file with -f`,
  );
  return [];
}

/** What else decides the project's name. */
export interface NameOptions {
  /** `-p` */
  readonly projectName?: string | undefined;
  readonly projectDirectory?: string | undefined;
  readonly envFiles?: readonly string[] | undefined;
}

/**
 * The project's name as `load` will most likely find it, without reading any YAML: cheap enough to start the supervisor early.
 * undefined: cannot be told.
 */
export function guessProjectName(
  workingDir: string,
  files: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  projectFiles: ProjectFiles,
  options: NameOptions = {},
): string | undefined {
  if (options.projectName) return validName(options.projectName);
  const silent: Diagnostics = { error: () => {}, warning: () => {}, hasErrors: () => false, sorted: () => [] };
  const request = { workingDir, files, env, projectDirectory: options.projectDirectory, envFiles: options.envFiles ?? [] };
  // Standard input can be read only once, and the loader needs it.
  if (files.includes('-')) return undefined;
  const location = findFiles(request, projectFiles, silent);
  const given = location.env.get('COMPOSE_PROJECT_NAME');
  if (given) return validName(given);
  if (location.paths.length === 0) return undefined;
  const named = location.paths
    .map((path) => nameIn(projectFiles.read(path) ?? '', location.env))
    .findLast((name) => name !== undefined);
  return validName(named ?? normalizeName(baseName(location.directory)));
}

const yamlName = /^name:[ \t]+(?:"([^"\n]*)"|'([^'\n]*)'|([^\s#][^\n#]*))/m;
/** The first key of that name: anything deeper would have to be written before it. */
const jsonName = /"name"\s*:\s*"([^"\n]*)"/;

function isJson(text: string): boolean {
  return /^\s*\{/.test(text);
}

function nameIn(text: string, env: ReadonlyMap<string, string>): string | undefined {
  const written = (isJson(text) ? jsonName : yamlName).exec(text);
  const value = (written?.[1] ?? written?.[2] ?? written?.[3])?.trim();
  try {
    return value === undefined ? undefined : substitute(value, (name) => env.get(name));
  } catch {
    return undefined;
  }
}

/** Lower-case letters, digits, - and _, beginning with a letter or digit (compose "name"). */
export function isProjectName(name: string): boolean {
  return /^[a-z0-9][a-z0-9_-]*$/.test(name);
}

function validName(name: string): string | undefined {
  return isProjectName(name) ? name : undefined;
}

/** A folder's name as a project's name: lower case, other characters dropped, no - or _ in front. */
export function normalizeName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '');
}
