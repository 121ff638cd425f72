import { OpFlag, type ProgramOp } from '../core/protocol.ts';
import { TscomposeError } from '../errors.ts';
import { capabilityMask } from './capabilities.ts';
import { type CgroupPlan, cgroupPlan } from './cgroup.ts';
import type { CgroupLayout } from './cgroup-layout.ts';
import { deviceLinks } from './devices.ts';
import { confinementOps, executeOp, gidBytes } from './lower-process.ts';
import { type InjectedFile, mountOps } from './lower-mounts.ts';
import { MountFlag, propagationWords } from './mount-options.ts';
import { rlimitBits, rlimitNumber } from './rlimits.ts';
import type { OciDevice, OciNamespace, OciNamespaceType, OciSpec } from './spec.ts';
import { sysctlPath } from './sysctls.ts';
import type { Architecture } from './syscalls.ts';

/** How the root file system comes about. */
export type RootfsPlan =
  | {
      readonly kind: 'overlay';
      /** Topmost first. */
      readonly lowerdirs: readonly string[];
      readonly upper: string;
      readonly work: string;
    }
  | { readonly kind: 'bind' };

/** What lowering needs beside config.json, which stays a plain OCI bundle. */
export interface LowerContext {
  readonly rootfs: RootfsPlan;
  readonly cgroups: CgroupLayout;
  readonly architecture: Architecture;
  /** Secrets and configs, which live in memory only. */
  readonly files: readonly InjectedFile[];
  /** Sources of bind mounts that are no directories; from findFileSources. */
  readonly fileSources: ReadonlySet<string>;
  /** A small init as process 1. */
  readonly init: boolean;
  /** Name of the session keyring: the first 12 digits of the id. */
  readonly keyring: string;
  /** The launcher sits in the container's network namespace already, as a shim does. */
  readonly launcherOwnsNetwork: boolean;
  /** tscompose's own bounding set (boundingSetOf); what lies outside cannot be given. */
  readonly availableCapabilities: bigint;
  /** Size of the terminal, when it is known before the first attach. */
  readonly terminal?: { readonly rows: number; readonly columns: number };
}

/** CLONE_NEW*: clone(2). */
export const namespaceFlags: Readonly<Record<OciNamespaceType, number>> = {
  mount: 0x20000,
  cgroup: 0x2000000,
  uts: 0x4000000,
  ipc: 0x8000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
  time: 0x80,
};

/**
 * config.json → launch program. The order is the one that runc and crun have grown to; each stage says why it stands where it
 * does.
 * @throws VALUE_INVALID for what this machine or this runtime cannot do
 */
export function lower(spec: OciSpec, context: LowerContext): ProgramOp[] {
  checkNamespaces(spec);
  const cgroups = cgroupPlan(context.cgroups, spec.linux.cgroupsPath, spec.linux.resources);
  return [
    ...cgroups.prepare,
    ...joinOps(spec, context, 'launcher'),
    cloneOp(spec, context, cgroups),
    ...parentOps(spec, cgroups),
    ...namespaceOps(spec, context),
    ...rootOps(spec, context),
    ...mountOps(spec, context),
    ...deviceOps(spec),
    { op: 'pivot' },
    ...insideOps(spec, context),
    ...processOps(spec, context),
  ];
}

/** The cgroup directories of a lowered container, for the shim to kill through and remove. */
export function containerCgroups(spec: OciSpec, context: Pick<LowerContext, 'cgroups'>): readonly string[] {
  return cgroupPlan(context.cgroups, spec.linux.cgroupsPath, spec.linux.resources).directories;
}

// Namespaces

function checkNamespaces(spec: OciSpec): void {
  const types = spec.linux.namespaces.map((namespace) => namespace.type);
  if (new Set(types).size < types.length) throw invalid('a namespace type is listed twice');
  if (!types.includes('mount')) throw invalid('a container needs a mount namespace of its own');
  if (types.includes('user') || types.includes('time')) throw invalid('user and time namespaces are not supported yet');
}

