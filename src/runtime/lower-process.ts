import { OpFlag, type ProgramOp } from '../core/protocol.ts';
import { block } from '../core/frames.ts';
import { compileSeccomp, seccompFlags } from './seccomp.ts';
import type { OciSeccomp } from './spec.ts';
import type { Architecture } from './syscalls.ts';

/** The last stage of every launch program: a container's, an exec's, a health check's. */
export interface Confinement {
  readonly umask: number;
  readonly workingDir: string;
  readonly noNewPrivileges: boolean;
  readonly user: { readonly uid: number; readonly gid: number; readonly groups: Uint8Array };
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
  readonly seccomp?: OciSeccomp;
  readonly architecture: Architecture;
  /** Wait for the word to start. */
  readonly gate: boolean;
}

/**
 * Working directory, rights, system call filter.
 *
 * The filter comes after the gate, so that it need not allow the gate's own calls. With no_new_privs anybody may load it, and
 * it
 * comes last. Without, loading takes CAP_SYS_ADMIN (seccomp(2)), so it comes before the rights go; the calls that take them
 * (prctl, setgroups, setresgid, setresuid, capset, chdir, getcwd, close_range) are allowed by docker's profile.
 */
export function confinementOps(confinement: Confinement): ProgramOp[] {
  const rights = rightsOps(confinement);
  const filter = filterOps(confinement);
  const gate: readonly ProgramOp[] = confinement.gate ? [{ op: 'gate' }] : [];
  return [
    { op: 'umask', x: confinement.umask },
    { op: 'workdir', flags: OpFlag.makeDir, b: confinement.workingDir },
    ...(confinement.noNewPrivileges
      ? [{ op: 'noNewPrivs' } as const, ...rights, ...gate, ...filter]
      : [...gate, ...filter, ...rights]),
  ];
}

/** The bounding set can only be cut while CAP_SETPCAP is there, so it goes first. */
function rightsOps(confinement: Confinement): readonly ProgramOp[] {
  const { user, bounding, effective, permitted, inheritable, ambient } = confinement;
  return [
    { op: 'bounding', x: bounding },
    { op: 'user', x: user.uid, y: user.gid, a: user.groups },
    { op: 'capabilities', x: effective, y: permitted, z: inheritable },
    ...(ambient === 0n ? [] : [{ op: 'ambient', x: ambient } as const]),
  ];
}

function filterOps(confinement: Confinement): readonly ProgramOp[] {
  if (!confinement.seccomp) return [];
  return [
    { op: 'seccomp', a: compileSeccomp(confinement.seccomp, confinement.architecture), x: seccompFlags(confinement.seccomp) },
  ];
}

/** What is executed, with the PATH of its own environment. */
export function executeOp(args: readonly string[], env: readonly string[]): ProgramOp {
  return { op: 'exec', a: block(args), b: block(env) };
}

/** Group ids as the C side reads them: u32, little-endian. */
export function gidBytes(gids: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(gids.length * 4);
  const view = new DataView(bytes.buffer);
  gids.forEach((gid, index) => {
    view.setUint32(index * 4, gid, true);
  });
  return bytes;
}
