import type { Observed, ObservedContainer, ObservedNetwork, ObservedVolume } from '../model/observed.ts';
import type { Project, Service } from '../model/project.ts';
import { compareText, sortedContainers } from './container.ts';
import { type PlanDraft, draftPlan } from './draft.ts';
import type { DownPlanOptions } from './options.ts';
import { orphansOf } from './select.ts';
import type { Plan } from './step.ts';
import { addStopsAndRemoves } from './stops.ts';
import { isOnNetwork, volumeKeys } from './surroundings.ts';

/**
 * What has to happen so that nothing of the project is left: all its containers (one-offs, orphans and inactive profiles too) and
 * networks, on request its volumes. With services named, only theirs and what nobody else uses. What is external stays.
 */
export function planDown(project: Project | undefined, observed: Observed, options: DownPlanOptions): Plan {
  const draft = draftPlan(observed.project);
  const leaving = leavingContainers(project, observed, options);
  const staying = observed.containers.filter((container) => !leaving.includes(container));
  const grace = options.timeoutMs === undefined ? {} : { graceMs: options.timeoutMs };
  const services = currentServices(project, leaving);
  const removes = addStopsAndRemoves(draft, leaving, services, { volumes: options.volumes, because: downReason, ...grace });
  addNetworkRemovals(draft, observed, leaving, staying, removes, options);
  if (options.volumes) addVolumeRemovals(draft, observed, leaving, staying, removes, options);
  return draft.finish();
}

/**
 * The services by which containers are put in order: the file's, since depends_on may have changed without a new container, and an order
 * may lead through a service that has none; beside them what containers of other services were made from.
 */
export function currentServices(project: Project | undefined, containers: readonly ObservedContainer[]): readonly Service[] {
  const services = new Map(sortedContainers(containers).map((container) => [container.service, container.spec]));
  for (const service of project?.services ?? []) services.set(service.name, service);
  return [...services.values()];
}

const downReason = 'the project goes down';

function leavingContainers(
  project: Project | undefined,
  observed: Observed,
  options: DownPlanOptions,
): readonly ObservedContainer[] {
  if (options.services.length === 0) return observed.containers;
  const orphans = options.removeOrphans && project !== undefined ? orphansOf(project, observed) : [];
  return observed.containers.filter((container) => options.services.includes(container.service) || orphans.includes(container));
}

function addNetworkRemovals(
  draft: PlanDraft,
  observed: Observed,
  leaving: readonly ObservedContainer[],
  staying: readonly ObservedContainer[],
  removes: ReadonlyMap<string, number>,
  options: DownPlanOptions,
): void {
  const isLeaving = (network: ObservedNetwork): boolean =>
    !network.external &&
    !staying.some((container) => isOnNetwork(container, network)) &&
    (options.services.length === 0 || leaving.some((container) => isOnNetwork(container, network)));
  for (const network of byName(observed.networks).filter(isLeaving)) {
    const users = leaving.filter((container) => isOnNetwork(container, network) || usesKey(container, network.key));
    draft.add(
      { do: 'remove-network', name: network.name },
      downReason,
      users.map((container) => removes.get(container.id)),
    );
  }
}

function addVolumeRemovals(
  draft: PlanDraft,
  observed: Observed,
  leaving: readonly ObservedContainer[],
  staying: readonly ObservedContainer[],
  removes: ReadonlyMap<string, number>,
  options: DownPlanOptions,
): void {
  const mounts = (container: ObservedContainer, volume: ObservedVolume): boolean =>
    volumeKeys(container.spec).includes(volume.key);
  const isLeaving = (volume: ObservedVolume): boolean =>
    !volume.external &&
    !staying.some((container) => mounts(container, volume)) &&
    (options.services.length === 0 || leaving.some((container) => mounts(container, volume)));
  for (const volume of byName(observed.volumes).filter(isLeaving)) {
    const users = leaving.filter((container) => mounts(container, volume));
    draft.add(
      { do: 'remove-volume', name: volume.name },
      'removal of volumes was asked for',
      users.map((container) => removes.get(container.id)),
    );
  }
}

function usesKey(container: ObservedContainer, key: string): boolean {
  return container.spec.networks.some((attachment) => attachment.network === key);
}

function byName<Named extends { readonly name: string }>(items: readonly Named[]): readonly Named[] {
  return [...items].sort((a, b) => compareText(a.name, b.name));
}
