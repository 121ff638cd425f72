/** fast-check arbitraries: projects, changes of them, commands and faults. */
import fc from 'fast-check';
import type { Dependency, Project, RestartPolicy, Service } from '../../src/model/project.ts';
import type { PlanOptions } from '../../src/plan/options.ts';
import { aHealthCheck, aNetwork, aPort, aProject, aService, dependsOn, onNetwork } from './builders.ts';
import type { Behaviour } from './simulated-world.ts';

/** A service before it is put into a project: references are numbers, taken modulo what there is. */
interface ServiceSeed {
  readonly image: number;
  readonly replicas: number;
  readonly isChecked: boolean;
  readonly networks: readonly number[];
  readonly lender: number | undefined;
  readonly volume: number | undefined;
  readonly port: number | undefined;
  readonly restart: RestartPolicy;
  readonly edges: readonly {
    readonly to: number;
    readonly kind: Dependency['condition'];
    readonly restart: boolean;
    readonly required: boolean;
  }[];
  readonly isDropped: boolean;
  readonly behaviour: Behaviour;
}

export interface ProjectSeed {
  readonly services: readonly ServiceSeed[];
  /** Number of a network → whether it is internal, and a suffix of its name. */
  readonly networks: readonly { readonly internal: boolean; readonly renamed: boolean }[];
}

export type Fault =
  | { readonly kind: 'none' }
  | { readonly kind: 'fail'; readonly at: number }
  | { readonly kind: 'crash'; readonly at: number; readonly when: 'before' | 'after' };

export type Command =
  | { readonly do: 'up'; readonly options: Partial<PlanOptions> }
  | { readonly do: 'change'; readonly service: number; readonly seed: ServiceSeed }
  | { readonly do: 'change-network'; readonly network: number; readonly seed: ProjectSeed['networks'][number] }
  | { readonly do: 'lose-network'; readonly network: number }
  | { readonly do: 'reboot' }
  | { readonly do: 'down'; readonly volumes: boolean }
  | { readonly do: 'stop' | 'start' | 'restart' | 'pause' | 'remove'; readonly service: number }
  | { readonly do: 'pass-time'; readonly ms: number };

export interface PlannedCommand {
  readonly command: Command;
  readonly fault: Fault;
  readonly seed: number;
}

const serviceSeed: fc.Arbitrary<ServiceSeed> = fc.record({
  image: fc.nat(1),
  replicas: fc.integer({ min: 1, max: 3 }),
  isChecked: fc.boolean(),
  networks: fc.uniqueArray(fc.nat(2), { maxLength: 2 }),
  lender: fc.option(fc.nat(), { nil: undefined, freq: 6 }),
  volume: fc.option(fc.nat(1), { nil: undefined }),
  port: fc.option(fc.nat(3), { nil: undefined }),
  restart: fc.oneof(
    fc.constantFrom<RestartPolicy>({ kind: 'no' }, { kind: 'always' }, { kind: 'unless-stopped' }),
    fc.constant<RestartPolicy>({ kind: 'on-failure', maxAttempts: 0 }),
  ),
  edges: fc.array(
    fc.record({
      to: fc.nat(),
      kind: fc.constantFrom<Dependency['condition']>('service_started', 'service_healthy', 'service_completed_successfully'),
      restart: fc.boolean(),
      required: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
  isDropped: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  behaviour: fc.record({
    failedProbes: fc.nat(3),
    ignoresStop: fc.oneof({ weight: 7, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    stopsAfterMs: fc.nat(300),
    exitsAfterMs: fc.integer({ min: 1, max: 2000 }),
    exitsAtMost: fc.nat(3),
  }),
});

const networkSeed = fc.record({ internal: fc.boolean(), renamed: fc.boolean() });

/** The program that ends, and ends well. */
const jobImage = 'rootfs:/job';

export const projectSeed: fc.Arbitrary<ProjectSeed> = fc.record({
  services: fc.array(serviceSeed, { minLength: 1, maxLength: 12 }),
  networks: fc.tuple(networkSeed, networkSeed, networkSeed),
});

const upOptionsChoice: fc.Arbitrary<Partial<PlanOptions>> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({}) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Partial<PlanOptions>>(
      { removeOrphans: true },
      { wait: true },
      { recreate: 'always' },
      { start: false },
      { recreate: 'never' },
    ),
  },
  { weight: 1, arbitrary: fc.record({ scale: fc.record({ s0: fc.nat(3) }), removeOrphans: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ services: fc.constant(['s0']), noDeps: fc.boolean() }) },
);

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('up' as const), options: upOptionsChoice }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('change' as const), service: fc.nat(), seed: serviceSeed }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('change-network' as const), network: fc.nat(2), seed: networkSeed }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose-network' as const), network: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reboot' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('down' as const), volumes: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('stop' as const, 'start' as const, 'restart' as const, 'pause' as const, 'remove' as const),
      service: fc.nat(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass-time' as const), ms: fc.nat(30_000) }) },
);

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ kind: 'none' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), at: fc.nat(40) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      at: fc.nat(40),
      when: fc.constantFrom('before' as const, 'after' as const),
    }),
  },
);

