import type { ProgramOp } from '../core/protocol.ts';
import { allCapabilities, capabilityMask } from './capabilities.ts';
import { namespaceFlags } from './lower.ts';
import { confinementOps, executeOp, gidBytes } from './lower-process.ts';
import { rlimitBits, rlimitNumber } from './rlimits.ts';
import type { OciSpec } from './spec.ts';
import type { Architecture } from './syscalls.ts';
import type { ResolvedUser } from './users.ts';

/** A command to run in a container that is already there: exec, a health check, a hook. */
export interface ExecOptions {
  /** The container's config.json, whose process the command is like but for what is given below. */
  readonly spec: OciSpec;
  /** Of init, in this pid namespace. */
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: a pid that was given to somebody else is recognised by it. */
  readonly startTime: bigint;
  /** The container's cgroup directories. */
  readonly cgroups: readonly string[];
  readonly args: readonly string[];
  /** Added to the container's environment; later ones win. */
  readonly env: readonly string[];
  readonly workingDir?: string;
  readonly user?: ResolvedUser;
  /** All capabilities and no system call filter. */
  readonly privileged?: boolean;
  /** Give it a terminal of this size. */
  readonly terminal?: { readonly rows: number; readonly columns: number };
  readonly architecture: Architecture;
  readonly availableCapabilities: bigint;
}

/**
 * The launch program of a command in a running container: enter its cgroups while they can be seen, join all namespaces by the
 * pidfd
 * of init at once, fork for the pid namespace, then be confined as the container is.
 */
export function lowerExec(options: ExecOptions): ProgramOp[] {
  return [
    ...options.cgroups.map((directory): ProgramOp => ({ op: 'cgroupAttach', a: directory })),
    { op: 'join', x: options.pid, y: options.startTime, z: joinedNamespaces },
    { op: 'clone', x: 0 },
    ...limitOps(options.spec),
    ...sessionOps(options),
    ...confinementOps(confinementOf(options)),
    executeOp(options.args, execEnv(options)),
  ];
}

/** Those the container shares with us are joined as well, which changes nothing. */
const joinedNamespaces =
  namespaceFlags.mount |
  namespaceFlags.pid |
  namespaceFlags.network |
  namespaceFlags.ipc |
  namespaceFlags.uts |
  namespaceFlags.cgroup;

/** The command is bound as the container's first process is. */
function limitOps(spec: OciSpec): readonly ProgramOp[] {
  return spec.process.rlimits.map(({ type, soft, hard }) => ({
    op: 'prlimit',
    x: rlimitNumber(type),
    y: rlimitBits(soft),
    z: rlimitBits(hard),
  }));
}

/** A terminal makes its own session. */
function sessionOps(options: ExecOptions): readonly ProgramOp[] {
  if (!options.terminal) return [{ op: 'setsid' }];
  return [{ op: 'console', x: options.terminal.rows, y: options.terminal.columns }];
}

function confinementOf(options: ExecOptions): Parameters<typeof confinementOps>[0] {
  const { process, linux } = options.spec;
  const bounding = options.privileged ? allCapabilities : process.capabilities.bounding;
  const user = options.user ?? { uid: process.user.uid, gid: process.user.gid, groups: process.user.additionalGids };
  const mask = capabilityMask(bounding) & options.availableCapabilities;
  const inForce = user.uid === 0 ? mask : 0n;
  return {
    umask: process.user.umask ?? 0o022,
    workingDir: options.workingDir || process.cwd,
    noNewPrivileges: process.noNewPrivileges && !options.privileged,
    user: { uid: user.uid, gid: user.gid, groups: gidBytes(user.groups) },
    bounding: mask,
    effective: inForce,
    permitted: inForce,
    inheritable: 0n,
    ambient: 0n,
    architecture: options.architecture,
    gate: false,
    ...(linux.seccomp && !options.privileged ? { seccomp: linux.seccomp } : {}),
  };
}

/** HOME goes with the user; TERM comes with a terminal. */
function execEnv(options: ExecOptions): readonly string[] {
  const own = [...(options.user ? [`HOME=${options.user.home}`] : []), ...(options.terminal ? ['TERM=xterm'] : [])];
  const variables = new Map<string, string>();
  for (const entry of [...options.spec.process.env, ...own, ...options.env])
    variables.set(entry.slice(0, entry.indexOf('=')), entry);
  return [...variables.values()];
}
