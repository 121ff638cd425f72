import { build, deploy, develop, gpuRequest, hook, preStartHook } from './nested-attributes.ts';
import {
  anything,
  boolean,
  bytes,
  duration,
  either,
  type Fields,
  field,
  integer,
  keyValues,
  later,
  listOf,
  mapOf,
  number,
  object,
  oneOf,
  oneOrList,
  pattern,
  required,
  type Shape,
  text,
  textual,
  andThen,
} from './shapes.ts';
import {
  allOrList,
  command,
  device,
  envFile,
  extraHosts,
  grant,
  healthTest,
  namesOrMap,
  port,
  ulimit,
  volume,
} from './short-forms.ts';
import { type Mark, mapping, mappingOf, type Node, scalar, textOf } from './source.ts';

/**
 * Every attribute of a service that the compose specification knows: its forms, its meaning, and whether this version acts on
 * it (compose "services"). The JSON Schema and the warnings are made from this table.
 */
export const serviceFields: Fields = {
  annotations: field(keyValues(), 'Annotations of the OCI bundle'),
  attach: field(boolean, 'Show its output in `up`; default true'),
  build: {
    shape: build,
    description: 'How to build the image',
    support: { note: 'is not supported yet: the image is not built' },
  },
  blkio_config: later(anything, 'Limits and weights of block devices'),
  cap_add: field(listOf(text), 'Capabilities to add; ALL for all'),
  cap_drop: field(listOf(text), 'Capabilities to take away; ALL for all'),
  cgroup: field(oneOf('host', 'private'), 'The cgroup namespace'),
  cgroup_parent: field(text, 'The cgroup to stand below'),
  command: field(command, "The command; overrides the image's"),
  configs: field(listOf(grant), 'Configs the service may read'),
  container_name: field(
    pattern(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/, 'a name of letters, digits and _ . -'),
    'A fixed name for the container',
  ),
  cpu_count: later(integer(0), 'Number of processors (Windows)'),
  cpu_percent: later(number(0), 'Share of the processors (Windows)'),
  cpu_period: field(microseconds(), 'Length of a scheduling period in microseconds'),
  cpu_quota: field(microseconds(), 'Processor time within a period in microseconds'),
  cpu_rt_period: later(microseconds(), 'Period of real-time scheduling'),
  cpu_rt_runtime: later(microseconds(), 'Time for real-time scheduling within a period'),
  cpu_shares: field(integer(0), 'Weight against other containers; 1024 is usual'),
  cpus: field(number(0), 'How many processors it may use; fractions are allowed'),
  cpuset: field(textual, 'The processors it may run on: "0-3", "0,1"'),
  credential_spec: later(
    object({ config: field(text, 'A config'), file: field(text, 'A file'), registry: field(text, 'A registry key') }),
    'Credentials of a Windows service',
  ),
  depends_on: field(namesOrMap(dependency(), startedDependency, true), 'Services to start before, and what to wait for'),
  deploy: field(deploy, 'How many, with which resources, how restarted'),
  develop: field(develop, 'What `watch` does when files change'),
  device_cgroup_rules: later(listOf(text), 'Rules of the device cgroup'),
  devices: field(listOf(device), 'Devices of the host'),
  dns: field(oneOrList(text), 'Name servers to ask'),
  dns_opt: field(listOf(text), 'Options for resolv.conf'),
  dns_search: field(oneOrList(text), 'Domains to search'),
  domainname: field(text, 'The domain name'),
  entrypoint: field(command, "What runs the command; overrides the image's"),
  env_file: field(oneOrList(envFile), 'Files with variables; `environment` wins'),
  environment: field(keyValues(), 'Environment variables; a name without a value takes the one of your shell'),
  expose: field(listOf(exposedPort()), 'Ports other services use; for people'),
  extends: field(extendsShape(), 'Another service to begin from'),
  external_links: later(listOf(text), 'Containers outside the project'),
  extra_hosts: field(extraHosts, 'Further lines of /etc/hosts'),
  gpus: later(allOrList(gpuRequest), 'Graphics processors'),
  group_add: field(listOf(textual), 'Further groups of the user'),
  healthcheck: field(healthcheck(), 'How to tell whether it is healthy'),
  hostname: field(text, 'The host name'),
  image: field(text, 'The image: a reference, host:/usr, rootfs:DIR, oci:DIR …'),
  init: field(boolean, 'Run a tiny init as the first process'),
  ipc: field(text, 'The IPC namespace: private, host, shareable, service:NAME'),
  isolation: later(text, 'Isolation technology (Windows)'),
  label_file: field(oneOrList(text), 'Files with labels; `labels` wins'),
  labels: field(keyValues(), 'Labels'),
  links: field(listOf(text), 'Services to reach under another name: SERVICE[:ALIAS]'),
  logging: field(
    object({
      driver: field(text, 'Where to: json-file, local, none …'),
      options: field(mapOf(textual, { nullable: true }), "The driver's options"),
    }),
    'What happens to the output',
  ),
  mac_address: field(text, 'Address of the first network interface'),
  mem_limit: field(bytes, 'Limit of the memory'),
  mem_reservation: field(bytes, 'Memory that is kept for it'),
  mem_swappiness: field(asText(integer(0, 100)), 'How readily its memory is swapped out (cgroup v1)'),
  memswap_limit: field(bytes, 'Limit of memory plus swap; -1 for none'),
  models: later(
    namesOrMap(
      object({ endpoint_var: field(text, 'Variable for the address'), model_var: field(text, 'Variable for the name') }),
      nothing,
      true,
    ),
    'AI models',
  ),
  network_mode: field(text, 'none, host, bridge or service:NAME instead of networks'),
  networks: field(namesOrMap(attachment(), nothing, true), 'Networks to attach to'),
  oom_kill_disable: field(boolean, 'Do not kill it when the memory runs out (cgroup v1)'),
  oom_score_adj: field(integer(-1000, 1000), 'How likely it is killed when the memory runs out'),
  pid: field(text, 'The process namespace: host, service:NAME'),
  pids_limit: field(integer(-1), 'How many processes it may have; -1 for any number'),
  platform: later(text, 'The platform: linux/amd64'),
  ports: field(listOf(port), 'Ports to publish on the host'),
  post_start: later(listOf(hook), 'Commands to run after it has started'),
  pre_start: later(listOf(preStartHook), 'Containers to run before it starts'),
  pre_stop: later(listOf(hook), 'Commands to run before it is stopped'),
  privileged: field(boolean, 'Give it everything the host has'),
  profiles: field(
    listOf(pattern(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, 'a name of letters, digits and _ . -')),
    'Start it only when one of these profiles is active',
  ),
  provider: later(
    object({ type: required(text, 'The program'), options: field(mapOf(anything), 'Its options') }),
    'A program that provides the service',
  ),
  pull_policy: later(
    pattern(
      /^(always|never|missing|if_not_present|build|refresh|daily|weekly|every_(\d+[wdhms])+)$/,
      'always, never, missing, build, daily, weekly or every_<duration>',
    ),
    'When to pull the image',
  ),
  pull_refresh_after: later(text, 'How old a pulled image may grow'),
  read_only: field(boolean, 'Make the root filesystem read-only'),
  restart: field(restartPolicy(), 'When to start it again: "no", always, on-failure[:N], unless-stopped'),
  runtime: later(text, 'Another OCI runtime: runc, crun, kata …'),
  scale: field(integer(0), 'How many containers'),
  secrets: field(listOf(grant), 'Secrets the service may read'),
  security_opt: field(listOf(text), 'no-new-privileges, seccomp=…, apparmor=…, label=…'),
  shm_size: field(bytes, 'Size of /dev/shm; default 64m'),
  stdin_open: field(boolean, 'Keep standard input open'),
  stop_grace_period: field(duration, 'Time between the stop signal and SIGKILL; default 10s'),
  stop_signal: field(textual, 'The signal that stops it; default SIGTERM'),
  storage_opt: later(mapOf(textual), 'Options of its root filesystem'),
  sysctls: field(keyValues(), 'Kernel parameters of its namespaces'),
  tmpfs: field(oneOrList(text), 'Memory filesystems: PATH[:OPTIONS]'),
  tty: field(boolean, 'Give it a terminal'),
  ulimits: field(mapOf(ulimit), 'Resource limits'),
  use_api_socket: later(boolean, 'Access to the API of the engine'),
  user: field(textual, 'User, or user:group, as names or numbers'),
  userns_mode: field(text, 'The user namespace: host'),
  uts: field(text, 'The host name namespace: host'),
  volumes: field(listOf(volume), 'What to mount'),
  volumes_from: later(listOf(text), 'Services whose mounts it shares'),
  working_dir: field(text, 'Directory the command starts in'),
};

