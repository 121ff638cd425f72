import type { Mount, PortMapping, Service } from '../model/project.ts';
import { formatDuration } from '../model/units.ts';

/**
 * What changed from the service a container was made from to the service as it is wanted now, attribute by attribute, in the words of
 * the compose file: "image changed (a:1 → a:2)", "environment.PORT changed". Values of maps are not told, since they may be secret.
 * Empty when they are equal in all that makes a container.
 */
export function serviceDifferences(before: Service, after: Service): readonly string[] {
  return comparedFields.flatMap((field) => describeField[field](before, after));
}

/** The same as one short line; the first few and how many more. */
export function describeDifferences(differences: readonly string[]): string {
  const shown = differences.slice(0, shownDifferences).join(', ');
  return differences.length > shownDifferences ? `${shown} and ${differences.length - shownDifferences} more` : shown;
}

const shownDifferences = 4;
const longestValue = 48;

type FieldDescriber = (before: Service, after: Service) => readonly string[];

/** Fields that only say when or how many (see fingerprintService); a change of theirs needs no new container. */
type UncountedField = 'replicas' | 'dependsOn' | 'profiles' | 'watch' | 'pullPolicy' | 'attach';
type ComparedField = Exclude<keyof Service, UncountedField>;

const describeField: { readonly [Field in ComparedField]: FieldDescriber } = {
  name: value('name', (service) => service.name),
  image: value('image', (service) => service.image),
  containerName: value('container_name', (service) => service.containerName),
  command: whole('command', (service) => service.command),
  entrypoint: whole('entrypoint', (service) => service.entrypoint),
  environment: entries('environment', (service) => service.environment),
  labels: entries('labels', (service) => service.labels),
  annotations: entries('annotations', (service) => service.annotations),
  workingDir: value('working_dir', (service) => service.workingDir),
  user: value('user', (service) => service.user),
  groupAdd: list('group_add', (service) => service.groupAdd),
  hostname: value('hostname', (service) => service.hostname),
  domainname: value('domainname', (service) => service.domainname),
  tty: value('tty', (service) => service.tty),
  stdinOpen: value('stdin_open', (service) => service.stdinOpen),
  init: value('init', (service) => service.init),
  privileged: value('privileged', (service) => service.privileged),
  readOnly: value('read_only', (service) => service.readOnly),
  capAdd: list('cap_add', (service) => service.capAdd),
  capDrop: list('cap_drop', (service) => service.capDrop),
  securityOpt: list('security_opt', (service) => service.securityOpt),
  sysctls: entries('sysctls', (service) => service.sysctls),
  ulimits: list('ulimits', (service) => service.ulimits.map((limit) => `${limit.name}=${limit.soft}:${limit.hard}`)),
  resources: entries('resources', (service) => service.resources),
  oomScoreAdj: value('oom_score_adj', (service) => service.oomScoreAdj),
  shmSize: value('shm_size', (service) => service.shmSize),
  devices: list('devices', (service) =>
    service.devices.map((device) => `${device.source}:${device.target}:${device.permissions}`),
  ),
  cgroupParent: value('cgroup_parent', (service) => service.cgroupParent),
  cgroup: value('cgroup', (service) => service.cgroup),
  pid: value('pid', (service) => service.pid),
  ipc: value('ipc', (service) => service.ipc),
  uts: value('uts', (service) => service.uts),
  usernsMode: value('userns_mode', (service) => service.usernsMode),
  runtime: value('runtime', (service) => service.runtime),
  platform: value('platform', (service) => service.platform),
  restart: value('restart', restartText),
  healthcheck: describeHealthCheck,
  stopSignal: value('stop_signal', (service) => service.stopSignal),
  stopGraceMs: value('stop_grace_period', (service) => formatDuration(service.stopGraceMs)),
  preStop: whole('pre_stop', (service) => service.preStop),
  postStart: whole('post_start', (service) => service.postStart),
  networkMode: value('network_mode', networkModeText),
  networks: describeNetworks,
  ports: list('ports', (service) => service.ports.map(portText)),
  expose: list('expose', (service) => service.expose),
  extraHosts: list('extra_hosts', (service) => service.extraHosts.map((entry) => `${entry.host}=${entry.ip}`)),
  links: list('links', (service) => service.links.map((link) => `${link.service}:${link.alias}`)),
  dns: list('dns', (service) => service.dns),
  dnsSearch: list('dns_search', (service) => service.dnsSearch),
  dnsOpt: list('dns_opt', (service) => service.dnsOpt),
  macAddress: value('mac_address', (service) => service.macAddress),
  mounts: describeMounts,
  configs: whole('configs', (service) => service.configs),
  secrets: whole('secrets', (service) => service.secrets),
  logging: whole('logging', (service) => service.logging),
};

const comparedFields = Object.keys(describeField) as readonly ComparedField[];

/** A single value, shown old and new. */
function value(attribute: string, read: (service: Service) => string | number | boolean | undefined): FieldDescriber {
  return (before, after) => {
    const [old, wanted] = [read(before), read(after)];
    return old === wanted ? [] : [`${attribute} changed (${shorten(old)} → ${shorten(wanted)})`];
  };
}

/** A list of short texts: what left and what came. */
function list(attribute: string, read: (service: Service) => readonly string[]): FieldDescriber {
  return (before, after) => {
    const [old, wanted] = [read(before), read(after)];
    if (sameJson(old, wanted)) return [];
    const gone = old.filter((item) => !wanted.includes(item));
    const added = wanted.filter((item) => !old.includes(item));
    if (gone.length === 0 && added.length === 0) return [`${attribute} changed its order`];
    return [`${attribute} changed (${shorten(words(gone))} → ${shorten(words(added))})`];
  };
}