/** A pid namespace is entered by fork only, so the launcher joins it before it clones; all others are joined by the child. */
function joinOps(spec: OciSpec, context: LowerContext, by: 'launcher' | 'child'): readonly ProgramOp[] {
  const joined = spec.linux.namespaces.filter((namespace) => namespace.path !== undefined && !isLaunchers(namespace, context));
  const mine = joined.filter((namespace) => (namespace.type === 'pid') === (by === 'launcher'));
  return mine.map((namespace) => ({ op: 'setns', a: namespace.path as string, x: namespaceFlags[namespace.type] }));
}

function isLaunchers(namespace: OciNamespace, context: LowerContext): boolean {
  return namespace.type === 'network' && context.launcherOwnsNetwork;
}

/** A cgroup namespace's root is where the process is when it is made, so that one is made later, in its place. */
function cloneOp(spec: OciSpec, context: LowerContext, cgroups: CgroupPlan): ProgramOp {
  const made = spec.linux.namespaces.filter(
    (one) => one.path === undefined && one.type !== 'cgroup' && !isLaunchers(one, context),
  );
  const flags = made.reduce((bits, namespace) => bits | namespaceFlags[namespace.type], 0);
  return { op: 'clone', x: flags, ...(cgroups.cloneInto === undefined ? {} : { a: cgroups.cloneInto }) };
}

/** While the child waits: what only the outside may do, before a new namespace or a dropped capability costs the right. */
function parentOps(spec: OciSpec, cgroups: CgroupPlan): readonly ProgramOp[] {
  const attach = cgroups.attach.map((directory): ProgramOp => ({ op: 'cgroupAttach', flags: OpFlag.parent, a: directory }));
  const limits = spec.process.rlimits.map(
    (limit): ProgramOp => ({
      op: 'prlimit',
      flags: OpFlag.parent,
      x: rlimitNumber(limit.type),
      y: rlimitBits(limit.soft),
      z: rlimitBits(limit.hard),
    }),
  );
  const score = spec.process.oomScoreAdj;
  const oom: readonly ProgramOp[] =
    score === undefined ? [] : [{ op: 'oomScore', flags: OpFlag.parent, x: BigInt.asUintN(64, BigInt(score)) }];
  return [...attach, ...limits, ...oom];
}

function namespaceOps(spec: OciSpec, context: LowerContext): readonly ProgramOp[] {
  const isNew = (type: OciNamespaceType): boolean =>
    spec.linux.namespaces.some((one) => one.type === type && one.path === undefined);
  const ops: ProgramOp[] = [...joinOps(spec, context, 'child')];
  if (isNew('cgroup')) ops.push({ op: 'unshare', x: namespaceFlags.cgroup });
  if (isNew('uts') && spec.hostname) ops.push({ op: 'hostname', a: spec.hostname });
  if (isNew('uts') && spec.domainname) ops.push({ op: 'domainname', a: spec.domainname });
  if (isNew('network')) ops.push({ op: 'loopbackUp' });
  // A terminal makes its own session.
  if (!spec.process.terminal) ops.push({ op: 'setsid' });
  ops.push({ op: 'keyring', flags: OpFlag.optional, a: context.keyring });
  return ops;
}

// The root

/** Propagation first: an overlay mounted while "/" is still shared would show up on the host. */
function rootOps(spec: OciSpec, context: LowerContext): readonly ProgramOp[] {
  const propagation = propagationWords.get(spec.linux.rootfsPropagation ?? 'rslave') as number;
  const { rootfs } = context;
  const overlay = rootfs.kind === 'overlay' ? { b: overlayOptions(rootfs) } : {};
  return [
    { op: 'rootPropagation', x: propagation | MountFlag.recursive },
    { op: 'rootfs', a: spec.root.path, ...overlay },
  ];
}

