import type {
  BindMount,
  Dependency,
  Device,
  FileGrant,
  HealthCheck,
  Hook,
  HostEntry,
  Mount,
  NetworkAttachment,
  NetworkMode,
  PortMapping,
  Resources,
  RestartPolicy,
  Service,
  TmpfsMount,
  Ulimit,
  VolumeMount,
  WatchRule,
} from '../model/project.ts';
import { parseBytes } from '../model/units.ts';
import { rangeOf } from './short-forms.ts';
import { childOf, entriesOf, isNull, itemsOf, type Node, textOf } from './source.ts';
import { flag, milliseconds, pick, pickNumbers, stringMap, texts } from './values.ts';

/** A service of the model from its canonical, completed tree. Everything here has been checked before. */
export function toService(name: string, node: Node): Service {
  const at = (...keys: string[]) => childOf(node, ...keys);
  const healthcheck = toHealthCheck(at('healthcheck'));
  const logging = at('logging');
  return {
    name,
    image: textOf(at('image')) ?? '',
    ...pick(node, textAttributes),
    replicas: Number(textOf(at('scale')) ?? textOf(at('deploy', 'replicas')) ?? 1),
    ...commandOf(at('command'), 'command'),
    ...commandOf(at('entrypoint'), 'entrypoint'),
    environment: stringMap(at('environment'), 'drop'),
    labels: stringMap(at('labels')),
    annotations: stringMap(at('annotations')),
    groupAdd: texts(at('group_add')),
    attach: flag(node, 'attach', true),
    tty: flag(node, 'tty'),
    stdinOpen: flag(node, 'stdin_open'),
    init: flag(node, 'init'),
    privileged: flag(node, 'privileged'),
    readOnly: flag(node, 'read_only'),
    capAdd: texts(at('cap_add')),
    capDrop: texts(at('cap_drop')),
    securityOpt: texts(at('security_opt')),
    sysctls: stringMap(at('sysctls')),
    ulimits: entriesOf(at('ulimits')).map(([key, { value }]) => toUlimit(key, value)),
    resources: toResources(node),
    ...pickNumbers(node, { oom_score_adj: 'oomScoreAdj', shm_size: 'shmSize' }),
    devices: itemsOf(at('devices')).map(toDevice),
    ...cgroupOf(at('cgroup')),
    dependsOn: entriesOf(at('depends_on')).map(([key, { value }]) => toDependency(key, value)),
    restart: toRestartPolicy(node),
    ...(healthcheck && { healthcheck }),
    stopGraceMs: milliseconds(at('stop_grace_period')) ?? 10_000,
    preStop: itemsOf(at('pre_stop')).map(toHook),
    postStart: itemsOf(at('post_start')).map(toHook),
    networkMode: toNetworkMode(textOf(at('network_mode'))),
    networks: attachmentsOf(node),
    ports: itemsOf(at('ports')).map(toPort),
    expose: texts(at('expose')),
    extraHosts: texts(at('extra_hosts')).map(toHostEntry),
    links: texts(at('links')).map((link) => ({ service: link.split(':')[0] ?? link, alias: link.split(':')[1] ?? link })),
    dns: texts(at('dns')).filter((server) => server !== ''),
    dnsSearch: texts(at('dns_search')).filter((domain) => domain !== ''),
    dnsOpt: texts(at('dns_opt')),
    mounts: [...itemsOf(at('volumes')).map(toMount), ...texts(at('tmpfs')).map(toTmpfs)],
    configs: itemsOf(at('configs')).map((grant) => toGrant(grant, '/')),
    secrets: itemsOf(at('secrets')).map((grant) => toGrant(grant, '/run/secrets/')),
    ...(logging &&
      !isNull(logging) && {
        logging: { ...pick(logging, { driver: 'driver' }), options: stringMap(childOf(logging, 'options')) },
      }),
    watch: itemsOf(at('develop', 'watch')).map(toWatchRule),
    profiles: texts(at('profiles')),
  };
}

const textAttributes = {
  container_name: 'containerName',
  working_dir: 'workingDir',
  user: 'user',
  hostname: 'hostname',
  domainname: 'domainname',
  cgroup_parent: 'cgroupParent',
  pid: 'pid',
  ipc: 'ipc',
  uts: 'uts',
  userns_mode: 'usernsMode',
  runtime: 'runtime',
  platform: 'platform',
  pull_policy: 'pullPolicy',
  stop_signal: 'stopSignal',
  mac_address: 'macAddress',
} as const;

function commandOf<Key extends 'command' | 'entrypoint'>(node: Node | undefined, key: Key): { [K in Key]?: readonly string[] } {
  const found: { [K in Key]?: readonly string[] } = {};
  if (node?.kind === 'list') found[key] = texts(node);
  return found;
}

function cgroupOf(node: Node | undefined): { cgroup?: 'host' | 'private' } {
  const text = textOf(node);
  return text === 'host' || text === 'private' ? { cgroup: text } : {};
}

