import { OpFlag, type ProgramOp } from '../core/protocol.ts';
import { TscomposeError } from '../errors.ts';
import type { CgroupHierarchy, CgroupLayout, UnifiedCgroup } from './cgroup-layout.ts';
import { deviceProgram, deviceRuleText, foldDeviceRules } from './device-rules.ts';
import type { OciCpu, OciMemory, OciResources } from './spec.ts';

/** What has to be done for a container's cgroups, in the order given. */
export interface CgroupPlan {
  /** One directory per hierarchy: to kill through and to remove at the end. */
  readonly directories: readonly string[];
  /** For the launcher, before CLONE: make the directories, enable controllers, write limits. */
  readonly prepare: readonly ProgramOp[];
  /** The version 2 directory for CLONE_INTO_CGROUP. */
  readonly cloneInto?: string;
  /** Version 1 directories that the child is written into while it waits. */
  readonly attach: readonly string[];
}

/** Docker sets no bound; without one a fork bomb takes the host along. Podman's and Kubernetes' defaults are of this size. */
export const defaultPidsLimit = 4096;

/** The path of a container's cgroup, the same in every hierarchy: below `cgroup_parent`, or below the project's. */
export function containerCgroupPath(project: string, id: string, parent?: string): string {
  const above = parent === undefined ? `/tscompose/${project}` : parent.startsWith('/') ? parent : `/${parent}`;
  return `${above}/${id.slice(0, 12)}`;
}

/** The directories of `path` in every hierarchy that we use: of a container, or of a whole project ("/tscompose/shop"). */
export function cgroupDirectories(layout: CgroupLayout, path: string): readonly string[] {
  const split = usedHierarchies(layout, { cpu: { cpus: 'any' } }).map((hierarchy) => `${hierarchy.mountpoint}${path}`);
  return layout.unified ? [...split, unifiedDirectory(layout.unified, path)] : split;
}

/**
 * Where a container's cgroups go and what is written there.
 * @throws VALUE_INVALID when a limit is asked for that no mounted controller can keep
 */
export function cgroupPlan(layout: CgroupLayout, path: string, resources: OciResources): CgroupPlan {
  checkPath(path);
  return layout.version === 'v2'
    ? unifiedPlan(layout.unified as UnifiedCgroup, path, resources)
    : splitPlan(layout, path, resources);
}

/** SR: a path that leaves our subtree would put limits and kills on somebody else's processes. */
function checkPath(path: string): void {
  const parts = path.split('/').slice(1);
  const clean = path.startsWith('/') && parts.length > 0 && parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (!clean || path.includes('\0')) throw new TscomposeError('VALUE_INVALID', `"${path}" is no path of a control group`);
}

// Version 1, and hybrid

function splitPlan(layout: CgroupLayout, path: string, resources: OciResources): CgroupPlan {
  const hierarchies = usedHierarchies(layout, resources);
  const settings = [
    ...memorySettings(resources.memory),
    ...cpuSettings(resources.cpu),
    ...pidsSettings(resources),
    ...deviceSettings(resources),
  ];
  const attach = hierarchies.map((hierarchy) => `${hierarchy.mountpoint}${path}`);
  const cloneInto = layout.unified && unifiedDirectory(layout.unified, path);
  return {
    directories: cloneInto ? [...attach, cloneInto] : attach,
    prepare: [
      ...hierarchies.map((hierarchy) => createOp(`${hierarchy.mountpoint}${path}`, hierarchy.controllers.includes('cpuset'))),
      ...(cloneInto ? [createOp(cloneInto)] : []),
      ...settings.flatMap((setting) => splitWrite(layout, path, setting)),
    ],
    attach,
    ...(cloneInto ? { cloneInto } : {}),
  };
}

/** Each hierarchy costs a mkdir, a migration and an rmdir, so only those that bound, count, freeze or guard something. */
const wantedControllers = ['memory', 'cpu', 'cpuacct', 'pids', 'devices', 'freezer', 'blkio', 'name=systemd'];

/** The version 1 hierarchies that a container with these resources has a cgroup in. */
export function usedHierarchies(layout: CgroupLayout, resources: OciResources): readonly CgroupHierarchy[] {
  const wanted = resources.cpu?.cpus || resources.cpu?.mems ? [...wantedControllers, 'cpuset'] : wantedControllers;
  return layout.hierarchies.filter((hierarchy) => hierarchy.controllers.some((name) => wanted.includes(name)));
}

