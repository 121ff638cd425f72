import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { fromErrorRecord, isErrno, TscomposeError } from '../errors.ts';
import type { Event } from '../events.ts';
import { makeFolder, readText } from '../state/files.ts';
import type { ProjectPaths } from '../state/paths.ts';
import type { ControlMethod, ControlMethods, ControlReply } from './control.ts';
import { eachLine } from './lines.ts';

/** A connection to a project's supervisor. */
export interface ControlClient {
  /** @throws the supervisor's TscomposeError; SUPERVISOR_UNREACHABLE when the connection ends before the answer */
  call<M extends ControlMethod>(
    method: M,
    params: ControlMethods[M]['params'],
    onEvent?: (event: Event) => void,
  ): Promise<ControlMethods[M]['result']>;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  close(): void;
}

/** How long a supervisor may take until it answers, in milliseconds. */
const START_TIMEOUT_MS = 15_000;
const RETRY_MS = 3;
/** One that was just ending may have held the lock when ours tried it; so it is tried again. */
const RESTART_MS = 200;

/** Connects to a running supervisor. @throws ENOENT or ECONNREFUSED when there is none */
export async function connect(socketPath: string): Promise<ControlClient> {
  const socket = await connectUnix(socketPath);
  return talkOver(socket);
}

/** Connects to the project's supervisor, or resolves to undefined when none runs. */
export async function connectIfRunning(paths: ProjectPaths): Promise<ControlClient | undefined> {
  try {
    return await connect(paths.socket);
  } catch (error) {
    if (isNobodyThere(error)) return undefined;
    throw error;
  }
}

/**
 * Starts a supervisor unless the project has one, and returns at once. `command` takes the project's lock and executes the
 * supervisor only when it got it, so that any number of these may be started at the same moment.
 */
export function startSupervisor(paths: ProjectPaths, command: readonly string[]): void {
  makeFolder(paths.run);
  const [program, ...args] = command as [string, ...string[]];
  const child = spawn(program, args, { detached: true, stdio: 'ignore' });
  child.on('error', () => undefined);
  child.unref();
}

/** Connects to the project's supervisor and starts it when needed. @throws SUPERVISOR_UNREACHABLE */
export async function ensureSupervisor(paths: ProjectPaths, command: readonly string[]): Promise<ControlClient> {
  const running = await greet(paths);
  if (running) return running;
  startSupervisor(paths, command);
  return awaitSupervisor(paths, command);
}

/** Waits for a supervisor that was started already. @throws SUPERVISOR_UNREACHABLE */
export async function awaitSupervisor(paths: ProjectPaths, command: readonly string[]): Promise<ControlClient> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  let restartAt = performance.now() + RESTART_MS;
  while (performance.now() < deadline) {
    const client = await greet(paths);
    if (client) return client;
    if (performance.now() > restartAt) {
      startSupervisor(paths, command);
      restartAt = performance.now() + RESTART_MS;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw unreachable(paths);
}

/** A connection counts only once the supervisor has answered on it: one that is ending accepts and says nothing. */
async function greet(paths: ProjectPaths): Promise<ControlClient | undefined> {
  const client = await connectIfRunning(paths);
  if (!client) return undefined;
  try {
    await client.call('hello', { version: 1 });
    return client;
  } catch (error) {
    if (error instanceof TscomposeError && error.code === 'SUPERVISOR_UNREACHABLE') return undefined;
    throw error;
  }
}

function talkOver(socket: Socket): ControlClient {
  interface Pending {
    readonly resolve: (result: never) => void;
    readonly reject: (error: Error) => void;
    readonly onEvent: ((event: Event) => void) | undefined;
  }
  const pending = new Map<number, Pending>();
  let nextId = 1;
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      const lost = new TscomposeError('SUPERVISOR_UNREACHABLE', 'the supervisor ended before it answered', {
        hint: 'run the command again: it starts a new one, which takes over what runs',
      });
      for (const call of pending.values()) call.reject(lost);
      pending.clear();
      resolve();
    });
  });
  socket.on('error', () => undefined);
  eachLine(socket, (line) => {
    const reply = JSON.parse(line) as ControlReply;
    const call = pending.get(reply.id);
    if (!call) return;
    if ('event' in reply) {
      call.onEvent?.(reply.event);
      return;
    }
    // A subscription goes on telling after its result.
    if (!('result' in reply && call.onEvent)) pending.delete(reply.id);
    if ('error' in reply) call.reject(fromErrorRecord(reply.error));
    else call.resolve(reply.result as never);
  });
  return {
    call: (method, params, onEvent) =>
      new Promise((resolve, reject) => {
        const id = nextId++;
        pending.set(id, { resolve, reject, onEvent });
        socket.write(`${JSON.stringify({ id, method, params })}\n`);
      }),
    closed,
    close: () => socket.destroy(),
  };
}

/** A socket's path holds 107 bytes (unix(7)); a longer one is reached through a descriptor of its folder. */
async function connectUnix(path: string): Promise<Socket> {
  if (Buffer.byteLength(path) <= 107) return connected(path);
  const folder = openSync(dirname(path), 'r');
  try {
    return await connected(`/proc/self/fd/${folder}/${basename(path)}`);
  } finally {
    closeSync(folder);
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket(path);
    socket.once('connect', () => {
      socket.removeListener('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

function isNobodyThere(error: unknown): boolean {
  return isErrno(error, 'ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'ENOTDIR');
}

function unreachable(paths: ProjectPaths): TscomposeError {
  const said = readText(paths.supervisorLog)?.trim().split('\n').slice(-3).join('\n');
  return new TscomposeError(
    'SUPERVISOR_UNREACHABLE',
    `the project's supervisor does not answer${said ? `; it said:\n${said}` : ''}`,
    {
      path: paths.supervisorLog,
      hint: 'look into its log; containers that run are not affected',
    },
  );
}
