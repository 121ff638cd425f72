import { TscomposeError } from '../errors.ts';
import type { BindMount, Service, TmpfsMount } from '../model/project.ts';
import type { OciMount } from './spec.ts';

/** What the mounts of a service need to know beside the service. */
export interface MountInput {
  readonly service: Service;
  /** Host directories of the image that is no image ("host:/usr"): bound read-only to the same path. */
  readonly hostBinds: readonly string[];
  /** Where a volume's content is on the host, by the mount's target; a subpath is already resolved. */
  readonly mountSources: ReadonlyMap<string, string>;
  /** The container's own files for /etc; absent ones are left to the image. */
  readonly etc: { readonly hosts?: string; readonly resolvConf?: string; readonly hostname?: string };
  /** mount_setattr(2), since 5.12, can make a bind read-only with all that is mounted below it. */
  readonly recursiveReadOnly: boolean;
  /** /sys and /sys/fs/cgroup. */
  readonly writableSystem: boolean;
  readonly writableCgroups: boolean;
  /** The host's own ipc namespace: then also its shared memory. */
  readonly hostIpc: boolean;
}

/**
 * All mounts in the order they are made: the image's own, the standard ones, then the service's from the root down, so that
 * a mount never hides one that lies inside it. A service's mount takes the place of a standard one on the same target.
 * @throws VALUE_INVALID for a target that no container may have
 */
export function renderMounts(input: MountInput): readonly OciMount[] {
  const own = ownMounts(input);
  const targets = own.map((mount) => mount.destination);
  const standard = [...standardMounts(input), ...etcMounts(input)].filter((mount) => !targets.includes(mount.destination));
  return [...input.hostBinds.map((path) => hostBind(path, input)), ...standard, ...own];
}

function hostBind(path: string, input: MountInput): OciMount {
  return { destination: path, type: 'bind', source: path, options: ['rbind', readOnlyWord(input, undefined), 'rprivate'] };
}

const defaultShmBytes = 64 * 1024 * 1024;

/** Docker's (moby oci/defaults): tmpfs for /dev, own devpts, shared memory and message queues, read-only sysfs and cgroups. */
function standardMounts(input: MountInput): readonly OciMount[] {
  const locked = ['nosuid', 'noexec', 'nodev'];
  const size = input.service.shmSize ?? defaultShmBytes;
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: locked },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...locked, input.writableSystem ? 'rw' : 'ro'] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...locked, input.writableCgroups ? 'rw' : 'ro'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: locked },
    input.hostIpc
      ? { destination: '/dev/shm', type: 'bind', source: '/dev/shm', options: ['rbind', 'rprivate'] }
      : { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...locked, 'mode=1777', `size=${size}`] },
  ];
}

function etcMounts(input: MountInput): readonly OciMount[] {
  const { hosts, resolvConf, hostname } = input.etc;
  const rows = [
    ['/etc/hosts', hosts],
    ['/etc/resolv.conf', resolvConf],
    ['/etc/hostname', hostname],
  ] as const;
  return rows.flatMap(([destination, source]) =>
    source === undefined ? [] : [{ destination, type: 'bind', source, options: ['bind', 'rprivate'] }],
  );
}

function ownMounts(input: MountInput): readonly OciMount[] {
  const mounts = input.service.mounts.map((mount): OciMount => {
    const destination = checkedTarget(mount.target, input.service.name);
    if (mount.type === 'tmpfs') return { destination, type: 'tmpfs', source: 'tmpfs', options: tmpfsOptions(mount) };
    if (mount.type === 'bind') return { destination, type: 'bind', source: mount.source, options: bindOptions(mount, input) };
    const source = input.mountSources.get(mount.target);
    if (source === undefined) throw new TscomposeError('CORE_FAILED', `no place was given for the volume at ${mount.target}`);
    return {
      destination,
      type: 'bind',
      source,
      options: ['rbind', mount.readOnly ? readOnlyWord(input, undefined) : 'rw', 'rprivate'],
    };
  });
  return mounts.sort((one, other) => depth(one.destination) - depth(other.destination));
}

function depth(path: string): number {
  return path.split('/').length;
}

/**
 * Below /proc only files that lxcfs and its kin imitate (CVE-2019-16884, CVE-2019-19921): runtime-spec leaves the list to the
 * runtime.
 */
const allowedInProc = [
  'cpuinfo',
  'meminfo',
  'stat',
  'uptime',
  'loadavg',
  'diskstats',
  'swaps',
  'slabinfo',
  'sys/kernel/ns_last_pid',
  'sys/crypto/fips_enabled',
].map((name) => `/proc/${name}`);

function checkedTarget(target: string, service: string): string {
  const path = normalized(target);
  const isInProc = path === '/proc' || path.startsWith('/proc/');
  if (target.startsWith('/') && path !== '/' && (!isInProc || allowedInProc.includes(path))) return path;
  const hint = isInProc ? "the kernel's process files must stay visible as they are" : 'use an absolute path below /';
  throw new TscomposeError('VALUE_INVALID', `nothing can be mounted at "${target}" in a container`, { service, hint });
}

function normalized(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Docker's defaults for tmpfs, which the user's words come after and may undo ("exec"). */
function tmpfsOptions(mount: TmpfsMount): readonly string[] {
  return [
    'nosuid',
    'nodev',
    'noexec',
    ...(mount.options.some((option) => option.startsWith('mode=')) ? [] : [`mode=${(mount.mode ?? 0o1777).toString(8)}`]),
    ...(mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`]),
    ...(mount.readOnly ? ['ro'] : []),
    ...mount.options,
  ];
}

function bindOptions(mount: BindMount, input: MountInput): readonly string[] {
  const kind = mount.recursive === 'disabled' ? 'bind' : 'rbind';
  return [kind, mount.readOnly ? readOnlyWord(input, mount) : 'rw', mount.propagation || 'rprivate'];
}

/** Since docker 25 "read-only" holds for what is mounted below as well, unless `bind.recursive` says otherwise. */
function readOnlyWord(input: MountInput, mount: BindMount | undefined): string {
  if (mount?.recursive === 'readonly') return 'rro';
  const flat = mount?.recursive === 'disabled' || mount?.recursive === 'writable';
  return input.recursiveReadOnly && !flat ? 'rro' : 'ro';
}