export const service: Shape = object(serviceFields);

function nothing(at: Mark): Node {
  return scalar(null, at);
}

function startedDependency(at: Mark): Node {
  return mappingOf({ condition: scalar('service_started', at), required: scalar(true, at) }, at);
}

function dependency(): Shape {
  return object({
    condition: field(oneOf('service_started', 'service_healthy', 'service_completed_successfully'), 'What to wait for'),
    restart: field(boolean, 'Restart this service when that one is restarted'),
    required: field(boolean, 'false: only warn when it is missing; default true'),
  });
}

function attachment(): Shape {
  return object({
    aliases: field(listOf(text), 'Further names on this network'),
    driver_opts: later(mapOf(textual), 'Options of the driver'),
    gw_priority: field(integer(), 'The highest one is the default route'),
    interface_name: field(pattern(/^[^/\s]{1,15}$/, 'a name of up to 15 characters'), 'Name of the interface in the container'),
    ipv4_address: field(text, 'A fixed address'),
    ipv6_address: field(text, 'A fixed IPv6 address'),
    link_local_ips: later(listOf(text), 'Link-local addresses'),
    mac_address: field(text, 'Address of the interface'),
    priority: field(integer(), 'The highest one is attached first'),
  });
}

function healthcheck(): Shape {
  return object({
    disable: field(boolean, 'Switch the check off'),
    interval: field(duration, 'Between two checks; default 30s'),
    retries: field(integer(0), 'Failures in a row until unhealthy; default 3'),
    start_interval: field(duration, 'Between two checks while it starts; default 5s'),
    start_period: field(duration, 'Time to start, in which failures do not count'),
    test: field(healthTest, 'The command: a text for the shell, or ["CMD", …], ["CMD-SHELL", …], ["NONE"]'),
    timeout: field(duration, 'When a check counts as failed; default 30s'),
  });
}

