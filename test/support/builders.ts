/** Nouns of the model with sensible values, so that a test only says what it is about. */
import { fingerprintNetwork, fingerprintService, fingerprintVolume } from '../../src/model/fingerprint.ts';
import type { Observed, ObservedContainer } from '../../src/model/observed.ts';
import type { Dependency, HealthCheck, NetworkSpec, PortMapping, Project, Service, VolumeSpec } from '../../src/model/project.ts';
import { type PlanOptions, defaultPlanOptions } from '../../src/plan/options.ts';

export function aService(name: string, overrides: Partial<Service> = {}): Service {
  return {
    name,
    image: 'host:/usr',
    replicas: 1,
    environment: {},
    labels: {},
    annotations: {},
    groupAdd: [],
    attach: true,
    tty: false,
    stdinOpen: false,
    init: false,
    privileged: false,
    readOnly: false,
    capAdd: [],
    capDrop: [],
    securityOpt: [],
    sysctls: {},
    ulimits: [],
    resources: {},
    devices: [],
    dependsOn: [],
    restart: { kind: 'no' },
    stopGraceMs: 10_000,
    preStop: [],
    postStart: [],
    networkMode: { kind: 'bridge' },
    networks: [onNetwork('default')],
    ports: [],
    expose: [],
    extraHosts: [],
    links: [],
    dns: [],
    dnsSearch: [],
    dnsOpt: [],
    mounts: [],
    configs: [],
    secrets: [],
    watch: [],
    profiles: [],
    ...overrides,
  };
}

export function onNetwork(network: string): Service['networks'][number] {
  return { network, aliases: [], priority: 0, gwPriority: 0 };
}

export function dependsOn(service: string, overrides: Partial<Dependency> = {}): Dependency {
  return { service, condition: 'service_started', restart: false, required: true, ...overrides };
}

export function aHealthCheck(overrides: Partial<HealthCheck> = {}): HealthCheck {
  return {
    test: ['CMD', 'true'],
    intervalMs: 30_000,
    timeoutMs: 30_000,
    retries: 3,
    startPeriodMs: 0,
    startIntervalMs: 5_000,
    ...overrides,
  };
}

export function aPort(published: number, target: number): PortMapping {
  return { target, published, hostIp: '', protocol: 'tcp' };
}

export function aNetwork(project: string, key: string, overrides: Partial<NetworkSpec> = {}): NetworkSpec {
  return {
    key,
    name: `${project}_${key}`,
    external: false,
    driver: 'bridge',
    driverOpts: {},
    internal: false,
    enableIpv6: false,
    ipam: [],
    labels: {},
    ...overrides,
  };
}

export function aVolume(project: string, key: string, overrides: Partial<VolumeSpec> = {}): VolumeSpec {
  return { key, name: `${project}_${key}`, external: false, driver: 'local', driverOpts: {}, labels: {}, ...overrides };
}

/** A project "shop" with the networks and volumes its services mention. */
export function aProject(services: readonly Service[], overrides: Partial<Project> = {}): Project {
  const name = overrides.name ?? 'shop';
  const networks = unique(services.flatMap((service) => service.networks.map((attachment) => attachment.network)));
  const volumes = unique(
    services.flatMap((service) => service.mounts.flatMap((mount) => (mount.type === 'volume' ? (mount.source ?? []) : []))),
  );
  return {
    name,
    workingDir: '/srv/shop',
    configFiles: ['/srv/shop/compose.yaml'],
    services: [...services].sort((a, b) => (a.name < b.name ? -1 : 1)),
    inactiveServices: [],
    networks: networks.map((key) => aNetwork(name, key)),
    volumes: volumes.map((key) => aVolume(name, key)),
    configs: [],
    secrets: [],
    ...overrides,
  };
}

let madeContainers = 0;

/** A running container of this service as an `up` of the project would have made it. */
export function aContainer(
  project: Project,
  serviceName: string,
  number = 1,
  overrides: Partial<ObservedContainer> = {},
): ObservedContainer {
  const spec = overrides.spec ?? (project.services.find((service) => service.name === serviceName) as Service);
  madeContainers++;
  return {
    id: madeContainers.toString(16).padStart(64, '0'),
    name: spec.containerName ?? `${project.name}-${serviceName}-${number}`,
    service: serviceName,
    number,
    oneOff: false,
    fingerprint: fingerprintService(spec, project),
    image: spec.image,
    spec,
    state: 'running',
    health: spec.healthcheck === undefined ? 'none' : 'healthy',
    pid: 1000 + madeContainers,
    oomKilled: false,
    restarts: 0,
    stoppedByUser: false,
    createdAt: madeContainers,
    startedAt: madeContainers,
    labels: {},
    attachments: [],
    ports: [],
    ...overrides,
  };
}

export function nothingObserved(project: Project): Observed {
  return { project: project.name, containers: [], networks: [], volumes: [] };
}

/** Everything of the project there and running. */
export function allObserved(project: Project, containers?: readonly ObservedContainer[]): Observed {
  const all = project.services.flatMap((service) =>
    Array.from({ length: service.replicas }, (_, index) => aContainer(project, service.name, index + 1)),
  );
  return {
    project: project.name,
    containers: containers ?? all,
    networks: project.networks.map((network) => ({
      key: network.key,
      name: network.name,
      external: network.external,
      fingerprint: fingerprintNetwork(network),
      present: true,
    })),
    volumes: project.volumes.map((volume) => ({
      key: volume.key,
      name: volume.name,
      external: volume.external,
      fingerprint: fingerprintVolume(volume),
      present: true,
    })),
  };
}

export function upOptions(overrides: Partial<PlanOptions> = {}): PlanOptions {
  return { ...defaultPlanOptions, ...overrides };
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort();
}
