/** The status file a shim writes, which is also what it tells its clients (native/protocol.h). Pure. */
import { TscomposeError } from '../errors.ts';

export type ShimState = 'created' | 'running' | 'paused' | 'restarting' | 'exited';

export interface ShimStatus {
  readonly state: ShimState;
  /** The shim's pid; 0 when it went after writing this. */
  readonly shim: number;
  /** Of init, in the host's pid namespace; 0 when not running. */
  readonly pid: number;
  /** Field 22 of /proc/PID/stat of init; 0 when not running. */
  readonly startTime: bigint;
  readonly bootId: string;
  /** Milliseconds since the epoch; undefined: not yet. */
  readonly startedAt?: number;
  readonly finishedAt?: number;
  /** Of the last end; undefined while it never ended. */
  readonly exitCode?: number;
  readonly oomKilled: boolean;
  readonly restarts: number;
  /** By SHIM_STOP. */
  readonly stoppedByRequest: boolean;
  /** When the next restart is due, in milliseconds since the epoch. */
  readonly nextRestartAt?: number;
  /** Why the last start failed. */
  readonly error?: string;
}

/** Reads the text of a status file. Keys it does not know are ignored. @throws CORE_FAILED when it is damaged. */
export function parseStatus(text: string): ShimStatus {
  const values = new Map(text.split('\n').map((line) => splitOnce(line)));
  const state = values.get('state');
  if (!isState(state) || !text.endsWith('\n')) throw new TscomposeError('CORE_FAILED', "the container's status file is damaged");
  const count = (key: string): number => Number(values.get(key) ?? 0) || 0;
  const exit = Number(values.get('exit') ?? -1);
  const error = values.get('error');
  return {
    state,
    shim: count('shim'),
    pid: count('pid'),
    startTime: digits(values.get('starttime')),
    bootId: values.get('boot') ?? '',
    oomKilled: values.get('oom') === '1',
    restarts: count('restarts'),
    stoppedByRequest: values.get('stopped') === '1',
    ...(count('started') > 0 ? { startedAt: count('started') } : {}),
    ...(count('finished') > 0 ? { finishedAt: count('finished') } : {}),
    ...(exit >= 0 ? { exitCode: exit } : {}),
    ...(count('next') > 0 ? { nextRestartAt: count('next') } : {}),
    ...(error ? { error } : {}),
  };
}

const states: readonly string[] = ['created', 'running', 'paused', 'restarting', 'exited'] satisfies readonly ShimState[];

function isState(text: string | undefined): text is ShimState {
  return text !== undefined && states.includes(text);
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf('=');
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
}

function digits(text: string | undefined): bigint {
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : 0n;
}