function toUlimit(name: string, node: Node): Ulimit {
  const both = textOf(node);
  return { name, soft: Number(both ?? textOf(childOf(node, 'soft'))), hard: Number(both ?? textOf(childOf(node, 'hard'))) };
}

/** From the service's own attributes, or else from deploy.resources. */
function toResources(node: Node): Resources {
  const numbers = {
    cpus: [['cpus'], ['deploy', 'resources', 'limits', 'cpus']],
    cpuShares: [['cpu_shares']],
    cpuPeriodUs: [['cpu_period']],
    cpuQuotaUs: [['cpu_quota']],
    memoryBytes: [['mem_limit'], ['deploy', 'resources', 'limits', 'memory']],
    memoryReservationBytes: [['mem_reservation'], ['deploy', 'resources', 'reservations', 'memory']],
    memorySwapBytes: [['memswap_limit']],
    memorySwappiness: [['mem_swappiness']],
    pids: [['pids_limit'], ['deploy', 'resources', 'limits', 'pids']],
  } as const;
  const found: { -readonly [Key in keyof typeof numbers]?: number } = {};
  for (const key of Object.keys(numbers) as (keyof typeof numbers)[]) {
    const value = firstNumber(node, numbers[key]);
    if (value !== undefined) found[key] = value;
  }
  return { ...found, ...pick(node, { cpuset: 'cpuset' }), ...(flag(node, 'oom_kill_disable') && { oomKillDisable: true }) };
}

/** Zero means "without a limit" for all of these, as in docker. */
function firstNumber(node: Node, paths: readonly (readonly string[])[]): number | undefined {
  const text = paths.map((path) => textOf(childOf(node, ...path))).find((found) => found !== undefined);
  const value = text === undefined ? 0 : Number(text);
  return value === 0 ? undefined : value;
}

function toDevice(node: Node): Device {
  const source = textOf(childOf(node, 'source')) ?? '';
  return {
    source,
    target: textOf(childOf(node, 'target')) ?? source,
    permissions: textOf(childOf(node, 'permissions')) ?? 'rwm',
  };
}

function toDependency(service: string, node: Node): Dependency {
  const condition = textOf(childOf(node, 'condition'));
  return {
    service,
    condition: condition === 'service_healthy' || condition === 'service_completed_successfully' ? condition : 'service_started',
    restart: flag(node, 'restart'),
    required: flag(node, 'required', true),
  };
}

function toRestartPolicy(node: Node): RestartPolicy {
  const written = textOf(childOf(node, 'restart'));
  const policy = childOf(node, 'deploy', 'restart_policy');
  if (written !== undefined && written !== '') return restartPolicyIn(written);
  if (!policy || isNull(policy)) return { kind: 'no' };
  const condition = textOf(childOf(policy, 'condition')) ?? 'any';
  if (condition === 'on-failure')
    return { kind: 'on-failure', maxAttempts: Number(textOf(childOf(policy, 'max_attempts')) ?? 0) };
  return { kind: condition === 'any' ? 'always' : 'no' };
}

function restartPolicyIn(written: string): RestartPolicy {
  const [kind, attempts = '0'] = written.split(':');
  if (kind === 'on-failure') return { kind, maxAttempts: Number(attempts) };
  return { kind: kind === 'always' || kind === 'unless-stopped' ? kind : 'no' };
}

/** Defaults of docker: 30s, 30s, 3 retries, no start period, 5s; zero means the default. */
function toHealthCheck(node: Node | undefined): HealthCheck | undefined {
  const test = texts(childOf(node, 'test'));
  if (!node || test.length === 0 || test[0] === 'NONE' || flag(node, 'disable')) return undefined;
  const time = (key: string, fallback: number) => milliseconds(childOf(node, key)) || fallback;
  return {
    test,
    intervalMs: time('interval', 30_000),
    timeoutMs: time('timeout', 30_000),
    retries: Number(textOf(childOf(node, 'retries')) ?? 0) || 3,
    startPeriodMs: time('start_period', 0),
    startIntervalMs: time('start_interval', 5_000),
  };
}

function toHook(node: Node): Hook {
  return {
    command: texts(childOf(node, 'command')),
    ...pick(node, { user: 'user', working_dir: 'workingDir' }),
    privileged: flag(node, 'privileged'),
    environment: stringMap(childOf(node, 'environment'), 'drop'),
  };
}

function toNetworkMode(text: string | undefined): NetworkMode {
  if (text === 'none' || text === 'host') return { kind: text };
  return text?.startsWith('service:') ? { kind: 'service', service: text.slice(8) } : { kind: 'bridge' };
}

