import { OpFlag, type ProgramOp } from '../core/protocol.ts';
import { usedHierarchies } from './cgroup.ts';
import type { CgroupHierarchy, CgroupLayout } from './cgroup-layout.ts';
import type { LowerContext } from './lower.ts';
import { MountFlag, type MountOptions, parseMountOptions } from './mount-options.ts';
import type { OciMount, OciSpec } from './spec.ts';

/** A secret or config: content that is put into a container without ever being on a disk. */
export interface InjectedFile {
  /** Absolute, in the container. */
  readonly target: string;
  readonly content: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The mounts of config.json in their order, and the injected files among them.
 *
 * Files below /run/secrets lie on a tmpfs there. Files for other places are written to a second tmpfs and bound one by one,
 * which
 * works on a read-only root and leaves nothing in the writable layer but empty files. That tmpfs sits on /dev/mqueue, and the
 * message queues, mounted last, hide it: no operation to unmount is needed, and nobody has a mount of his own inside there.
 */
export function mountOps(spec: OciSpec, context: LowerContext): ProgramOp[] {
  const isLast = (mount: OciMount): boolean => mount.destination === hidden;
  const first = spec.mounts.filter((mount) => !isLast(mount));
  const last = spec.mounts.filter(isLast);
  const render = (mount: OciMount): ProgramOp[] => oneMount(mount, spec, context);
  return [...first.flatMap(render), ...injectedOps(context.files), ...last.flatMap(render)];
}

const hidden = '/dev/mqueue';
const secretsFolder = '/run/secrets';

function oneMount(mount: OciMount, spec: OciSpec, context: LowerContext): ProgramOp[] {
  const options = parseMountOptions(mount.options);
  if (mount.type === 'cgroup') return cgroupMounts(mount, options, spec, context.cgroups);
  return options.isBind || mount.type === 'bind' ? [bindOp(mount, options, context)] : [fileSystemOp(mount, options)];
}

function bindOp(mount: OciMount, options: MountOptions, context: LowerContext): ProgramOp {
  const source = mount.source ?? '';
  const kind = context.fileSources.has(source) ? OpFlag.makeFile : OpFlag.makeDir;
  return {
    op: 'bind',
    flags: kind | (options.isRecursiveBind ? OpFlag.recursive : 0),
    a: source,
    b: mount.destination,
    x: options.flags,
    y: options.recursiveAttributes,
    z: options.propagation,
  };
}

function fileSystemOp(mount: OciMount, options: MountOptions): ProgramOp {
  const type = mount.type ?? 'none';
  return {
    op: 'mount',
    flags: OpFlag.makeDir,
    a: mount.source ?? type,
    b: mount.destination,
    c: type,
    ...(options.data === '' ? {} : { d: options.data }),
    x: options.flags,
    y: options.recursiveAttributes,
    z: options.propagation,
  };
}

// Control groups

/**
 * With version 2 one mount, which the cgroup namespace roots at the container's own group. With version 1 a tmpfs with one
 * folder
 * per hierarchy, as programs that look for their memory limit expect; a hierarchy of several controllers has links to it. Only
 * those are shown
 * that the container has a group of its own in: in any other it would see the host's.
 */
function cgroupMounts(mount: OciMount, options: MountOptions, spec: OciSpec, layout: CgroupLayout): ProgramOp[] {
  const isOwn = spec.linux.namespaces.some((namespace) => namespace.type === 'cgroup');
  if (layout.version === 'v2') return [unifiedMount(mount.destination, options, spec, layout, isOwn)];
  const tmpfs: ProgramOp = {
    op: 'mount',
    flags: OpFlag.makeDir,
    a: 'tmpfs',
    b: mount.destination,
    c: 'tmpfs',
    d: 'mode=755,size=64k',
    x: options.flags & ~MountFlag.readOnly,
    y: 0,
    z: 0,
  };
  return [
    tmpfs,
    ...usedHierarchies(layout, spec.linux.resources).flatMap((hierarchy) =>
      hierarchyMount(hierarchy, mount.destination, options, spec, isOwn),
    ),
    ...(layout.unified ? [unifiedMount(`${mount.destination}/unified`, options, spec, layout, isOwn)] : []),
    { op: 'remount', b: mount.destination, x: options.flags | MountFlag.readOnly },
  ];
}

/** Without a cgroup namespace a fresh mount would show the whole tree, so the container's own group is bound instead. */
function unifiedMount(target: string, options: MountOptions, spec: OciSpec, layout: CgroupLayout, isOwn: boolean): ProgramOp {
  const { mountpoint = '', base = '/' } = layout.unified ?? {};
  if (!isOwn) return boundCgroup(`${mountpoint}${base === '/' ? '' : base}${spec.linux.cgroupsPath}`, target, options);
  return { op: 'mount', flags: OpFlag.makeDir, a: 'cgroup', b: target, c: 'cgroup2', x: options.flags, y: 0, z: 0 };
}

function hierarchyMount(
  hierarchy: CgroupHierarchy,
  folder: string,
  options: MountOptions,
  spec: OciSpec,
  isOwn: boolean,
): readonly ProgramOp[] {
  const name = hierarchy.controllers.join(',').replace('name=', '');
  const target = `${folder}/${name}`;
  const links = hierarchy.controllers.length < 2 ? [] : hierarchy.controllers;
  return [
    isOwn
      ? ownHierarchy(hierarchy, target, options)
      : boundCgroup(`${hierarchy.mountpoint}${spec.linux.cgroupsPath}`, target, options),
    ...links.map((controller): ProgramOp => ({ op: 'symlink', a: name, b: `${folder}/${controller}` })),
  ];
}

/** A hierarchy is named by its controllers; one without is named by its name, after the word "none": cgroups(7). */
function ownHierarchy(hierarchy: CgroupHierarchy, target: string, options: MountOptions): ProgramOp {
  const words = hierarchy.controllers[0]?.startsWith('name=') ? ['none', ...hierarchy.controllers] : hierarchy.controllers;
  return {
    op: 'mount',
    flags: OpFlag.makeDir,
    a: 'cgroup',
    b: target,
    c: 'cgroup',
    d: words.join(','),
    x: options.flags,
    y: 0,
    z: 0,
  };
}

function boundCgroup(source: string, target: string, options: MountOptions): ProgramOp {
  return { op: 'bind', flags: OpFlag.makeDir, a: source, b: target, x: options.flags, y: 0, z: MountFlag.private };
}

// Injected files

function injectedOps(files: readonly InjectedFile[]): readonly ProgramOp[] {
  const secrets = files.filter((file) => file.target.startsWith(`${secretsFolder}/`));
  const others = files.filter((file) => !secrets.includes(file));
  return [...secretsOps(secrets), ...boundFileOps(others)];
}

const lockedFlags = MountFlag.noSuid | MountFlag.noDev | MountFlag.noExec;

function secretsOps(files: readonly InjectedFile[]): readonly ProgramOp[] {
  if (files.length === 0) return [];
  return [
    memoryFolder(secretsFolder, 0o755),
    ...files.map((file) => writeOp(file, file.target)),
    { op: 'remount', b: secretsFolder, x: lockedFlags | MountFlag.readOnly },
  ];
}

function boundFileOps(files: readonly InjectedFile[]): readonly ProgramOp[] {
  if (files.length === 0) return [];
  const place = (index: number): string => `${hidden}/${index}`;
  return [
    memoryFolder(hidden, 0o700),
    ...files.map((file, index) => writeOp(file, place(index))),
    ...files.map((file, index) => bindInside(place(index), file.target)),
  ];
}

function memoryFolder(target: string, mode: number): ProgramOp {
  return {
    op: 'mount',
    flags: OpFlag.makeDir,
    a: 'tmpfs',
    b: target,
    c: 'tmpfs',
    d: `mode=${mode.toString(8)}`,
    x: lockedFlags,
    y: 0,
    z: MountFlag.private,
  };
}

function writeOp(file: InjectedFile, target: string): ProgramOp {
  return { op: 'writeFile', a: file.content, b: target, x: file.mode, y: file.uid, z: file.gid };
}

function bindInside(source: string, target: string): ProgramOp {
  return {
    op: 'bind',
    flags: OpFlag.inRoot | OpFlag.makeFile,
    a: source,
    b: target,
    x: lockedFlags | MountFlag.readOnly,
    y: 0,
    z: MountFlag.private,
  };
}