/** A map: which keys, never which values. */
function entries(attribute: string, read: (service: Service) => object): FieldDescriber {
  return (before, after) => {
    const old = new Map(definedEntries(read(before)));
    const wanted = new Map(definedEntries(read(after)));
    const keys = [...new Set([...old.keys(), ...wanted.keys()])].sort();
    return keys
      .filter((key) => old.get(key) !== wanted.get(key))
      .map((key) => `${attribute}.${key} ${howChanged(old.has(key), wanted.has(key))}`);
  };
}

/** Something compound that is only said to differ. */
function whole(attribute: string, read: (service: Service) => unknown): FieldDescriber {
  return (before, after) => (sameJson(read(before), read(after)) ? [] : [`${attribute} changed`]);
}

function describeHealthCheck(before: Service, after: Service): readonly string[] {
  const [old, wanted] = [before.healthcheck, after.healthcheck];
  if (old === undefined || wanted === undefined)
    return old === wanted ? [] : [`healthcheck ${howChanged(old !== undefined, wanted !== undefined)}`];
  const times = (['intervalMs', 'timeoutMs', 'startPeriodMs', 'startIntervalMs'] as const).filter(
    (key) => old[key] !== wanted[key],
  );
  return [
    ...(sameJson(old.test, wanted.test) ? [] : ['healthcheck.test changed']),
    ...times.map(
      (key) => `healthcheck.${healthTimes[key]} changed (${formatDuration(old[key])} → ${formatDuration(wanted[key])})`,
    ),
    ...(old.retries === wanted.retries ? [] : [`healthcheck.retries changed (${old.retries} → ${wanted.retries})`]),
  ];
}

const healthTimes = {
  intervalMs: 'interval',
  timeoutMs: 'timeout',
  startPeriodMs: 'start_period',
  startIntervalMs: 'start_interval',
} as const;

function describeNetworks(before: Service, after: Service): readonly string[] {
  const old = new Map(before.networks.map((attachment) => [attachment.network, attachment]));
  const wanted = new Map(after.networks.map((attachment) => [attachment.network, attachment]));
  const keys = [...new Set([...old.keys(), ...wanted.keys()])].sort();
  const changed = keys.filter((key) => !sameJson(old.get(key), wanted.get(key)));
  if (changed.length === 0) return sameJson(before.networks, after.networks) ? [] : ['networks changed their order'];
  return changed.map((key) => `networks.${key} ${howChanged(old.has(key), wanted.has(key))}`);
}

function describeMounts(before: Service, after: Service): readonly string[] {
  const old = new Map(before.mounts.map((mount) => [mount.target, mount]));
  const wanted = new Map(after.mounts.map((mount) => [mount.target, mount]));
  const targets = [...new Set([...old.keys(), ...wanted.keys()])].sort();
  const changed = targets.filter((target) => !sameJson(old.get(target), wanted.get(target)));
  if (changed.length === 0) return sameJson(before.mounts, after.mounts) ? [] : ['volumes changed their order'];
  return changed.map(
    (target) => `volumes changed (${shorten(mountText(old.get(target)))} → ${shorten(mountText(wanted.get(target)))})`,
  );
}

function mountText(mount: Mount | undefined): string | undefined {
  if (mount === undefined) return undefined;
  const source = mount.type === 'tmpfs' ? 'tmpfs' : (mount.source ?? 'anonymous');
  return `${source}:${mount.target}${mount.readOnly ? ':ro' : ''}`;
}

function portText(port: PortMapping): string {
  const host = port.hostIp === '' ? '' : `${port.hostIp}:`;
  const published = port.publishedEnd === undefined ? `${port.published}` : `${port.published}-${port.publishedEnd}`;
  const protocol = port.protocol === 'tcp' ? '' : `/${port.protocol}`;
  return `${host}${published}:${port.target}${protocol}${port.name === undefined ? '' : ` (${port.name})`}`;
}

function restartText(service: Service): string {
  const { restart } = service;
  return restart.kind === 'on-failure' && restart.maxAttempts > 0 ? `on-failure:${restart.maxAttempts}` : restart.kind;
}

function networkModeText(service: Service): string {
  return service.networkMode.kind === 'service' ? `service:${service.networkMode.service}` : service.networkMode.kind;
}

function howChanged(wasThere: boolean, isThere: boolean): string {
  if (wasThere && isThere) return 'changed';
  return isThere ? 'added' : 'removed';
}

function words(items: readonly string[] | undefined): string | undefined {
  return items === undefined || items.length === 0 ? undefined : items.join(' ');
}

function shorten(text: string | number | boolean | undefined): string {
  if (text === undefined) return 'none';
  const line = String(text).replace(/\s+/g, ' ');
  return line.length > longestValue ? `${line.slice(0, longestValue - 1)}…` : line;
}

function definedEntries(map: object): [string, unknown][] {
  return Object.entries(map).filter(([, entry]) => entry !== undefined);
}

/** Both sides come from the same loader, so equal values have their keys in an equal order once sorted. */
function sameJson(a: unknown, b: unknown): boolean {
  return sortedJson(a) === sortedJson(b);
}

function sortedJson(node: unknown): string {
  return JSON.stringify(node, (_key, entry: unknown) =>
    entry !== null && typeof entry === 'object' && !Array.isArray(entry)
      ? Object.fromEntries(definedEntries(entry).sort())
      : entry,
  );
}