/** One file's value. `optional`: nobody asked for it by name, so a machine that cannot do it may do without. */
interface Setting {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  readonly optional?: boolean;
}

/** memory.limit first: memsw must never be below it, and a new cgroup's memsw is without bound. */
function memorySettings(memory: OciMemory = {}): readonly Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, value: number | undefined, optional?: boolean): void => {
    if (value !== undefined)
      settings.push({ controller: 'memory', file, value: String(value), ...(optional ? { optional } : {}) });
  };
  add('memory.limit_in_bytes', memory.limit);
  add('memory.soft_limit_in_bytes', memory.reservation);
  add('memory.memsw.limit_in_bytes', memory.swap, isDefaultSwap(memory));
  add('memory.swappiness', memory.swappiness);
  add('memory.oom_control', memory.disableOOMKiller ? 1 : undefined);
  return settings;
}

/** Docker's default of as much swap as memory; kernels without swap accounting lack the file. */
function isDefaultSwap(memory: OciMemory): boolean {
  return memory.limit !== undefined && memory.swap === memory.limit * 2;
}

function cpuSettings(cpu: OciCpu = {}): readonly Setting[] {
  const rows: ReadonlyArray<readonly [string, string, number | string | undefined]> = [
    ['cpu', 'cpu.shares', cpu.shares],
    ['cpu', 'cpu.cfs_period_us', cpu.period],
    ['cpu', 'cpu.cfs_quota_us', cpu.quota],
    ['cpuset', 'cpuset.cpus', cpu.cpus],
    ['cpuset', 'cpuset.mems', cpu.mems],
  ];
  return rows.flatMap(([controller, file, value]) => (value === undefined ? [] : [{ controller, file, value: String(value) }]));
}

function pidsSettings(resources: OciResources): readonly Setting[] {
  const limit = resources.pids?.limit;
  if (limit === undefined) return [];
  return [{ controller: 'pids', file: 'pids.max', value: pidsValue(limit), optional: limit === defaultPidsLimit }];
}

/** runtime-spec 1.3: -1 is without bound, and 0, which no process could live in, means 1. */
function pidsValue(limit: number): string {
  return limit < 0 ? 'max' : String(Math.max(1, limit));
}

function deviceSettings(resources: OciResources): readonly Setting[] {
  const policy = foldDeviceRules(resources.devices ?? []);
  const file = policy.allowsByDefault ? 'devices.deny' : 'devices.allow';
  const exceptions = policy.exceptions.map((exception) => ({ controller: 'devices', file, value: deviceRuleText(exception) }));
  return policy.allowsByDefault ? exceptions : [{ controller: 'devices', file: 'devices.deny', value: 'a' }, ...exceptions];
}

function splitWrite(layout: CgroupLayout, path: string, setting: Setting): readonly ProgramOp[] {
  const hierarchy = layout.hierarchies.find((one) => one.controllers.includes(setting.controller));
  if (hierarchy) return [writeOp(`${hierarchy.mountpoint}${path}/${setting.file}`, setting)];
  if (setting.optional) return [];
  throw missingController(setting.controller);
}

// Version 2

function unifiedPlan(unified: UnifiedCgroup, path: string, resources: OciResources): CgroupPlan {
  const directory = unifiedDirectory(unified, path);
  const settings = [...unifiedMemory(resources.memory), ...unifiedCpu(resources.cpu), ...pidsSettings(resources)];
  return {
    directories: [directory],
    prepare: [
      createOp(directory),
      ...enableControllers(unified, path, resources),
      ...settings.flatMap((setting) => unifiedWrite(unified, directory, setting)),
      ...unifiedDevices(directory, resources),
    ],
    cloneInto: directory,
    attach: [],
  };
}

function unifiedDirectory(unified: UnifiedCgroup, path: string): string {
  return `${unified.mountpoint}${unified.base === '/' ? '' : unified.base}${path}`;
}

/**
 * A directory has a controller's files only when its parent's subtree_control names it, so from the top down. Optional: the
 * controllers may be on already in a parent that we may not write to; what is really missing shows when a limit is written.
 */
