/**
 * Plays commands against a simulated world and watches, at every instant, that the promises hold which the planner and apply make
 * together. A broken promise is a line of text; none is what tests want.
 */
import { apply } from '../../src/apply/apply.ts';
import { TscomposeError } from '../../src/errors.ts';
import type { Observed } from '../../src/model/observed.ts';
import type { Project, Service } from '../../src/model/project.ts';
import { fingerprintNetwork, fingerprintService } from '../../src/model/fingerprint.ts';
import type { PlanOptions } from '../../src/plan/options.ts';
import { planDown, planPause, planRemove, planRestart, planStart, planStop, planUp } from '../../src/plan/plan.ts';
import type { Plan } from '../../src/plan/step.ts';
import { upOptions } from './builders.ts';
import { type Fault, type PlannedCommand, type ProjectSeed, behavioursFor, projectFrom } from './random-projects.ts';
import { type SimulatedMachineOptions, Stuck, simulate, simulatedMachine } from './simulated-machine.ts';
import { type SimulatedContainer, type SimulatedWorld, createWorld, end, isAlive, passTime } from './simulated-world.ts';

export interface Rehearsal {
  readonly world: SimulatedWorld;
  readonly project: () => Project;
  readonly broken: string[];
  readonly play: (planned: PlannedCommand) => Promise<void>;
}

export function rehearse(first: ProjectSeed): Rehearsal {
  const world = createWorld();
  const broken: string[] = [];
  let seed = first;
  let project = projectFrom(seed);
  let lastUp: Project | undefined;
  setBehaviours(world, seed, project);
  watchTwins(world, broken);

  const carryOut = async (
    make: (observed: Observed) => Plan,
    onError: 'stop' | 'continue',
    planned: PlannedCommand,
  ): Promise<void> => {
    const machine = simulatedMachine(world, { seed: planned.seed, ...faultOptions(planned.fault) });
    const patience = new AbortController();
    const work = async () => apply(make(await machine.observe()), machine, () => {}, patience.signal, { onError });
    // What an outdated container was made from may never come to what is waited for; an up to date one must.
    const mustEnd = planned.command.do === 'up' && planned.command.options.recreate !== 'never';
    await tolerate(() => simulate(machine, work), mustEnd ? undefined : patience);
  };

  const change = (next: ProjectSeed): void => {
    seed = next;
    project = projectFrom(seed);
    setBehaviours(world, seed, project);
  };

  return {
    world,
    project: () => project,
    broken,
    async play(planned) {
      const { command } = planned;
      const named = 'service' in command ? { services: [serviceAt(project, command.service)] } : { services: [] };
      switch (command.do) {
        case 'up':
          lastUp = project;
          return watchUp(world, project, upOptions(command.options), broken, () =>
            carryOut((observed) => planUp(project, observed, upOptions(command.options)), 'stop', planned),
          );
        case 'down':
          return watchDown(world, project, command.volumes, planned.fault, broken, () =>
            carryOut(
              (observed) => planDown(project, observed, { services: [], volumes: command.volumes, removeOrphans: false }),
              'continue',
              planned,
            ),
          );
        case 'stop':
          return carryOut((observed) => planStop(observed, named, lastUp), 'continue', planned);
        case 'start':
          return carryOut((observed) => planStart(observed, { ...named, wait: false }, lastUp), 'stop', planned);
        case 'restart':
          return carryOut((observed) => planRestart(observed, { ...named, noDeps: false }, lastUp), 'stop', planned);
        case 'pause':
          return carryOut((observed) => planPause(observed, named), 'continue', planned);
        case 'remove':
          return carryOut(
            (observed) => planRemove(observed, { ...named, stop: true, volumes: false }, lastUp),
            'continue',
            planned,
          );
        case 'change':
          return change({
            ...seed,
            services: seed.services.map((old, index) => (index === command.service % seed.services.length ? command.seed : old)),
          });
        case 'change-network':
          return change({
            ...seed,
            networks: seed.networks.map((old, index) => (index === command.network ? command.seed : old)),
          });
        case 'lose-network':
          return loseNetwork(world, command.network);
        case 'reboot':
          return reboot(world);
        case 'pass-time':
          return passTime(world, command.ms);
      }
    },
  };
}

