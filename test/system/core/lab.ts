import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach } from 'vitest';
import { type Core, type ShimFields, startCore } from '../../../src/core/core.ts';
import { block } from '../../../src/core/frames.ts';
import { findNative } from '../../../src/core/native.ts';
import { encodeProgram } from '../../../src/core/program.ts';
import type { ProgramOp } from '../../../src/core/protocol.ts';
import { connectShim, type ShimClient } from '../../../src/core/shim-client.ts';
import { parseStatus, type ShimStatus } from '../../../src/core/status.ts';
import { eventually } from '../../support/eventually.ts';

export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWPID = 0x20000000;

/** Everything a test makes, taken down after it even when it failed. */
export class Lab {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'tscompose-core-'));
  readonly #cleanups: (() => Promise<void> | void)[] = [];

  /** Runs `cleanup` at the end, the last one first. */
  later(cleanup: () => Promise<void> | void): void {
    this.#cleanups.push(cleanup);
  }

  async core(): Promise<Core> {
    const core = await startCore(findNative());
    this.later(() => core.close());
    return core;
  }

  /** A program started by the test, killed at the end. */
  child(command: string, ...parameters: string[]): ChildProcess {
    const child = spawn(command, parameters, { stdio: 'ignore' });
    this.later(() => void child.kill('SIGKILL'));
    return child;
  }

  /** Spawns a shim, and sees to it that it is gone at the end. */
  async shim(core: Core, program: Uint8Array, fields: Partial<ShimFields> = {}): Promise<Container> {
    const directory = fields.directory ?? mkdtempSync(path.join(this.folder, 'c-'));
    const log = path.join(directory, 'log');
    const pid = await core.spawnShim({
      directory,
      logFile: log,
      rotateBytes: 0,
      keepLogs: 3,
      network: 'host',
      restart: 'no',
      mostRestarts: 0,
      flags: 0,
      stopSignal: 15,
      graceMs: 200,
      cgroups: [],
      reviver: [],
      program,
      ...fields,
    });
    const container = new Container(directory, log, pid);
    this.later(() => container.end());
    return container;
  }

  async cleanUp(): Promise<void> {
    const failures: unknown[] = [];
    for (const cleanup of this.#cleanups.reverse()) {
      try {
        await cleanup();
      } catch (error) {
        failures.push(error);
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
    if (failures.length > 0) throw new AggregateError(failures, 'cleaning up');
  }
}

/** A lab per test, cleaned up after it. */
export function useLab(): () => Lab {
  let lab: Lab | undefined;
  afterEach(async () => {
    const used = lab;
    lab = undefined;
    await used?.cleanUp();
  });
  return () => {
    lab ??= new Lab();
    return lab;
  };
}

export class Container {
  readonly directory: string;
  readonly log: string;
  readonly shimPid: number;

  constructor(directory: string, log: string, shimPid: number) {
    this.directory = directory;
    this.log = log;
    this.shimPid = shimPid;
  }

  get socket(): string {
    return path.join(this.directory, 'shim.sock');
  }

  connect(): Promise<ShimClient> {
    return connectShim(this.socket);
  }

  status(): ShimStatus {
    return parseStatus(readFileSync(path.join(this.directory, 'status'), 'utf8'));
  }

  /** Waits until the status file says so. */
  until(state: ShimStatus['state']): Promise<ShimStatus> {
    return eventually(`${state} (is ${this.status().state})`, () => (this.status().state === state ? this.status() : undefined));
  }

  /** The texts of all log files, the oldest first, without times. */
  lines(stream?: 'stdout' | 'stderr'): string[] {
    return logFiles(this.log)
      .flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(0, -1))
      .filter((line) => stream === undefined || line.split(' ')[1] === stream)
      .map((line) => line.split(' ').slice(3).join(' '));
  }

  async end(): Promise<void> {
    const client = await this.connect().catch(() => undefined);
    await client?.quit().catch(() => undefined);
    client?.close();
    await eventually('the shim is gone', () => !isAlive(this.shimPid));
  }
}

/** log.2, log.1, log: as far as they are there. */
function logFiles(log: string): string[] {
  const older = [9, 8, 7, 6, 5, 4, 3, 2, 1].map((number) => `${log}.${number}`);
  return [...older, log].filter((file) => existsSync(file));
}

/** Not there any more, or a zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

export function openDescriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`);
}

/** /bin/sh -c TEXT as PID 1 of a pid namespace, on the host's own root. */
export function shellProgram(text: string, before: readonly ProgramOp[] = []): Uint8Array {
  return commandProgram(['/bin/sh', '-c', text], before);
}

export function commandProgram(argv: readonly string[], before: readonly ProgramOp[] = []): Uint8Array {
  return encodeProgram([
    { op: 'clone', x: CLONE_NEWPID },
    ...before,
    { op: 'gate' },
    { op: 'exec', a: block(argv), b: block(['PATH=/usr/bin:/bin']) },
  ]);
}
