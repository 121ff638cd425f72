/** The loop that follows files: changes → one batch → sync, restart, exec, or up again. */
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { isErrno } from '../errors.ts';
import type { Project } from '../model/project.ts';
import { addToBatch, type Batch, type BatchTiming, defaultTiming, dueAt, topmost } from './batch.ts';
import { folderFilter, type PathFilter } from './ignore.ts';
import { isSync, isWithin, matchRules, type ReadyRule, readyRules, type WatchAction } from './rules.ts';
import { portions, type SyncOperation, syncOperations } from './sync.ts';
import { type Watcher, watchPaths } from './watcher.ts';

/** What watching needs of the outside world. */
export interface WatchTarget {
  /** Ids of the running containers of a service. */
  containers(service: string): Promise<readonly string[]>;
  sync(containerId: string, operations: readonly SyncOperation[]): Promise<void>;
  restart(service: string): Promise<void>;
  /** The files of the project changed: read them and make it so; undefined when they are at fault, which was told. */
  up(): Promise<Project | undefined>;
  exec(containerId: string, command: readonly string[]): Promise<{ readonly exitCode: number; readonly output: string }>;
}

export interface WatchOptions {
  readonly project: Project;
  /** Empty: all. */
  readonly services: readonly string[];
  /** Files whose change means `up` again: compose files, .env. */
  readonly projectFiles: readonly string[];
  readonly target: WatchTarget;
  /** A line for the user. */
  readonly say: (line: string) => void;
  readonly warn: (message: string) => void;
  readonly timing?: BatchTiming;
}

export interface Watching {
  /** Resolves once changes are seen. */
  readonly ready: Promise<void>;
  /** Resolves when all that was seen until now has been dealt with. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** After a batch of this many paths events may be missing, so the trees are compared as a whole. */
const STORM = 500;

/** @returns undefined when there is nothing to watch */
export function startWatch(options: WatchOptions): Watching {
  let state = watchState(options, options.project);
  let watcher = openWatcher();
  let batch: Batch | undefined;
  let timer: NodeJS.Timeout | undefined;
  let work: Promise<void> = Promise.resolve();
  const timing = options.timing ?? defaultTiming;

  function openWatcher(): Watcher {
    return watchPaths({ paths: state.paths, ignores: (path) => isIgnored(state, path), onChange, onWarning: options.warn });
  }
  function onChange(path: string): void {
    batch = addToBatch(batch, path, performance.now());
    clearTimeout(timer);
    timer = setTimeout(takeBatch, Math.max(0, dueAt(batch, timing) - performance.now()));
  }
  /** One batch after another: a second save during a sync is the next batch's. */
  function takeBatch(): void {
    const paths = batch?.paths ?? new Set<string>();
    batch = undefined;
    timer = undefined;
    work = work
      .then(() => perform(paths))
      .catch((error: unknown) => options.warn(error instanceof Error ? error.message : String(error)));
  }
  async function perform(paths: ReadonlySet<string>): Promise<void> {
    const changed = [...paths];
    if (changed.some((path) => options.projectFiles.includes(path))) await upAgain();
    await performActions(options, state, changed);
    if (paths.size >= STORM) watcher.rescan();
  }
  async function upAgain(): Promise<void> {
    options.say('Project files changed, applying them');
    const project = await options.target.up();
    if (!project) return;
    state = watchState(options, project, state.synced);
    await watcher.close();
    watcher = openWatcher();
    await watcher.ready;
    await initialSync(options, state);
  }

  const ready = watcher.ready.then(() => {
    tellStart(options, state);
    return initialSync(options, state);
  });
  return {
    ready,
    idle: async () => {
      await ready;
      while (batch !== undefined) await new Promise((resolve) => setTimeout(resolve, 5));
      await work;
    },
    stop: async () => {
      clearTimeout(timer);
      batch = undefined;
      await watcher.close();
      await work;
    },
  };
}

interface WatchState {
  readonly rules: readonly ReadyRule[];
  readonly folderFilters: ReadonlyMap<ReadyRule, PathFilter>;
  readonly paths: readonly string[];
  readonly projectFiles: readonly string[];
  /** Containers that have had their first sync. */
  readonly synced: Set<string>;
}

function watchState(options: WatchOptions, project: Project, synced = new Set<string>()): WatchState {
  const services = project.services.filter((service) => options.services.length === 0 || options.services.includes(service.name));
  const { rules, useless } = readyRules(services, readIgnoreFile);
  for (const { service, path, because } of useless)
    options.warn(`service "${service}": watching ${path} does nothing: ${because}`);
  const folderFilters = new Map(
    rules.map((ready) => [ready, folderFilter({ ...ready.rule, ignoreFile: readIgnoreFile(ready.rule.path) })]),
  );
  const paths = topmost([...rules.map(({ rule }) => rule.path), ...options.projectFiles]);
  return { rules, folderFilters, paths, projectFiles: options.projectFiles, synced };
}

function readIgnoreFile(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, '.dockerignore'), 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined;
    throw error;
  }
}