/** One `up` without any fault, and long enough after it for everything to settle. */
export async function converge({ world, project, broken }: Rehearsal, seed: number): Promise<void> {
  const options = upOptions({ removeOrphans: true });
  const machine = simulatedMachine(world, { seed });
  await watchUp(world, project(), options, broken, async () => {
    await simulate(machine, async () =>
      apply(planUp(project(), await machine.observe(), options), machine, () => {}, new AbortController().signal, {
        onError: 'stop',
      }),
    );
  });
  passTime(world, 300_000);
}

export function faultOptions(fault: Fault): SimulatedMachineOptions {
  if (fault.kind === 'none') return {};
  return fault.kind === 'fail' ? { failAt: fault.at } : { crashAt: { operation: fault.at, when: fault.when } };
}

/**
 * In the middle of things a command may fail, with an error a user can read. Where there is somebody whose patience may end, it may
 * also wait for what never comes.
 */
async function tolerate(work: () => Promise<unknown>, patience?: AbortController): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Stuck && patience !== undefined) patience.abort(error);
    else if (!(error instanceof TscomposeError)) throw error;
  }
}

function setBehaviours(world: SimulatedWorld, seed: ProjectSeed, project: Project): void {
  for (const [name, behaviour] of behavioursFor(seed, project)) world.behaviours.set(name, behaviour);
}

function serviceAt(project: Project, index: number): string {
  return (project.services[index % project.services.length] as Service).name;
}

/** At most one container of a service and number has a process, at every instant. */
function watchTwins(world: SimulatedWorld, broken: string[]): void {
  world.listeners.add(() => {
    const seen = new Set<string>();
    for (const container of world.containers.values()) {
      if (container.oneOff || !isAlive(container)) continue;
      const place = `${container.service} ${container.number}`;
      if (seen.has(place)) broken.push(`two containers of ${place} run`);
      seen.add(place);
    }
  });
}

/** During `up`: what is well is left alone, nothing starts before its dependencies are ready, no volume goes. */
async function watchUp(
  world: SimulatedWorld,
  project: Project,
  options: PlanOptions,
  broken: string[],
  work: () => Promise<void>,
): Promise<void> {
  const wellDoing = new Set(options.recreate === 'always' ? [] : wellDoingContainers(world, project, options));
  const from = world.history.length;
  const watchStart = (change: { readonly id: string; readonly action: string }): void => {
    const container = world.containers.get(change.id);
    if (change.action === 'start' && container !== undefined && !options.noDeps)
      broken.push(...unreadyDependencies(world, project, options, container));
  };
  world.listeners.add(watchStart);
  try {
    await work();
  } finally {
    world.listeners.delete(watchStart);
  }
  for (const entry of world.history.slice(from)) {
    if ((entry.what === 'stop' || entry.what === 'kill') && wellDoing.has(entry.id))
      broken.push(`${entry.service} was stopped although nothing was wrong with it`);
    if (entry.what === 'remove-volume') broken.push(`up removed the volume ${entry.id}`);
  }
  broken.push(...stopsOutOfOrder(world, project, from));
}

/** During `down`: dependants go first, volumes only when asked. */
async function watchDown(
  world: SimulatedWorld,
  project: Project,
  volumes: boolean,
  fault: Fault,
  broken: string[],
  work: () => Promise<void>,
): Promise<void> {
  const from = world.history.length;
  await work();
  // Teardown goes on past a failure, then order gives way.
  if (fault.kind !== 'fail') broken.push(...stopsOutOfOrder(world, project, from));
  for (const entry of world.history.slice(from)) {
    if (entry.what === 'remove-volume' && !volumes) broken.push(`down removed the volume ${entry.id} unasked`);
  }
}

/** As wanted, running, alone in its place, on networks that are as wanted, and not bound to follow another service. */
function wellDoingContainers(world: SimulatedWorld, project: Project, options: PlanOptions): readonly string[] {
  const containers = [...world.containers.values()].filter((container) => !container.oneOff);
  return project.services.flatMap((service) => {
    if (service.networkMode.kind === 'service' || service.dependsOn.some((dependency) => dependency.restart)) return [];
    const fingerprint = fingerprintService(service, project);
    const own = containers.filter((container) => container.service === service.name).sort((a, b) => a.number - b.number);
    const numbers = [...new Set(own.map((container) => container.number))].slice(
      0,
      options.scale[service.name] ?? service.replicas,
    );
    const fit = own.filter((container) => numbers.includes(container.number) && isFit(container, fingerprint));
    const alone = fit.filter((container) => fit.every((other) => other === container || other.number !== container.number));
    return alone.filter((container) => hasItsNetworks(world, project, container)).map((container) => container.id);
  });
}

