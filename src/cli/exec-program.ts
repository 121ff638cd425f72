/** `exec`: a launch program for a container that runs, executed by the native program on our own stdio. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { findNative } from '../core/native.ts';
import { encodeProgram } from '../core/program.ts';
import { Op } from '../core/protocol.ts';
import { TscomposeError } from '../errors.ts';
import { readStatus } from '../observe.ts';
import { boundingSetOf } from '../runtime/capabilities.ts';
import { containerCgroups } from '../runtime/lower.ts';
import { readHostCgroups } from '../runtime/cgroup-host.ts';
import { lowerExec } from '../runtime/exec.ts';
import { readAccountFiles } from '../runtime/image-files.ts';
import { readSpecFile } from '../runtime/spec-file.ts';
import type { Architecture } from '../runtime/syscalls.ts';
import { resolveUser } from '../runtime/users.ts';
import { containerPaths, projectPaths, type StateRoots } from '../state/paths.ts';
import type { ExecWish } from './doors.ts';
import { callAll, type Surroundings } from './surroundings.ts';

/** Descriptors of the child beside its stdio: the launch program comes in on one, a failure goes out on the other. */
const PROGRAM_FD = 3;
const STATUS_FD = 4;

/** Resolves to the command's exit code. @throws NOT_RUNNING, COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, LAUNCH_FAILED */
export async function execInContainer(roots: StateRoots, around: Surroundings, wish: ExecWish): Promise<number> {
  // Before anything is started: a container that is gone must not leave a child behind that waits for its program.
  const program = programFor(roots, around, wish);
  const child = spawn(findNative(around.env), ['exec', String(PROGRAM_FD), String(STATUS_FD)], {
    stdio: wish.detach ? ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] : ['inherit', 'inherit', 'inherit', 'pipe', 'pipe'],
    detached: wish.detach,
  });
  const input = child.stdio[PROGRAM_FD] as Writable;
  // The native program may end before it has read everything; its status tells why.
  input.on('error', () => undefined);
  input.end(program);
  const ended = exitCode(child);
  const forget = forwardSignals(around, (signal) => child.kill(signal));
  try {
    // Its end says that the program is executing.
    const failure = await readAll(child.stdio[STATUS_FD] as NodeJS.ReadableStream);
    if (failure !== '') throw execFailure(failure, wish);
    if (!wish.detach) return await ended;
    ended.catch(() => undefined);
    child.unref();
    return 0;
  } finally {
    forget();
  }
}

function programFor(roots: StateRoots, around: Surroundings, wish: ExecWish): Uint8Array {
  const { project, container, command, user, workingDir } = wish;
  const paths = containerPaths(projectPaths(roots, project), container.id);
  const status = readStatus(paths.status);
  if (!status || status.pid === 0)
    throw new TscomposeError('NOT_RUNNING', `container ${container.name} does not run`, { hint: 'start it first' });
  const spec = readSpecFile(paths.bundle);
  return encodeProgram(
    lowerExec({
      spec,
      pid: status.pid,
      startTime: status.startTime,
      cgroups: containerCgroups(spec, { cgroups: readHostCgroups() }),
      args: command,
      env: wish.environment,
      privileged: wish.privileged,
      architecture: process.arch as Architecture,
      availableCapabilities: boundingSetOf(readFileSync('/proc/self/status', 'utf8')),
      ...(workingDir !== undefined && { workingDir }),
      // Accounts are the container's own; links in there are followed within its root only.
      ...(user !== undefined && {
        user: resolveUser(user, readAccountFiles([`/proc/${status.pid}/root`]), container.spec.groupAdd),
      }),
      ...(wish.tty && { terminal: { rows: around.stdout.rows ?? 24, columns: around.stdout.columns ?? 80 } }),
    }),
  );
}

/** The terminal sends Ctrl-C to the native program by itself; what is sent to us alone is passed on. */
function forwardSignals(around: Surroundings, send: (signal: NodeJS.Signals) => void): () => void {
  const forgets = [
    around.onSignal('SIGINT', () => undefined),
    around.onSignal('SIGTERM', () => send('SIGTERM')),
    around.onSignal('SIGHUP', () => send('SIGHUP')),
  ];
  return () => callAll(forgets);
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text.trim();
}

function exitCode(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new TscomposeError('CORE_FAILED', `the native program could not be started: ${cause.message}`, { cause })),
    );
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143)));
  });
}

const ENOENT = 2;

/** "OP INDEX ERRNO words" → what that means for the user. */
export function execFailure(text: string, { command, container }: Pick<ExecWish, 'command' | 'container'>): TscomposeError {
  const match = /^(\d+) (-?\d+) (\d+) (.*)$/s.exec(text);
  const words = match?.[4] ?? text;
  const details = { service: container.service };
  if (Number(match?.[1]) !== Op.exec)
    return new TscomposeError('LAUNCH_FAILED', `cannot execute in ${container.name}: ${words}`, details);
  if (Number(match?.[3]) === ENOENT) {
    return new TscomposeError('COMMAND_NOT_FOUND', `"${command[0]}" was not found in container ${container.name}`, {
      ...details,
      hint: 'give its full path, or check PATH in the container',
    });
  }
  return new TscomposeError(
    'COMMAND_NOT_EXECUTABLE',
    `"${command[0]}" cannot be executed in container ${container.name}: ${words}`,
    {
      ...details,
      hint: 'it must be an executable file; a script needs an interpreter line such as #!/bin/sh',
    },
  );
}
