import { accessSync, constants, readFileSync } from 'node:fs';
import { TscomposeError } from '../errors.ts';
import { type CgroupLayout, ownUnifiedCgroup, readCgroupLayout, unifiedMountpoint } from './cgroup-layout.ts';

/** Reads how this machine's control groups are arranged. @throws KERNEL_TOO_OLD when none is mounted */
export function readHostCgroups(): CgroupLayout {
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
  const cgroup = readFileSync('/proc/self/cgroup', 'utf8');
  const unified = unifiedMountpoint(mountinfo);
  const delegated = unified !== undefined && !mayWrite(`${unified}/cgroup.procs`);
  const base = delegated ? `${unified}${ownUnifiedCgroup(cgroup)}` : (unified ?? '');
  const layout = readCgroupLayout({ mountinfo, cgroup, controllers: readOr(`${base}/cgroup.controllers`), delegated });
  if (layout) return layout;
  throw new TscomposeError('KERNEL_TOO_OLD', 'no control groups are mounted', { hint: 'mount -t cgroup2 none /sys/fs/cgroup' });
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a container uses now; a number is absent where this machine does not count it. */
export interface ContainerStats {
  readonly memoryBytes?: number;
  /** Absent: without a limit. */
  readonly memoryLimitBytes?: number;
  readonly cpuNanoseconds?: number;
  readonly processes?: number;
  readonly processLimit?: number;
}

/** Reads the counters of the cgroup at `path` ("/tscompose/shop/0123456789ab"). Never fails: what is gone counts nothing. */
export function readStats(layout: CgroupLayout, path: string): ContainerStats {
  return layout.version === 'v2' ? readUnifiedStats(layout, path) : readSplitStats(layout, path);
}

function readUnifiedStats(layout: CgroupLayout, path: string): ContainerStats {
  const unified = layout.unified as NonNullable<CgroupLayout['unified']>;
  const folder = `${unified.mountpoint}${unified.base === '/' ? '' : unified.base}${path}`;
  const microseconds = /^usage_usec (\d+)$/m.exec(readOr(`${folder}/cpu.stat`))?.[1];
  return present({
    memoryBytes: count(`${folder}/memory.current`),
    memoryLimitBytes: count(`${folder}/memory.max`),
    cpuNanoseconds: microseconds === undefined ? undefined : Number(microseconds) * 1000,
    processes: count(`${folder}/pids.current`),
    processLimit: count(`${folder}/pids.max`),
  });
}

function readSplitStats(layout: CgroupLayout, path: string): ContainerStats {
  const file = (controller: string, name: string): string => {
    const hierarchy = layout.hierarchies.find((one) => one.controllers.includes(controller));
    return hierarchy ? `${hierarchy.mountpoint}${path}/${name}` : '';
  };
  const limit = count(file('memory', 'memory.limit_in_bytes'));
  return present({
    memoryBytes: count(file('memory', 'memory.usage_in_bytes')),
    memoryLimitBytes: limit !== undefined && limit < noLimit ? limit : undefined,
    cpuNanoseconds: count(file('cpuacct', 'cpuacct.usage')),
    processes: count(file('pids', 'pids.current')),
    processLimit: count(file('pids', 'pids.max')),
  });
}

/** Version 1 says "without limit" as the largest whole number of pages, a little below 2^63. */
const noLimit = 2 ** 62;

function count(path: string): number | undefined {
  const text = readOr(path).trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function readOr(path: string): string {
  try {
    return path === '' ? '' : readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

type Present<T> = { readonly [K in keyof T]?: NonNullable<T[K]> };

function present<T extends object>(values: T): Present<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<T>;
}
