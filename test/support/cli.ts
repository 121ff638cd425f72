import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { eventually } from './eventually.ts';
import { endLeftovers } from './leftovers.ts';
import { patience } from './patience.ts';
import { repository } from './repository.ts';

const program = path.join(repository, 'dist/tscompose.js');
const runTimeoutMs = 90_000 * patience;

/** How a run of the program ended. */
export interface Finished {
  /** 128+n when it died of signal n. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** A run that is not waited for. */
export interface Running {
  readonly process: ChildProcess;
  stdout(): string;
  stderr(): string;
  readonly finished: Promise<Finished>;
}

/** One line of `ps --format json`: docker compose's fields. */
export interface PsRow {
  readonly ID: string;
  readonly Name: string;
  readonly Service: string;
  readonly State: string;
  readonly Health: string;
  readonly ExitCode: number;
  readonly Status: string;
  readonly Publishers: readonly {
    readonly URL: string;
    readonly TargetPort: number;
    readonly PublishedPort: number;
    readonly Protocol: string;
  }[];
}

export interface Project {
  readonly name: string;
  /** TSCOMPOSE_ROOT of every run. */
  readonly root: string;
  /** Where compose.yaml is, and the working directory of every run. */
  readonly folder: string;
  write(file: string, text: string): void;
  /** Runs `tscompose WORDS…` to its end. */
  run(...words: string[]): Promise<Finished>;
  /** As `run`, and fails the test with everything it said when its exit status is not 0. */
  ok(...words: string[]): Promise<Finished>;
  start(...words: string[]): Running;
  /** `ps -a --format json`. */
  ps(): Promise<PsRow[]>;
  /** The one container of a service, or its `number`-th. */
  container(service: string, number?: number): Promise<PsRow>;
  /** Of a container's first process, in this namespace. */
  pidOf(service: string, number?: number): Promise<number>;
  /** Of the supervisor; undefined while there is none. */
  supervisorPid(): number | undefined;
  /** `down -v`, then whatever is left is ended and removed. @throws when `down` failed or anything was left. */
  remove(): Promise<void>;
}

export interface ProjectOptions {
  /** Copied into the project's folder. */
  readonly from?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** A project of its own for one test; it is taken down when the test ends, however it ends. */
export function makeProject(composeOrOptions: string | ProjectOptions): Project {
  const project = openProject(composeOrOptions);
  onTestFinished(() => project.remove(), 120_000 * patience);
  return project;
}

/** As makeProject for several tests: the caller calls `remove` in afterAll. */
export function openProject(composeOrOptions: string | ProjectOptions): Project {
  const options = typeof composeOrOptions === 'string' ? { files: { 'compose.yaml': composeOrOptions } } : composeOrOptions;
  const place = newPlace();
  if (options.from) fs.cpSync(options.from, place.folder, { recursive: true });
  for (const [file, text] of Object.entries(options.files ?? {})) writeFile(place, file, text);
  return projectIn(place, { ...environment(place), ...options.env });
}

/** Root filesystems by their recipes' names (test/setup/rootfs.mjs); made on first use. */
export function rootfsFolder(...names: string[]): string {
  return execFileSync(process.execPath, [path.join(repository, 'test/setup/rootfs.mjs'), ...names], { encoding: 'utf8' }).trim();
}

interface Place {
  readonly name: string;
  readonly root: string;
  readonly folder: string;
}

function newPlace(): Place {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'tscompose-e2e-'));
  const place = {
    name: `t${path.basename(base).slice(-6).toLowerCase()}`,
    root: path.join(base, 'root'),
    folder: path.join(base, 'project'),
  };
  fs.chmodSync(base, 0o755);
  for (const folder of [place.root, place.folder]) fs.mkdirSync(folder);
  return place;
}

function environment(place: Place): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'ROOTFS_DIR'].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  return { ...Object.fromEntries(kept), TSCOMPOSE_ROOT: place.root, COMPOSE_PROJECT_NAME: place.name, NO_COLOR: '1' };
}

function writeFile(place: Place, file: string, text: string): void {
  const target = path.join(place.folder, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, text);
}

function projectIn(place: Place, env: Record<string, string>): Project {
  const start = (...words: string[]) => startProgram(words, place.folder, env);
  const run = (...words: string[]) => start(...words).finished;
  const ok = async (...words: string[]) => expectSuccess(words, await run(...words));
  const ps = async () => parseLines<PsRow>((await ok('ps', '-a', '--format', 'json')).stdout);
  const container = async (service: string, number = 1) => find(await ps(), `${place.name}-${service}-${number}`);
  return {
    ...place,
    write: (file, text) => writeFile(place, file, text),
    run,
    ok,
    start,
    ps,
    container,
    pidOf: async (service, number) => statusPid(place, (await container(service, number)).ID),
    supervisorPid: () => supervisorPid(place),
    remove: () => removeProject(place, env),
  };
}

function startProgram(words: readonly string[], cwd: string, env: Record<string, string>): Running {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [program, ...words], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (chunk: string) => {
      text[stream] += chunk;
    });
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), runTimeoutMs);
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? 128 + (signal ? os.constants.signals[signal] : 0), ...text, ms: performance.now() - startedAt });
    });
  });
  return { process: child, stdout: () => text.stdout, stderr: () => text.stderr, finished };
}

function expectSuccess(words: readonly string[], finished: Finished): Finished {
  if (finished.code === 0) return finished;
  throw new Error(`tscompose ${words.join(' ')} ended with ${finished.code}\n${finished.stdout}${finished.stderr}`);
}

function parseLines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

function find(rows: readonly PsRow[], name: string): PsRow {
  const row = rows.find((candidate) => candidate.Name === name);
  if (row === undefined)
    throw new Error(`no container ${name}; there are ${rows.map((candidate) => candidate.Name).join(', ') || 'none'}`);
  return row;
}

/** The shim's status file is lines of "key=value" (docs/files.md). */
function statusPid(place: Place, id: string): number {
  const text = fs.readFileSync(
    path.join(place.root, 'run/projects', place.name, 'containers', id.slice(0, 12), 'status'),
    'utf8',
  );
  const pid = /^pid=(\d+)/m.exec(text)?.[1];
  if (pid === undefined) throw new Error(`no pid in the status of ${id}:\n${text}`);
  return Number(pid);
}

/** Whoever holds the project's lock open and runs node. */
function supervisorPid(place: Place): number | undefined {
  const lock = path.join(place.root, 'run/projects', place.name, 'lock');
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const holder = pids.find((pid) => isNode(pid) && openFiles(pid).includes(lock));
  return holder === undefined ? undefined : Number(holder);
}

function isNode(pid: string): boolean {
  try {
    return path.basename(fs.readlinkSync(`/proc/${pid}/exe`)).startsWith('node');
  } catch {
    return false;
  }
}

function openFiles(pid: string): string[] {
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).map((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch {
    return [];
  }
}

async function removeProject(place: Place, env: Record<string, string>): Promise<void> {
  const base = path.dirname(place.root);
  if (!fs.existsSync(base)) return;
  // From an empty folder: whatever the test did to compose.yaml must not keep us from cleaning up.
  const down = await startProgram(['-p', place.name, 'down', '-v', '--remove-orphans', '-t', '1'], place.root, env).finished;
  await eventually('the supervisor to go', () => supervisorPid(place) === undefined, 5000).catch(() => undefined);
  const left = endLeftovers(base);
  fs.rmSync(base, { recursive: true, force: true });
  expectSuccess(['down'], down);
  if (left.length > 0) throw new Error(`left after down:\n${left.join('\n')}`);
}
