import type { ObservedContainer } from '../model/observed.ts';
import type { Service } from '../model/project.ts';
import { isLive, refTo, sortedContainers } from './container.ts';
import type { PlanDraft } from './draft.ts';
import { nearestDependants, type ServiceGraph, tolerantGraph } from './graph.ts';

export interface StopReason {
  readonly because: string;
  readonly graceMs?: number;
}

export interface RemoveReason extends StopReason {
  /** Anonymous ones too. */
  readonly volumes: boolean;
  /** Containers that stop with them and stay. */
  readonly alsoStopped?: readonly ObservedContainer[];
}

/**
 * Stops those of the containers that live, dependants before what they depend on. Returns container id → step id.
 * What is there may contradict itself (depends_on changed between two `up`s), so a cycle among these services is no fault here.
 */
export function addStops(
  draft: PlanDraft,
  containers: readonly ObservedContainer[],
  services: readonly Service[],
  { because, graceMs }: StopReason,
): ReadonlyMap<string, number> {
  const stops = new Map<string, number>();
  const stopsOf = new Map<string, readonly number[]>();
  const live = byService(containers.filter(isLive));
  const graph = tolerantGraph(services);
  for (const name of [...graph.order].reverse()) {
    const before = dependantStops(graph, name, stopsOf);
    for (const container of live.get(name) ?? []) {
      const step = { do: 'stop-container', container: refTo(container), ...(graceMs === undefined ? {} : { graceMs }) } as const;
      stops.set(container.id, draft.add(step, because, before));
    }
    const own = (live.get(name) ?? []).map((container) => stops.get(container.id) as number);
    if (own.length > 0) stopsOf.set(name, own);
  }
  return stops;
}

/** Stops and removes these containers. Returns container id → id of its removal. */
export function addStopsAndRemoves(
  draft: PlanDraft,
  containers: readonly ObservedContainer[],
  services: readonly Service[],
  { volumes, alsoStopped = [], ...reason }: RemoveReason,
): ReadonlyMap<string, number> {
  const stops = addStops(draft, [...containers, ...alsoStopped], services, reason);
  return new Map(
    sortedContainers(containers).map((container) => {
      const step = { do: 'remove-container', container: refTo(container), volumes } as const;
      return [container.id, draft.add(step, reason.because, [stops.get(container.id)])];
    }),
  );
}

function byService(containers: readonly ObservedContainer[]): ReadonlyMap<string, readonly ObservedContainer[]> {
  const groups = new Map<string, ObservedContainer[]>();
  for (const container of sortedContainers(containers))
    groups.set(container.service, [...(groups.get(container.service) ?? []), container]);
  return groups;
}

/** The stops of the nearest dependants that are stopped in this plan. `stopsOf`: service → step ids. */
export function dependantStops(
  graph: ServiceGraph,
  name: string,
  stopsOf: ReadonlyMap<string, readonly number[]>,
): readonly number[] {
  const dependants = nearestDependants(graph, name, (dependant) => stopsOf.has(dependant));
  return [...dependants].flatMap((dependant) => stopsOf.get(dependant) ?? []);
}