/** Running as wanted, and nobody has begun to stop it. */
function isFit(container: SimulatedContainer, fingerprint: string): boolean {
  return container.fingerprint === fingerprint && isAlive(container) && !container.stoppedByUser;
}

function hasItsNetworks(world: SimulatedWorld, project: Project, { links }: SimulatedContainer): boolean {
  return [...links].every(([name, incarnation]) => {
    const [network, wanted] = [world.networks.get(name), project.networks.find((candidate) => candidate.name === name)];
    const isWanted = wanted !== undefined && network?.fingerprint === fingerprintNetwork(wanted);
    return isWanted && network.present && world.incarnations.get(name) === incarnation;
  });
}

function unreadyDependencies(
  world: SimulatedWorld,
  project: Project,
  options: PlanOptions,
  container: SimulatedContainer,
): readonly string[] {
  const service = project.services.find((candidate) => candidate.name === container.service);
  return (service?.dependsOn ?? []).flatMap((dependency) => {
    const target = project.services.find((candidate) => candidate.name === dependency.service);
    // An outdated container that is kept may have no health check; an optional dependency may then be passed over.
    if (target === undefined || (options.recreate === 'never' && !dependency.required)) return [];
    // Where nothing new is started, only what had to be stopped for a moment starts again.
    if (!options.start) return [];
    // So it is with a service that was not asked for.
    const isAskedFor = options.services.some(
      (name) => name === container.service || dependsOnIt(project, name, container.service),
    );
    if (options.services.length > 0 && !isAskedFor) return [];
    const replicas = options.scale[target.name] ?? target.replicas;
    const ready = [...world.containers.values()].filter(
      (other) => other.service === target.name && !other.oneOff && other.number >= 1 && isReady(other, dependency.condition),
    );
    return ready.length >= replicas ? [] : [`${container.name} started before ${target.name} was ${dependency.condition}`];
  });
}

function isReady(container: SimulatedContainer, condition: string): boolean {
  if (condition === 'service_healthy') return container.health === 'healthy';
  if (condition === 'service_completed_successfully') return container.state === 'exited' && container.exitCode === 0;
  return container.runs > 0;
}

/** Among what was stopped on command since then: a container whose dependant was still alive. */
function stopsOutOfOrder(world: SimulatedWorld, project: Project, from: number): readonly string[] {
  const history = world.history.slice(from);
  const stopped = new Map(
    history
      .map((entry, index) => ({ ...entry, index }))
      .filter((entry) => entry.what === 'stop')
      .map((entry) => [entry.id, entry]),
  );
  return [...stopped.values()].flatMap((stop) =>
    [...stopped.values()]
      .filter((other) => dependsOnIt(project, other.service, stop.service))
      .filter((other) => other.index > stop.index)
      .map((other) => `${stop.service} was stopped before its dependant ${other.service}`),
  );
}

function dependsOnIt(project: Project, service: string, dependency: string, seen = new Set<string>()): boolean {
  if (seen.has(service)) return false;
  seen.add(service);
  const spec = project.services.find((candidate) => candidate.name === service);
  if (spec === undefined) return false;
  const lender = spec.networkMode.kind === 'service' ? [spec.networkMode.service] : [];
  const names = [...spec.dependsOn.map((edge) => edge.service), ...lender];
  return names.some((name) => name === dependency || dependsOnIt(project, name, dependency, seen));
}

/** A bridge is deleted behind our back; the containers on it run on, cut off. */
function loseNetwork(world: SimulatedWorld, index: number): void {
  const network = [...world.networks.values()][index];
  if (network !== undefined) network.present = false;
}

/** Power is lost: no process, no bridge; records, volumes and layers stay. */
function reboot(world: SimulatedWorld): void {
  world.timers.splice(0);
  for (const network of world.networks.values()) network.present = false;
  for (const container of world.containers.values()) {
    if (container.state === 'created' || container.state === 'exited') continue;
    const { restart } = container.spec;
    container.spec = { ...container.spec, restart: { kind: 'no' } };
    end(world, container, 137);
    container.spec = { ...container.spec, restart };
  }
}
