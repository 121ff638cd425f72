import { TscomposeError } from '../errors.ts';
import type { Service } from '../model/project.ts';
import { grantedCapabilities } from './capabilities.ts';
import { defaultPidsLimit } from './cgroup.ts';
import { type DeviceNode, serviceDevices } from './devices.ts';
import { renderMounts } from './mounts.ts';
import { renderRlimit } from './rlimits.ts';
import { kernelAtLeast, parseSeccompFile, type SeccompHost } from './seccomp-file.ts';
import { defaultSeccompProfile } from './seccomp-profile.ts';
import { type SecurityOptions, securityOptions } from './security.ts';
import type { OciLinux, OciMount, OciNamespace, OciProcess, OciResources, OciSeccomp, OciSpec } from './spec.ts';
import { checkSysctls } from './sysctls.ts';
import type { Architecture } from './syscalls.ts';
import type { ResolvedUser } from './users.ts';

/** What an image says about the process; the same names as in storage. */
export interface ImageConfig {
  /** "NAME=value" */
  readonly environment: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly stopSignal?: string;
}

/** Everything a bundle is made of; all look-ups are done, so that rendering has no effects. */
export interface BundleInput {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** "shop-api-1" */
  readonly name: string;
  readonly hostname: string;
  readonly service: Service;
  readonly image: ImageConfig;
  /** From resolveUser with `service.user ?? image.user`. */
  readonly user: ResolvedUser;
  /** Host directory the root file system is mounted at. */
  readonly rootPath: string;
  readonly hostBinds: readonly string[];
  /** Host path of each volume's content, by the mount's target. */
  readonly mountSources: ReadonlyMap<string, string>;
  readonly etc: { readonly hosts?: string; readonly resolvConf?: string; readonly hostname?: string };
  readonly network: 'new' | 'host' | { readonly join: string };
  /** Namespaces of other containers to share, as paths; absent: its own, or the host's where the service says "host". */
  readonly join?: { readonly pid?: string; readonly ipc?: string };
  readonly cgroupPath: string;
  /** From findDeviceNodes. */
  readonly deviceNodes: readonly DeviceNode[];
  /** From findThrottlePaths. */
  readonly throttlePaths: readonly string[];
  readonly architecture: Architecture;
  /** uname -r */
  readonly kernelRelease: string;
  /** Text of the file that `security_opt: seccomp=FILE` names. */
  readonly seccompFile?: string;
}

/**
 * config.json of a container: docker's confinement or tighter.
 * @throws VALUE_INVALID for what cannot be had: an unknown capability, a sysctl of the host, an empty command …
 */
export function renderBundle(input: BundleInput): OciSpec {
  const { service } = input;
  const security = securityOptions(service);
  const capabilities = grantedCapabilities(service.capAdd, service.capDrop, service.privileged);
  const mounts = mountsOf(input, security);
  return {
    ociVersion: '1.3.0',
    process: processOf(input, security, capabilities),
    root: { path: input.rootPath, readonly: service.readOnly },
    ...(service.uts === 'host' ? {} : { hostname: input.hostname }),
    ...(service.domainname === undefined ? {} : { domainname: service.domainname }),
    mounts,
    annotations: { ...service.annotations },
    linux: linuxOf(input, security, capabilities, mounts),
  };
}

// The process

function processOf(input: BundleInput, security: SecurityOptions, capabilities: readonly string[]): OciProcess {
  const { service, user } = input;
  // Only root starts with capabilities in force: execve takes them from anybody else anyway, but for an init between it does
  // not.
  const inForce = user.uid === 0 ? capabilities : [];
  return {
    terminal: service.tty,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups, umask: 0o022 },
    args: processArgs(service, input.image),
    env: processEnv(input),
    cwd: service.workingDir || input.image.workingDir || '/',
    capabilities: { bounding: capabilities, effective: inForce, permitted: inForce, inheritable: [], ambient: [] },
    rlimits: service.ulimits.map(renderRlimit),
    noNewPrivileges: security.noNewPrivileges,
    ...(service.oomScoreAdj === undefined ? {} : { oomScoreAdj: service.oomScoreAdj }),
  };
}