function attachmentsOf(node: Node): NetworkAttachment[] {
  // docker's own bridge is not there; the project's default network does the same.
  if (textOf(childOf(node, 'network_mode')) === 'bridge')
    return [{ network: 'default', aliases: [], priority: 0, gwPriority: 0 }];
  return entriesOf(childOf(node, 'networks')).map(([network, { value }]) => ({
    network,
    aliases: texts(childOf(value, 'aliases')),
    ...pick(value, {
      ipv4_address: 'ipv4Address',
      ipv6_address: 'ipv6Address',
      mac_address: 'macAddress',
      interface_name: 'interfaceName',
    }),
    priority: Number(textOf(childOf(value, 'priority')) ?? 0),
    gwPriority: Number(textOf(childOf(value, 'gw_priority')) ?? 0),
  }));
}

function toPort(node: Node): PortMapping {
  const [first, last] = rangeOf(textOf(childOf(node, 'published')) ?? '') ?? [0, 0];
  const protocol = textOf(childOf(node, 'protocol'));
  return {
    target: Number(textOf(childOf(node, 'target'))),
    published: first,
    ...(last > first && { publishedEnd: last }),
    hostIp: textOf(childOf(node, 'host_ip')) ?? '',
    protocol: protocol === 'udp' || protocol === 'sctp' ? protocol : 'tcp',
    ...pick(node, { name: 'name' }),
  };
}

function toHostEntry(line: string): HostEntry {
  const equals = line.indexOf('=');
  return { host: line.slice(0, equals), ip: line.slice(equals + 1) };
}

function toMount(node: Node): Mount {
  const type = textOf(childOf(node, 'type'));
  const common = { target: textOf(childOf(node, 'target')) ?? '', readOnly: flag(node, 'read_only') };
  if (type === 'bind') return toBind(node, common);
  if (type === 'tmpfs') return toLongTmpfs(node, common);
  const options = childOf(node, 'volume');
  const mount: VolumeMount = {
    type: 'volume',
    ...common,
    noCopy: flag(options, 'nocopy'),
    ...(options && pick(options, { subpath: 'subpath' })),
  };
  const source = textOf(childOf(node, 'source'));
  return source ? { ...mount, source } : mount;
}

function toBind(node: Node, common: { target: string; readOnly: boolean }): BindMount {
  const options = childOf(node, 'bind');
  const recursive = textOf(childOf(options, 'recursive')) as BindMount['recursive'];
  return {
    type: 'bind',
    source: textOf(childOf(node, 'source')) ?? '',
    ...common,
    createHostPath: flag(options, 'create_host_path', true),
    ...(options && pick(options, { propagation: 'propagation' })),
    ...(recursive && { recursive }),
  };
}

function toLongTmpfs(node: Node, common: { target: string; readOnly: boolean }): TmpfsMount {
  const size = Number(textOf(childOf(node, 'tmpfs', 'size')) ?? 0);
  const mode = textOf(childOf(node, 'tmpfs', 'mode'));
  return {
    type: 'tmpfs',
    ...common,
    ...(size > 0 && { sizeBytes: size }),
    ...(mode !== undefined && { mode: Number.parseInt(mode, 8) }),
    options: [],
  };
}

/** The short form: PATH[:OPTION,…]. */
function toTmpfs(written: string): TmpfsMount {
  const colon = written.indexOf(':');
  const options =
    colon === -1
      ? []
      : written
          .slice(colon + 1)
          .split(',')
          .filter((option) => option !== '');
  const optionValue = (key: string) => options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1);
  const size = parseBytes(optionValue('size') ?? '');
  const mode = optionValue('mode');
  return {
    type: 'tmpfs',
    target: colon === -1 ? written : written.slice(0, colon),
    readOnly: options.includes('ro'),
    ...(size !== undefined && { sizeBytes: size }),
    ...(mode !== undefined && /^[0-7]+$/.test(mode) && { mode: Number.parseInt(mode, 8) }),
    options: options.filter(
      (option) => !/^(size=|mode=|ro$|rw$)/.test(option) || (option.startsWith('size=') && size === undefined),
    ),
  };
}

/** `folder` is where a relative target starts, and the default one lies. */
function toGrant(node: Node, folder: string): FileGrant {
  const source = textOf(childOf(node, 'source')) ?? '';
  const target = textOf(childOf(node, 'target')) || source;
  const mode = textOf(childOf(node, 'mode'));
  return {
    source,
    target: target.startsWith('/') ? target : `${folder}${target}`,
    ...pick(node, { uid: 'uid', gid: 'gid' }),
    ...(mode !== undefined && { mode: Number.parseInt(mode, 8) }),
  };
}

function toWatchRule(node: Node): WatchRule {
  const exec = childOf(node, 'exec');
  return {
    path: textOf(childOf(node, 'path')) ?? '',
    action: (textOf(childOf(node, 'action')) ?? 'sync') as WatchRule['action'],
    ...pick(node, { target: 'target' }),
    ignore: texts(childOf(node, 'ignore')),
    include: texts(childOf(node, 'include')),
    initialSync: flag(node, 'initial_sync'),
    ...(exec && { exec: toHook(exec) }),
  };
}
