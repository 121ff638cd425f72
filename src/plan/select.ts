import { TscomposeError } from '../errors.ts';
import type { Observed, ObservedContainer } from '../model/observed.ts';
import type { Project, Service } from '../model/project.ts';
import { sortedContainers } from './container.ts';
import { type ServiceGraph, withDependencies } from './graph.ts';
import type { PlanOptions } from './options.ts';

/**
 * The services this `up` is about: those named (all when none is), their dependencies unless noDeps.
 * @throws NO_SUCH_SERVICE
 */
export function selectServices(project: Project, graph: ServiceGraph, options: PlanOptions): ReadonlySet<string> {
  for (const name of [...options.services, ...Object.keys(options.scale)]) requireService(project, name);
  if (options.services.length === 0) return new Set(graph.order);
  return options.noDeps ? new Set(options.services) : withDependencies(graph, options.services);
}

/** Containers of services that the file no longer has. Those of inactive profiles and one-offs are none. */
export function orphansOf(project: Project, observed: Observed): readonly ObservedContainer[] {
  const known = new Set([...project.services.map((service) => service.name), ...project.inactiveServices]);
  return sortedContainers(observed.containers.filter((container) => !container.oneOff && !known.has(container.service)));
}

/** How many containers of a service are wanted. */
export function wantedReplicas(service: Service, options: PlanOptions): number {
  return Object.hasOwn(options.scale, service.name) ? (options.scale[service.name] as number) : service.replicas;
}

/**
 * The observed containers of these services; all when none is named.
 * @throws NO_SUCH_SERVICE when a named service has no container
 */
export function containersOf(observed: Observed, services: readonly string[]): readonly ObservedContainer[] {
  for (const name of services) {
    if (!observed.containers.some((container) => container.service === name)) throw noSuchService(name);
  }
  const chosen = observed.containers.filter((container) => services.length === 0 || services.includes(container.service));
  return sortedContainers(chosen);
}

function requireService(project: Project, name: string): void {
  if (project.services.some((service) => service.name === name)) return;
  if (project.inactiveServices.includes(name)) {
    throw new TscomposeError('NO_SUCH_SERVICE', `service "${name}" belongs to a profile that is not active`, {
      service: name,
      hint: 'name its profile with --profile',
    });
  }
  throw noSuchService(name);
}

function noSuchService(name: string): TscomposeError {
  return new TscomposeError('NO_SUCH_SERVICE', `no such service: ${name}`, { service: name });
}