/**
 * overlayfs separates folders by ":" and options by ",": both are escaped with a backslash
 * (Documentation/filesystems/overlayfs.rst).
 */
function overlayOptions(rootfs: Extract<RootfsPlan, { kind: 'overlay' }>): string {
  const escaped = (path: string): string => path.replaceAll(/[\\,:]/g, (character) => `\\${character}`);
  const plain = (path: string): string => path.replaceAll(/[\\,]/g, (character) => `\\${character}`);
  return `lowerdir=${rootfs.lowerdirs.map(escaped).join(':')},upperdir=${plain(rootfs.upper)},workdir=${plain(rootfs.work)}`;
}

/** A /dev that is bound in brings its own nodes. */
function deviceOps(spec: OciSpec): readonly ProgramOp[] {
  const dev = spec.mounts.find((mount) => mount.destination === '/dev');
  if (!dev || dev.type === 'bind') return [];
  const nodes = spec.linux.devices.map(nodeOp);
  const links = deviceLinks.map(([path, target]): ProgramOp => ({ op: 'symlink', a: target, b: path }));
  return [...nodes, ...links];
}

const nodeType: Readonly<Record<OciDevice['type'], number>> = { c: 0o020000, u: 0o020000, b: 0o060000, p: 0o010000 };

function nodeOp(device: OciDevice): ProgramOp {
  const number = (BigInt(device.major ?? 0) << 32n) | BigInt(device.minor ?? 0);
  const owner = (BigInt(device.uid ?? 0) << 32n) | BigInt(device.gid ?? 0);
  return { op: 'mknod', b: device.path, x: nodeType[device.type] | (device.fileMode ?? 0o666), y: number, z: owner };
}

// Inside

/**
 * The terminal comes after the user's mounts and before anything is read-only; masks last, so that nothing is mounted over
 * them.
 */
function insideOps(spec: OciSpec, context: LowerContext): readonly ProgramOp[] {
  const { terminal = { rows: 0, columns: 0 } } = context;
  return [
    // While it can still be made.
    ...(spec.root.readonly ? [{ op: 'workdir', flags: OpFlag.makeDir, b: spec.process.cwd } as const] : []),
    ...(spec.process.terminal ? [{ op: 'console', x: terminal.rows, y: terminal.columns } as const] : []),
    ...(spec.root.readonly ? [{ op: 'remount', b: '/', x: MountFlag.readOnly } as const] : []),
    ...Object.entries(spec.linux.sysctl).map(([key, value]): ProgramOp => ({ op: 'sysctl', a: sysctlPath(key), b: value })),
    ...spec.linux.readonlyPaths.map((path): ProgramOp => ({ op: 'readonlyPath', b: path })),
    ...spec.linux.maskedPaths.map((path): ProgramOp => ({ op: 'mask', b: path })),
  ];
}

function processOps(spec: OciSpec, context: LowerContext): readonly ProgramOp[] {
  const { process } = spec;
  const mask = (names: readonly string[]): bigint => capabilityMask(names) & context.availableCapabilities;
  const confinement = confinementOps({
    umask: process.user.umask ?? 0o022,
    workingDir: process.cwd,
    noNewPrivileges: process.noNewPrivileges,
    user: { uid: process.user.uid, gid: process.user.gid, groups: gidBytes(process.user.additionalGids) },
    bounding: mask(process.capabilities.bounding),
    effective: mask(process.capabilities.effective),
    permitted: mask(process.capabilities.permitted),
    inheritable: mask(process.capabilities.inheritable),
    ambient: mask(process.capabilities.ambient),
    architecture: context.architecture,
    gate: true,
    ...(spec.linux.seccomp ? { seccomp: spec.linux.seccomp } : {}),
  });
  return [...confinement, ...(context.init ? [{ op: 'init' } as const] : []), executeOp(process.args, process.env)];
}

function invalid(message: string): TscomposeError {
  return new TscomposeError('VALUE_INVALID', `config.json: ${message}`);
}