/** Folders that no rule can be interested in are not even watched: a node_modules costs thousands of watches. */
function isIgnored({ folderFilters, projectFiles }: WatchState, path: string): boolean {
  if (projectFiles.some((file) => isWithin(file, path))) return false;
  for (const [{ rule }, accepts] of folderFilters) {
    if (isWithin(rule.path, path)) return false;
    if (isWithin(path, rule.path) && accepts(posix.relative(rule.path, path))) return false;
  }
  return true;
}

function tellStart({ say }: WatchOptions, { rules }: WatchState): void {
  say(rules.length === 0 ? 'Watch enabled, but no service has rules to follow' : 'Watch enabled');
}

/** Brings containers that have not been synced yet up to date, where a rule wishes it. */
async function initialSync({ target, say, warn }: WatchOptions, state: WatchState): Promise<void> {
  for (const ready of state.rules.filter(({ rule }) => rule.initialSync && isSync(rule))) {
    for (const id of await target.containers(ready.service)) {
      const mark = `${id} ${ready.rule.path}`;
      if (state.synced.has(mark)) continue;
      const { operations, skipped } = await syncOperations(syncWish(state, ready, ready.rule.path, ready.rule.target as string));
      skipped.forEach(warn);
      for (const portion of portions(operations)) await target.sync(id, portion);
      state.synced.add(mark);
      say(`Syncing service "${ready.service}": initial sync done`);
    }
  }
}

function syncWish(
  { folderFilters }: WatchState,
  ready: ReadyRule,
  hostPath: string,
  target: string,
): Parameters<typeof syncOperations>[0] {
  return {
    root: ready.rule.path,
    hostPath,
    target,
    accepts: ready.accepts,
    acceptsFolder: folderFilters.get(ready) ?? ready.accepts,
  };
}

/** Sync first, then what follows a sync, then plain restarts; each service once. */
async function performActions(options: WatchOptions, state: WatchState, paths: readonly string[]): Promise<void> {
  const actions = topmost(paths)
    .filter((path) => !state.projectFiles.includes(path))
    .flatMap((path) => matchRules(state.rules, path));
  if (actions.length === 0) return;
  await initialSync(options, state);
  for (const [service, own] of groupByService(actions)) await performService(options, state, service, own);
}

async function performService(
  options: WatchOptions,
  state: WatchState,
  service: string,
  actions: readonly WatchAction[],
): Promise<void> {
  const { target, say } = options;
  const syncs = actions.filter(({ rule }) => isSync(rule));
  if (syncs.length > 0) {
    say(`Syncing service "${service}" after ${syncs.length} ${syncs.length === 1 ? 'change was' : 'changes were'} detected`);
    await syncService(options, state, service, syncs);
  }
  const execs = new Set(syncs.filter(({ rule }) => rule.action === 'sync+exec').map(({ rule }) => rule));
  for (const rule of execs) if (rule.exec) await execInService(options, service, rule.exec.command);
  if (actions.some(({ rule }) => rule.action === 'restart' || rule.action === 'sync+restart')) {
    say(`Restarting service "${service}"${syncs.length > 0 ? ' after sync' : ''}`);
    await target.restart(service);
    say(`service(s) ["${service}"] restarted`);
  }
}

async function syncService(
  { target, warn }: WatchOptions,
  state: WatchState,
  service: string,
  actions: readonly WatchAction[],
): Promise<void> {
  const plans = await Promise.all(
    actions.map((action) => {
      const ready = state.rules.find(({ rule, service: owner }) => rule === action.rule && owner === service) as ReadyRule;
      return syncOperations(syncWish(state, ready, action.hostPath, action.target as string));
    }),
  );
  for (const skipped of new Set(plans.flatMap((plan) => plan.skipped))) warn(skipped);
  const operations = plans.flatMap((plan) => plan.operations);
  const containers = await target.containers(service);
  await Promise.all(
    containers.map(async (id) => {
      for (const portion of portions(operations)) await target.sync(id, portion);
    }),
  );
}

async function execInService({ target, say, warn }: WatchOptions, service: string, command: readonly string[]): Promise<void> {
  for (const id of await target.containers(service)) {
    const { exitCode, output } = await target.exec(id, command);
    if (exitCode !== 0) warn(`service "${service}": ${command.join(' ')} exited with code ${exitCode}: ${output.trim()}`);
    else say(`Executed ${command.join(' ')} in service "${service}"`);
  }
}

function groupByService(actions: readonly WatchAction[]): Map<string, WatchAction[]> {
  const groups = new Map<string, WatchAction[]>();
  for (const action of actions) groups.set(action.service, [...(groups.get(action.service) ?? []), action]);
  return groups;
}
