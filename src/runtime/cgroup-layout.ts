/** How this machine's control groups are arranged. Pure; cgroup-host.ts reads the texts. */

export interface CgroupLayout {
  /** hybrid: the controllers are in version 1 hierarchies, and a version 2 tree without them is there beside. */
  readonly version: 'v1' | 'hybrid' | 'v2';
  /** In the order of mounting; empty with v2. */
  readonly hierarchies: readonly CgroupHierarchy[];
  readonly unified?: UnifiedCgroup;
}

/** A version 1 hierarchy. */
export interface CgroupHierarchy {
  /** "cpu", "cpuacct"; or "name=systemd" alone. */
  readonly controllers: readonly string[];
  readonly mountpoint: string;
}

export interface UnifiedCgroup {
  readonly mountpoint: string;
  /** The cgroup below which ours are made: "/" or the delegated one of this process, "/user.slice/…". */
  readonly base: string;
  /** What cgroup.controllers of `base` offers. */
  readonly controllers: readonly string[];
}

export interface CgroupTexts {
  /** /proc/self/mountinfo */
  readonly mountinfo: string;
  /** /proc/self/cgroup */
  readonly cgroup: string;
  /** cgroup.controllers of the version 2 tree, at the base. */
  readonly controllers: string;
  /** This process may manage only the subtree it sits in: make cgroups there. cgroups(7), "Delegating a hierarchy". */
  readonly delegated: boolean;
}

/** Works out the layout; undefined when no hierarchy is mounted. */
export function readCgroupLayout(texts: CgroupTexts): CgroupLayout | undefined {
  const mounts = cgroupMounts(texts.mountinfo);
  const hierarchies = mounts.filter((mount) => mount.type === 'cgroup').flatMap(hierarchyOf);
  const unified = mounts.find((mount) => mount.type === 'cgroup2');
  if (!unified) return hierarchies.length === 0 ? undefined : { version: 'v1', hierarchies };
  const tree: UnifiedCgroup = {
    mountpoint: unified.mountpoint,
    base: texts.delegated ? ownUnifiedCgroup(texts.cgroup) : '/',
    controllers: texts.controllers.split(/\s+/).filter((name) => name !== ''),
  };
  return {
    version: hierarchies.some(hasController) ? 'hybrid' : 'v2',
    hierarchies: hierarchies.some(hasController) ? hierarchies : [],
    unified: tree,
  };
}

/** Where the version 2 tree is mounted; undefined: nowhere. */
export function unifiedMountpoint(mountinfo: string): string | undefined {
  return cgroupMounts(mountinfo).find((mount) => mount.type === 'cgroup2')?.mountpoint;
}

/** This process's place in the version 2 tree: the line "0::PATH" of /proc/self/cgroup. */
export function ownUnifiedCgroup(cgroup: string): string {
  return /^0::(\/.*)$/m.exec(cgroup)?.[1] ?? '/';
}

interface CgroupMount {
  readonly type: 'cgroup' | 'cgroup2';
  readonly mountpoint: string;
  /** Of the file system, where version 1 names its controllers. */
  readonly options: readonly string[];
}

/** proc_pid_mountinfo(5): ID parent major:minor root mountpoint options [optional fields] - type source super-options. */
function cgroupMounts(mountinfo: string): readonly CgroupMount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    const [type, _source, options] = (after ?? '').split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    return [{ type, mountpoint: unescapeOctal((before as string).split(' ')[4] ?? ''), options: (options ?? '').split(',') }];
  });
}

const knownControllers = [
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'net_cls',
  'blkio',
  'perf_event',
  'net_prio',
  'hugetlb',
  'pids',
  'rdma',
  'misc',
];

function hierarchyOf(mount: CgroupMount): readonly CgroupHierarchy[] {
  const controllers = mount.options.filter((option) => knownControllers.includes(option) || option.startsWith('name='));
  return controllers.length === 0 ? [] : [{ controllers, mountpoint: mount.mountpoint }];
}

/** A lone name=systemd hierarchy beside cgroup2 is how some hosts run version 2 containers: no controller, no version 1. */
function hasController(hierarchy: CgroupHierarchy): boolean {
  return hierarchy.controllers.some((name) => !name.startsWith('name='));
}

function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_whole, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