function enableControllers(unified: UnifiedCgroup, path: string, resources: OciResources): readonly ProgramOp[] {
  const wanted =
    resources.cpu?.cpus || resources.cpu?.mems ? ['cpu', 'memory', 'pids', 'io', 'cpuset'] : ['cpu', 'memory', 'pids', 'io'];
  const value = wanted
    .filter((name) => unified.controllers.includes(name))
    .map((name) => `+${name}`)
    .join(' ');
  if (value === '') return [];
  const parts = path.split('/').slice(1);
  return parts.map((_part, depth) => {
    const above = parts
      .slice(0, depth)
      .map((part) => `/${part}`)
      .join('');
    return {
      op: 'cgroupWrite',
      flags: OpFlag.optional,
      a: `${unifiedDirectory(unified, above)}/cgroup.subtree_control`,
      b: value,
    };
  });
}

/** Version 2 has no swappiness and cannot switch the OOM killer off: docker, too, leaves both out there. */
function unifiedMemory(memory: OciMemory = {}): readonly Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, value: number | undefined, optional?: boolean): void => {
    if (value === undefined) return;
    settings.push({ controller: 'memory', file, value: value < 0 ? 'max' : String(value), ...(optional ? { optional } : {}) });
  };
  add('memory.max', memory.limit);
  add('memory.low', memory.reservation);
  add('memory.swap.max', swapAlone(memory), isDefaultSwap(memory));
  return settings;
}

/** OCI counts memory and swap together, version 2 swap alone. */
function swapAlone(memory: OciMemory): number | undefined {
  if (memory.swap === undefined || memory.swap < 0) return memory.swap;
  return Math.max(0, memory.swap - (memory.limit ?? 0));
}

function unifiedCpu(cpu: OciCpu = {}): readonly Setting[] {
  const bounded = cpu.quota !== undefined || cpu.period !== undefined;
  const quota = cpu.quota === undefined || cpu.quota < 0 ? 'max' : String(cpu.quota);
  const rows: ReadonlyArray<readonly [string, string, string | undefined]> = [
    ['cpu', 'cpu.weight', cpu.shares ? String(weightFromShares(cpu.shares)) : undefined],
    ['cpu', 'cpu.max', bounded ? `${quota} ${cpu.period ?? 100_000}` : undefined],
    ['cpuset', 'cpuset.cpus', cpu.cpus],
    ['cpuset', 'cpuset.mems', cpu.mems],
  ];
  return rows.flatMap(([controller, file, value]) => (value === undefined ? [] : [{ controller, file, value }]));
}

/**
 * Version 1 shares (2 … 262144, default 1024) → version 2 weight (1 … 10000, default 100). The curve through all three points
 * that
 * runc (since 1.3.2), crun (1.23) and Kubernetes agreed on; the older straight line put the default at 39.
 */
export function weightFromShares(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const log = Math.log2(shares);
  const exponent = (log * log + 125 * log) / 612 - 7 / 34;
  return Math.ceil(10 ** exponent - 1e-9);
}

function unifiedWrite(unified: UnifiedCgroup, directory: string, setting: Setting): readonly ProgramOp[] {
  if (unified.controllers.includes(setting.controller)) return [writeOp(`${directory}/${setting.file}`, setting)];
  if (setting.optional) return [];
  throw missingController(setting.controller);
}

function unifiedDevices(directory: string, resources: OciResources): readonly ProgramOp[] {
  const policy = foldDeviceRules(resources.devices ?? []);
  if (policy.allowsByDefault && policy.exceptions.length === 0) return [];
  return [{ op: 'cgroupDevices', a: directory, b: deviceProgram(policy) }];
}

// Both

function createOp(directory: string, isCpuset = false): ProgramOp {
  return { op: 'cgroupCreate', a: directory, ...(isCpuset ? { x: 1 } : {}) };
}

function writeOp(file: string, setting: Setting): ProgramOp {
  return { op: 'cgroupWrite', ...(setting.optional ? { flags: OpFlag.optional } : {}), a: file, b: setting.value };
}

function missingController(controller: string): TscomposeError {
  return new TscomposeError(
    'VALUE_INVALID',
    `a limit needs the cgroup controller "${controller}", which this machine does not offer`,
    {
      hint: `remove the limit, or mount the controller and boot without cgroup_disable=${controller}`,
    },
  );
}