export const commands: fc.Arbitrary<readonly PlannedCommand[]> = fc.array(
  fc.record({ command, fault, seed: fc.nat(1_000_000) }),
  { minLength: 1, maxLength: 8 },
);

/** The project a seed stands for. Services depend only on those with a lower number, so that there is no cycle. */
export function projectFrom(seed: ProjectSeed): Project {
  const kept = seed.services
    .map((service, index) => ({ service, index }))
    .filter(({ service, index }) => index === 0 || !service.isDropped);
  const names = kept.map(({ index }) => `s${index}`);
  const jobs = new Set(
    kept.flatMap(({ service }, place) =>
      service.edges.flatMap((edge) => (edge.kind === 'service_completed_successfully' && place > 0 ? [edge.to % place] : [])),
    ),
  );
  const watched = new Set(
    kept.flatMap(({ service }, place) =>
      service.edges.flatMap((edge) => (edge.kind === 'service_healthy' && place > 0 ? [edge.to % place] : [])),
    ),
  );
  const shape = {
    names,
    jobs,
    watched,
    hosts: new Set(kept.flatMap(({ service }, place) => lenderPlace(service, place, jobs) ?? [])),
    ports: new Set<number>(),
  };
  const services = kept.map(({ service }, place) => serviceFrom(service, place, shape));
  const used = [...new Set(services.flatMap((service) => service.networks.map((attachment) => attachment.network)))].sort();
  return aProject(services, {
    networks: used.map((key) => {
      const { internal, renamed } = seed.networks[Number(key.slice(1))] as ProjectSeed['networks'][number];
      return aNetwork('shop', key, { internal, ...(renamed ? { name: `shop_${key}_new` } : {}) });
    }),
  });
}

/** How the programs of a project behave: those without a health check may end badly a few times before they stay. */
export function behavioursFor(seed: ProjectSeed, project: Project): ReadonlyMap<string, Behaviour> {
  const services = project.services.map((service): [string, Behaviour] => {
    const { behaviour } = seed.services[Number(service.name.slice(1))] as ServiceSeed;
    const { exitsAfterMs = 1, exitsAtMost = 0, ...steady } = behaviour;
    const mayCrash = service.restart.kind !== 'no' && service.healthcheck === undefined;
    return [service.name, mayCrash ? { ...steady, exitsAfterMs, exitsAtMost, exitCode: 1 } : steady];
  });
  return new Map([[jobImage, { exitsAfterMs: 120, exitCode: 0 }], ...services]);
}

interface Shape {
  readonly names: readonly string[];
  readonly jobs: ReadonlySet<number>;
  /** Places of services that others want healthy. */
  readonly watched: ReadonlySet<number>;
  /** Places of services that lend their network to another. */
  readonly hosts: ReadonlySet<number>;
  /** Taken so far. */
  readonly ports: Set<number>;
}

function serviceFrom(seed: ServiceSeed, place: number, { names, jobs, watched, hosts, ports }: Shape): Service {
  const isJobHere = jobs.has(place);
  const lender = lenderPlace(seed, place, jobs);
  const checked = (seed.isChecked || watched.has(place)) && !isJobHere ? { healthcheck: aHealthCheck() } : {};
  const hasPort = seed.port !== undefined && !isJobHere && !ports.has(seed.port) && lender === undefined;
  if (hasPort) ports.add(seed.port as number);
  return aService(names[place] as string, {
    // A program that ends and one that stays are not the same program.
    image: isJobHere ? jobImage : `rootfs:/${seed.image}`,
    replicas: hasPort || hosts.has(place) ? 1 : seed.replicas,
    restart: isJobHere ? { kind: 'no' } : seed.restart,
    networks: lender === undefined ? seed.networks.map((network) => onNetwork(`n${network}`)) : [],
    networkMode: lender === undefined ? { kind: 'bridge' } : { kind: 'service', service: names[lender] as string },
    mounts:
      seed.volume === undefined
        ? []
        : [{ type: 'volume', source: `v${seed.volume}`, target: '/data', readOnly: false, noCopy: false }],
    ports: hasPort ? [aPort(8000 + (seed.port as number), 80)] : [],
    stopGraceMs: 500,
    dependsOn: edgesFrom(seed, place, names, jobs),
    ...checked,
  });
}

/** One edge for each target; a condition that the target could never fulfil becomes "started". */
function edgesFrom(seed: ServiceSeed, place: number, names: readonly string[], jobs: ReadonlySet<number>): readonly Dependency[] {
  if (place === 0) return [];
  const edges = new Map(seed.edges.map((edge) => [edge.to % place, edge]));
  return [...edges].map(([to, { kind, restart, required }]) => {
    const condition = jobs.has(to)
      ? 'service_completed_successfully'
      : kind === 'service_completed_successfully'
        ? 'service_started'
        : kind;
    return dependsOn(names[to] as string, { condition, restart, required });
  });
}

function lenderPlace({ lender }: ServiceSeed, place: number, jobs: ReadonlySet<number>): number | undefined {
  if (lender === undefined || place === 0) return undefined;
  const target = lender % place;
  return jobs.has(target) ? undefined : target;
}
