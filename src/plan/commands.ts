import type { Observed, ObservedContainer } from '../model/observed.ts';
import type { Dependency, Project, Service } from '../model/project.ts';
import { describeRest, isLive, refTo } from './container.ts';
import { currentServices } from './down.ts';
import { type PlanDraft, draftPlan } from './draft.ts';
import { type ServiceGraph, tolerantGraph, withBorrowers, withDependencies, withRestartedDependants } from './graph.ts';
import type { KillOptions, PauseOptions, RemoveOptions, RestartOptions, StartOptions, StopOptions } from './options.ts';
import { containersOf } from './select.ts';
import type { Plan, Step } from './step.ts';
import { addStops, addStopsAndRemoves, dependantStops } from './stops.ts';

/*
 * Commands on containers that are there. Order and conditions come from the project as it last went up, and for services it does not
 * have (or when it is not known) from what their containers were made from: that may be out of date, since depends_on can
 * change without a new container. All throw NO_SUCH_SERVICE when a named service has no container.
 */

/** `start`: what does not run, with its dependencies, in their order and under their conditions. */
export function planStart(observed: Observed, options: StartOptions, project?: Project): Plan {
  const draft = draftPlan(observed.project);
  const own = serviceContainers(observed);
  const specs = currentServices(project, own);
  const graph = tolerantGraph(specs);
  const named = new Set(containersOf(observed, options.services).map((container) => container.service));
  const wanted = withDependencies(graph, named);
  const resting = own.filter(
    (container) => wanted.has(container.service) && !isLive(container) && !isDoneDependency(container, named, options),
  );
  const borrowers = liveBorrowers(own, specs, resting);
  const stops = addStops(draft, borrowers, specs, { because: 'what it shares a namespace with starts anew' });
  addStarts(draft, graph, own, [...resting, ...borrowers], stops, options);
  return draft.finish();
}

/** `stop`: dependants before what they depend on; who shares a namespace with a stopped container stops too. */
export function planStop(observed: Observed, { services, graceMs }: StopOptions, project?: Project): Plan {
  const draft = draftPlan(observed.project);
  const specs = currentServices(project, observed.containers);
  const containers = containersOf(observed, services).filter((container) => services.length > 0 || !container.oneOff);
  const borrowers = liveBorrowers(serviceContainers(observed), specs, containers);
  addStops(draft, [...containers, ...borrowers], specs, { because: 'stop was asked for', ...grace(graceMs) });
  return draft.finish();
}

/** `restart`: stopped and started again, whether they run or not; dependants with `restart: true` follow unless noDeps. */
export function planRestart(observed: Observed, { services, noDeps, graceMs }: RestartOptions, project?: Project): Plan {
  const draft = draftPlan(observed.project);
  const own = serviceContainers(observed);
  const specs = currentServices(project, own);
  const graph = tolerantGraph(specs);
  const named = new Set(containersOf(observed, services).map((container) => container.service));
  const wanted = noDeps ? withBorrowers(specs, named) : withRestartedDependants(graph, named);
  const restarted = own.filter(
    (container) => named.has(container.service) || (wanted.has(container.service) && isLive(container)),
  );
  const stops = addStops(draft, restarted, specs, { because: 'restart was asked for', ...grace(graceMs) });
  addStarts(draft, graph, own, restarted, stops, { services, wait: false });
  return draft.finish();
}

/** `kill`: a signal to everything that runs, all at once. */
export function planKill(observed: Observed, { services, signal }: KillOptions): Plan {
  const step = (container: ObservedContainer): Step => ({ do: 'kill-container', container: refTo(container), signal });
  return planForEach(observed, services, isLive, step, `${signal} was asked for`);
}

export function planPause(observed: Observed, { services }: PauseOptions): Plan {
  const step = (container: ObservedContainer): Step => ({ do: 'pause-container', container: refTo(container) });
  return planForEach(observed, services, (container) => container.state === 'running', step, 'pause was asked for');
}

export function planUnpause(observed: Observed, { services }: PauseOptions): Plan {
  const step = (container: ObservedContainer): Step => ({ do: 'unpause-container', container: refTo(container) });
  return planForEach(observed, services, (container) => container.state === 'paused', step, 'unpause was asked for');
}

/** `rm`: removes service containers that do not run; with `stop` all of them. */
export function planRemove(observed: Observed, { services, stop, volumes }: RemoveOptions, project?: Project): Plan {
  const draft = draftPlan(observed.project);
  const specs = currentServices(project, observed.containers);
  const containers = containersOf(observed, services).filter((container) => !container.oneOff && (stop || !isLive(container)));
  const borrowers = liveBorrowers(serviceContainers(observed), specs, containers.filter(isLive));
  addStopsAndRemoves(draft, containers, specs, { because: 'removal was asked for', volumes, alsoStopped: borrowers });
  return draft.finish();
}