function restartPolicy(): Shape {
  const expected = '"no", always, unless-stopped, on-failure or on-failure:N';
  const named = pattern(/^(no|always|unless-stopped|on-failure(:\d+)?)$/, expected);
  return {
    schema: named.schema,
    read(node, path, diagnostics) {
      if (node.kind === 'scalar' && node.value === false) return scalar('no', node.at);
      return named.read(node, path, diagnostics);
    },
  };
}

function exposedPort(): Shape {
  return andThen(textual, (node, path, diagnostics) => {
    const written = String(textOf(node));
    if (/^\d+(-\d+)?(\/[a-z]+)?$/.test(written)) return node;
    diagnostics.error('VALUE_INVALID', `${path} must be a port such as 3000 or 3000-3005/udp, not "${written}"`, node.at);
    return undefined;
  });
}

function extendsShape(): Shape {
  const long = object({
    service: required(text, 'Name of the service'),
    file: field(text, 'The file it is in; default: this one'),
  });
  return either(
    { scalar: andThen(text, (node) => mappingOf({ service: node }, node.at)), map: long },
    'the name of a service, or a mapping with "service"',
  );
}

/** docker compose prints some numbers as texts. */
function asText(shape: Shape): Shape {
  return andThen(shape, (node) => scalar(String(textOf(node)), node.at));
}

/** cpu_period and the like: microseconds, or a duration; canonical form: microseconds. */
function microseconds(): Shape {
  return andThen(either({ scalar: textual }, 'a number of microseconds, or a duration'), (node, path, diagnostics) => {
    const written = String(textOf(node));
    if (/^-?\d+$/.test(written)) return scalar(Number(written), node.at);
    const read = duration.read(node, path, diagnostics);
    return read && scalar(Math.round(microsecondsIn(String(textOf(read)))), node.at);
  });
}

function microsecondsIn(goDuration: string): number {
  const factors: Readonly<Record<string, number>> = { h: 3_600_000_000, m: 60_000_000, s: 1_000_000, ms: 1000 };
  let total = 0;
  for (const [, amount, unit] of goDuration.matchAll(/([\d.]+)(ms|h|m|s)/g))
    total += Number(amount) * (factors[unit as string] as number);
  return total;
}

/** An empty service, for a null in the file. */
export function emptyService(at: Mark): Node {
  return mapping(new Map(), at);
}
