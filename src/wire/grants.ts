/** Configs and secrets: where their bytes come from. They go into memory and into the container, nowhere else. */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isErrno, TscomposeError } from '../errors.ts';
import type { FileGrant, FileSource, Project, Service } from '../model/project.ts';
import { readText, writeWholeVolatile } from '../state/files.ts';
import type { World } from './world.ts';

/** No config or secret is larger (docker's own bound is 500 KiB). */
const CONTENT_MAX = 1024 * 1024;

/** A file to lay into a container. */
export interface GrantedFile {
  readonly target: string;
  readonly content: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly secret: boolean;
}

/** The files a service is given, read now. @throws FILE_NOT_FOUND, FILE_UNREADABLE, FILE_TOO_LARGE, VARIABLE_MISSING */
export function grantedFiles(world: World, service: Service): GrantedFile[] {
  const { configs, secrets } = world.store.record.definition ?? { configs: [], secrets: [] };
  return [
    ...service.configs.map((grant) => grantedFile(world, service, grant, configs, false)),
    ...service.secrets.map((grant) => grantedFile(world, service, grant, secrets, true)),
  ];
}

/** Whether the files a service is to be given can be read, before anything is touched. @throws as grantedFiles */
export function checkGrants(project: Project, service: Service, values: ReadonlyMap<string, string>): void {
  for (const grant of service.configs) contentOf(values, definitionOf(service, grant, project.configs, 'config'), 'config');
  for (const grant of service.secrets) contentOf(values, definitionOf(service, grant, project.secrets, 'secret'), 'secret');
}

/** Keeps what containers need when they start again without the command line: definitions, and the values of variables. */
export function rememberProject(world: World, project: Project, values: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(values)) world.secretValues.set(key, value);
  if (world.secretValues.size > 0) writeWholeVolatile(valuesPath(world), JSON.stringify(Object.fromEntries(world.secretValues)));
  const { record } = world.store;
  record.workingDir = project.workingDir;
  record.configFiles = project.configFiles;
  record.definition = together(record.definition, project);
}

/** `up web` knows of `web` alone: what was known of the rest stays. */
function together(before: Project | undefined, now: Project): Project {
  const fresh = new Set(now.services.map(({ name }) => name));
  const kept = (before?.services ?? []).filter(({ name }) => !fresh.has(name) && now.inactiveServices.includes(name));
  const byKey = <T extends { readonly key: string }>(old: readonly T[] = [], current: readonly T[]): T[] => [
    ...current,
    ...old.filter(({ key }) => kept.length > 0 && !current.some((one) => one.key === key)),
  ];
  return {
    ...now,
    services: [...now.services, ...kept].sort((a, b) => (a.name < b.name ? -1 : 1)),
    networks: byKey(before?.networks, now.networks),
    volumes: byKey(before?.volumes, now.volumes),
    configs: byKey(before?.configs, now.configs),
    secrets: byKey(before?.secrets, now.secrets),
  };
}

/** After a supervisor's death: the values are in the run folder, which is memory and closed to everybody else. */
export function recallValues(world: World): void {
  const text = readText(valuesPath(world));
  for (const [key, value] of Object.entries(text === undefined ? {} : keptValues(text))) world.secretValues.set(key, value);
}

/** Damaged: none. The next `up` brings them again, and what starts before says which variable is missing. */
function keptValues(text: string): Record<string, string> {
  try {
    const entries = Object.entries((JSON.parse(text) as object | null) ?? {});
    return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
  } catch {
    return {};
  }
}

function valuesPath(world: World): string {
  return `${world.paths.run}/values.json`;
}

function grantedFile(
  world: World,
  service: Service,
  grant: FileGrant,
  sources: readonly FileSource[],
  secret: boolean,
): GrantedFile {
  const kind = secret ? 'secret' : 'config';
  return {
    target: grant.target,
    content: contentOf(world.secretValues, definitionOf(service, grant, sources, kind), kind),
    mode: grant.mode ?? 0o444,
    uid: numericId(grant.uid),
    gid: numericId(grant.gid),
    secret,
  };
}

function definitionOf(service: Service, grant: FileGrant, sources: readonly FileSource[], kind: string): FileSource {
  const source = sources.find((candidate) => candidate.key === grant.source);
  if (source && !source.external) return source;
  throw new TscomposeError('EXTERNAL_MISSING', `service "${service.name}": there is no ${kind} "${grant.source}"`, {
    service: service.name,
    hint: `define it with file, content or environment; tscompose has no store of external ${kind}s`,
  });
}

function contentOf(values: ReadonlyMap<string, string>, source: FileSource, kind: string): Uint8Array {
  if (source.file !== undefined) return readGranted(source.file, kind, source.key);
  if (source.content !== undefined) return Buffer.from(source.content);
  const value = values.get(source.environment ?? '');
  if (value === undefined) {
    throw new TscomposeError('VARIABLE_MISSING', `${kind} "${source.key}": the variable ${source.environment} is not set`, {
      hint: `set ${source.environment} and run "up" again`,
    });
  }
  return Buffer.from(value);
}

/** Opened without waiting and looked at before it is read: a FIFO or a device must not hang us. */
function readGranted(path: string, kind: string, key: string): Uint8Array {
  const refuse = (code: 'FILE_NOT_FOUND' | 'FILE_UNREADABLE' | 'FILE_TOO_LARGE', why: string): TscomposeError =>
    new TscomposeError(code, `${kind} "${key}": ${path} ${why}`, { path });
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw isErrno(error, 'ENOENT') ? refuse('FILE_NOT_FOUND', 'does not exist') : refuse('FILE_UNREADABLE', 'cannot be read');
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw refuse('FILE_UNREADABLE', 'is not a regular file');
    if (stats.size > CONTENT_MAX) throw refuse('FILE_TOO_LARGE', `is larger than ${CONTENT_MAX} bytes`);
    const content = Buffer.alloc(stats.size);
    return content.subarray(0, readSync(file, content));
  } finally {
    closeSync(file);
  }
}

function numericId(text: string | undefined): number {
  return text === undefined || !/^\d{1,10}$/.test(text) ? 0 : Number(text);
}
