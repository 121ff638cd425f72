import type { ObservedContainer } from '../model/observed.ts';
import type { Project, Service } from '../model/project.ts';
import type { ContainerRef } from './step.ts';

/** It has, or will have by itself, a process: it must be stopped before it can be removed. */
export function isLive(container: ObservedContainer): boolean {
  return container.state === 'running' || container.state === 'paused' || container.state === 'restarting';
}

/** How a step names a container that is there. */
export function refTo(container: ObservedContainer): ContainerRef {
  return { name: container.name, service: container.service, id: container.id };
}

/** "shop-api-1", or the service's `container_name`. */
export function containerName(project: Project, service: Service, number: number): string {
  return service.containerName ?? `${project.name}-${service.name}-${number}`;
}

/** By service, number and age, so that plans do not depend on the order of an observation. */
export function sortedContainers(containers: readonly ObservedContainer[]): readonly ObservedContainer[] {
  return [...containers].sort(
    (a, b) => compareText(a.service, b.service) || a.number - b.number || a.createdAt - b.createdAt || compareText(a.id, b.id),
  );
}

/** Why a container that does not run is started: "never started", "not running (exited 1)". */
export function describeRest(container: ObservedContainer): string {
  if (container.state === 'created') return 'never started';
  if (container.state === 'paused') return 'paused';
  return container.exitCode === undefined ? 'not running' : `not running (exited ${container.exitCode})`;
}

/** The container did what it was made for and its policy does not want it again. */
export function hasCompleted(container: ObservedContainer): boolean {
  return (
    container.state === 'exited' && container.exitCode === 0 && !container.stoppedByUser && !restartsAfterSuccess(container.spec)
  );
}

/** What only one running container of the host can have: published ports and fixed addresses. */
export function exclusiveClaims(service: Service): readonly string[] {
  const ports = service.ports.filter((port) => port.published > 0 && port.publishedEnd === undefined);
  const addresses = service.networks.filter((attachment) => attachment.ipv4Address !== undefined);
  return [
    ...ports.map((port) => `port ${port.published}/${port.protocol}`),
    ...addresses.map((attachment) => `address ${attachment.network} ${attachment.ipv4Address}`),
  ];
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function restartsAfterSuccess(service: Service): boolean {
  return service.restart.kind === 'always' || service.restart.kind === 'unless-stopped';
}