function planForEach(
  observed: Observed,
  services: readonly string[],
  isMeant: (container: ObservedContainer) => boolean,
  step: (container: ObservedContainer) => Step,
  because: string,
): Plan {
  const draft = draftPlan(observed.project);
  for (const container of containersOf(observed, services).filter(isMeant)) draft.add(step(container), because);
  return draft.finish();
}

/**
 * One container for every service and number: the one that lives, or the newest (an interrupted replacement leaves two, of which only
 * one may run). `run` containers are somebody's command; service commands leave them alone.
 */
function serviceContainers(observed: Observed): readonly ObservedContainer[] {
  const places = new Map<string, ObservedContainer>();
  for (const container of containersOf(observed, []).filter((candidate) => !candidate.oneOff)) {
    const place = `${container.number} ${container.service}`;
    const other = places.get(place);
    if (other === undefined || !isLive(other) || isLive(container)) places.set(place, container);
  }
  return [...places.values()];
}

/** Further running containers that share a namespace with one of these. */
function liveBorrowers(
  own: readonly ObservedContainer[],
  specs: readonly Service[],
  lenders: readonly ObservedContainer[],
): readonly ObservedContainer[] {
  const names = withBorrowers(specs, new Set(lenders.map((container) => container.service)));
  return own.filter((container) => names.has(container.service) && isLive(container) && !lenders.includes(container));
}

/** A finished one-shot that is only there as somebody's dependency is not run again. */
function isDoneDependency(container: ObservedContainer, named: ReadonlySet<string>, { services }: StartOptions): boolean {
  const isNamed = services.length > 0 && named.has(container.service);
  return (
    !isNamed &&
    container.state === 'exited' &&
    container.exitCode === 0 &&
    container.spec.restart.kind === 'no' &&
    !container.stoppedByUser
  );
}

function addStarts(
  draft: PlanDraft,
  graph: ServiceGraph,
  all: readonly ObservedContainer[],
  resting: readonly ObservedContainer[],
  stops: ReadonlyMap<string, number>,
  options: StartOptions,
): void {
  const starts = new Map<string, number>();
  const gates = createGates(draft, all, starts);
  const stopsOf = stopsByService(resting, stops);
  for (const name of graph.order) {
    for (const container of resting.filter((candidate) => candidate.service === name)) {
      const before = (graph.dependencies.get(name) ?? []).flatMap((dependency) => gates(dependency, name));
      const after = [stops.get(container.id), ...dependantStops(graph, name, stopsOf), ...before];
      const because = stops.has(container.id) ? 'stopped to start anew' : describeRest(container);
      starts.set(container.id, draft.add({ do: 'start-container', container: refTo(container) }, because, after));
    }
  }
  if (options.wait) addWaits(draft, resting, starts, options.waitTimeoutMs);
}

function stopsByService(
  containers: readonly ObservedContainer[],
  stops: ReadonlyMap<string, number>,
): ReadonlyMap<string, readonly number[]> {
  const grouped = new Map<string, number[]>();
  for (const { id, service } of containers) {
    const stop = stops.get(id);
    if (stop !== undefined) grouped.set(service, [...(grouped.get(service) ?? []), stop]);
  }
  return grouped;
}

/** The steps a dependant's start waits for: only dependencies that are started here can still fall short of their condition. */
function createGates(
  draft: PlanDraft,
  all: readonly ObservedContainer[],
  starts: ReadonlyMap<string, number>,
): (dependency: Dependency, dependant: string) => readonly (number | undefined)[] {
  const waits = new Map<string, number>();
  const waitFor = (needed: ObservedContainer, dependency: Dependency, dependant: string): number | undefined => {
    const start = starts.get(needed.id);
    if (start === undefined || dependency.condition === 'service_started') return start;
    const until = dependency.condition === 'service_healthy' ? 'healthy' : 'completed';
    const key = `${needed.id} ${until} ${dependency.required}`;
    const step: Step = { do: 'wait-container', container: refTo(needed), until, required: dependency.required };
    const id = waits.get(key) ?? draft.add(step, `${dependant} depends on it`, [start]);
    waits.set(key, id);
    return id;
  };
  return (dependency, dependant) =>
    all.filter((container) => container.service === dependency.service).map((needed) => waitFor(needed, dependency, dependant));
}

function addWaits(
  draft: PlanDraft,
  started: readonly ObservedContainer[],
  starts: ReadonlyMap<string, number>,
  timeoutMs: number | undefined,
): void {
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  for (const container of started) {
    const step: Step = {
      do: 'wait-container',
      container: refTo(container),
      until: 'running-or-healthy',
      required: true,
      ...limit,
    };
    draft.add(step, 'waiting was asked for', [starts.get(container.id)]);
  }
}

function grace(graceMs: number | undefined): { readonly graceMs?: number } {
  return graceMs === undefined ? {} : { graceMs };
}