/** A service's entrypoint also sets the image's command aside: compose specification, "entrypoint". @throws VALUE_INVALID */
export function processArgs(service: Service, image: ImageConfig): readonly string[] {
  const command = service.command ?? (service.entrypoint === undefined ? image.command : []);
  const args = [...(service.entrypoint ?? image.entrypoint), ...command];
  if (args.length > 0 && args[0] !== '') return args;
  throw new TscomposeError(
    'VALUE_INVALID',
    `service "${service.name}" has no command, and neither has image "${service.image}"`,
    {
      service: service.name,
      hint: 'add "command:" to the service',
    },
  );
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Later ones win: our defaults, the image's, the service's. A value set to nothing stays so. */
function processEnv(input: BundleInput): readonly string[] {
  const variables = new Map<string, string>([
    ['PATH', defaultPath],
    ['HOSTNAME', input.hostname],
  ]);
  if (input.service.tty) variables.set('TERM', 'xterm');
  for (const entry of input.image.environment) setEntry(variables, entry);
  for (const [name, value] of Object.entries(input.service.environment)) variables.set(name, value);
  if (!variables.get('HOME')) variables.set('HOME', input.user.home);
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

function setEntry(variables: Map<string, string>, entry: string): void {
  const end = entry.indexOf('=');
  if (end > 0) variables.set(entry.slice(0, end), entry.slice(end + 1));
}

// Mounts

function mountsOf(input: BundleInput, security: SecurityOptions): readonly OciMount[] {
  return renderMounts({
    service: input.service,
    hostBinds: input.hostBinds,
    mountSources: input.mountSources,
    etc: input.etc,
    recursiveReadOnly: kernelAtLeast(input.kernelRelease, '5.12'),
    writableSystem: input.service.privileged,
    writableCgroups: security.writableCgroups,
    hostIpc: input.service.ipc === 'host',
  });
}

// The kernel's part

function linuxOf(
  input: BundleInput,
  security: SecurityOptions,
  capabilities: readonly string[],
  mounts: readonly OciMount[],
): OciLinux {
  const { service } = input;
  const { devices, rules } = serviceDevices(service, input.deviceNodes);
  const namespaces = namespacesOf(input);
  const seccomp = seccompOf(input, security, capabilities);
  const own = { network: hasOwn(namespaces, 'network'), ipc: hasOwn(namespaces, 'ipc') };
  return {
    namespaces,
    devices,
    cgroupsPath: input.cgroupPath,
    resources: { ...resourcesOf(service), devices: rules },
    ...propagationOf(mounts),
    ...(seccomp ? { seccomp } : {}),
    sysctl: { ...checkSysctls(service.sysctls, own, service.name) },
    maskedPaths: security.openSystemPaths ? [] : [...maskedPaths, ...input.throttlePaths],
    readonlyPaths: security.openSystemPaths ? [] : readonlyPaths,
  };
}

function namespacesOf(input: BundleInput): readonly OciNamespace[] {
  const { service, network, join } = input;
  const namespaces: OciNamespace[] = [{ type: 'mount' }];
  if (service.uts !== 'host') namespaces.push({ type: 'uts' });
  if (service.pid !== 'host') namespaces.push({ type: 'pid', ...(join?.pid === undefined ? {} : { path: join.pid }) });
  if (service.ipc !== 'host') namespaces.push({ type: 'ipc', ...(join?.ipc === undefined ? {} : { path: join.ipc }) });
  if (network !== 'host') namespaces.push({ type: 'network', ...(network === 'new' ? {} : { path: network.join }) });
  if (service.cgroup !== 'host') namespaces.push({ type: 'cgroup' });
  return namespaces;
}

function hasOwn(namespaces: readonly OciNamespace[], type: OciNamespace['type']): boolean {
  return namespaces.some((namespace) => namespace.type === type && namespace.path === undefined);
}

function seccompOf(input: BundleInput, security: SecurityOptions, capabilities: readonly string[]): OciSeccomp | undefined {
  if (security.seccomp.kind === 'unconfined') return undefined;
  if (security.seccomp.kind === 'default') return defaultSeccompProfile(capabilities, input.architecture);
  const host: SeccompHost = { capabilities, architecture: input.architecture, kernelRelease: input.kernelRelease };
  return parseSeccompFile(input.seccompFile ?? '', security.seccomp.path, host);
}

/** A bind that gives mounts back to the host needs a root that takes part in it: mount_namespaces(7). */
function propagationOf(mounts: readonly OciMount[]): Pick<OciLinux, 'rootfsPropagation'> {
  const words = mounts.flatMap((mount) => mount.options);
  if (words.includes('shared') || words.includes('rshared')) return { rootfsPropagation: 'rshared' };
  return { rootfsPropagation: 'rslave' };
}

/** Bounds as docker derives them; `cpus` is a share of a period of 100 ms, 0 processes are without bound. */
export function resourcesOf(service: Service): OciResources {
  const { resources } = service;
  return {
    pids: { limit: resources.pids === undefined ? defaultPidsLimit : resources.pids || -1 },
    ...nonEmpty('memory', {
      limit: resources.memoryBytes,
      reservation: resources.memoryReservationBytes,
      swap: resources.memorySwapBytes || (resources.memoryBytes === undefined ? undefined : resources.memoryBytes * 2),
      swappiness: resources.memorySwappiness,
      disableOOMKiller: resources.oomKillDisable || undefined,
    }),
    ...nonEmpty('cpu', {
      shares: resources.cpuShares || undefined,
      period: resources.cpus ? cpuPeriodUs : resources.cpuPeriodUs,
      quota: resources.cpus ? Math.round(resources.cpus * cpuPeriodUs) : resources.cpuQuotaUs,
      cpus: resources.cpuset || undefined,
    }),
  };
}

const cpuPeriodUs = 100_000;

type Defined<T> = { readonly [K in keyof T]?: NonNullable<T[K]> };

function nonEmpty<K extends string, T extends object>(key: K, values: T): { readonly [P in K]?: Defined<T> } {
  const defined = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
  return (Object.keys(defined).length === 0 ? {} : { [key]: defined }) as { readonly [P in K]?: Defined<T> };
}

/**
 * Docker's lists (moby oci/defaults): what tells about or changes the whole machine. GHSA-6fw5-f8r9-fgfm added interrupts and
 * thermal_throttle.
 */
const maskedPaths: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

const readonlyPaths: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
