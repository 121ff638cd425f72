import { TscomposeError } from '../errors.ts';
import type { Dependency, Service } from '../model/project.ts';

/** Who must be up before whom, among the services it was made of; without cycles. */
export interface ServiceGraph {
  /** Dependencies first; services that do not depend on one another by name. */
  readonly order: readonly string[];
  readonly dependencies: ReadonlyMap<string, readonly Dependency[]>;
  /** The same edges the other way round. */
  readonly dependants: ReadonlyMap<string, readonly string[]>;
}

/**
 * The graph of a project's services, from `depends_on` and from namespaces borrowed from another service.
 * Dependencies on services that are not in the list (inactive profiles) do not count.
 * @throws DEPENDENCY_CYCLE
 */
export function dependencyGraph(services: readonly Service[]): ServiceGraph {
  return graphOf(services, (cycle) => {
    throw new TscomposeError('DEPENDENCY_CYCLE', `dependency cycle: ${cycle.join(' -> ')}`, { service: cycle[0] as string });
  });
}

/** The same for containers that are there whatever the file says now: an edge that closes a cycle is left out. */
export function tolerantGraph(services: readonly Service[]): ServiceGraph {
  return graphOf(services, () => {});
}

/** `depends_on`, and the services whose namespaces it shares: whatever the file says, those it has to follow when they restart. */
export function dependenciesOf(service: Service): readonly Dependency[] {
  const lenders = namespaceLenders(service);
  const named = service.dependsOn.map((edge) => (lenders.includes(edge.service) ? { ...edge, restart: true } : edge));
  const unnamed = lenders.filter((name) => !named.some((edge) => edge.service === name));
  return [...named, ...unnamed.map(lenderDependency)].sort((a, b) => (a.service < b.service ? -1 : 1));
}

/** Services whose network, pid, ipc or uts namespace this one joins ("service:NAME"). */
export function namespaceLenders(service: Service): readonly string[] {
  const modes = [service.pid, service.ipc, service.uts].filter((mode) => mode?.startsWith('service:') === true);
  const names = modes.map((mode) => (mode as string).slice('service:'.length));
  if (service.networkMode.kind === 'service') names.push(service.networkMode.service);
  return [...new Set(names)].sort();
}

/** These services and everything they need, directly or not. */
export function withDependencies(graph: ServiceGraph, names: Iterable<string>): ReadonlySet<string> {
  return closure(names, (name) => (graph.dependencies.get(name) ?? []).map((dependency) => dependency.service));
}

/** These services and the dependants that must follow their restart (`restart: true`), directly or not. */
export function withRestartedDependants(graph: ServiceGraph, names: Iterable<string>): ReadonlySet<string> {
  return closure(names, (name) =>
    (graph.dependants.get(name) ?? []).filter((dependant) => mustFollowRestart(graph, dependant, name)),
  );
}

/** These services and those that share a namespace with them: without the lender's container they are cut off for good. */
export function withBorrowers(services: readonly Service[], names: Iterable<string>): ReadonlySet<string> {
  return closure(names, (name) =>
    services.filter((service) => namespaceLenders(service).includes(name)).map((service) => service.name),
  );
}

/** The nearest dependants for which `isMeant` holds, looking through those for which it does not. */
export function nearestDependants(graph: ServiceGraph, name: string, isMeant: (name: string) => boolean): ReadonlySet<string> {
  const found = new Set<string>();
  closure([name], (current) =>
    (graph.dependants.get(current) ?? []).filter((dependant) => {
      if (isMeant(dependant)) found.add(dependant);
      return !isMeant(dependant);
    }),
  );
  return found;
}

function lenderDependency(service: string): Dependency {
  return { service, condition: 'service_started', restart: true, required: true };
}

function mustFollowRestart(graph: ServiceGraph, dependant: string, dependency: string): boolean {
  return (graph.dependencies.get(dependant) ?? []).some((edge) => edge.service === dependency && edge.restart);
}

function closure(start: Iterable<string>, next: (name: string) => readonly string[]): ReadonlySet<string> {
  const reached = new Set(start);
  // A set's iteration also visits what is added on the way.
  for (const name of reached) for (const other of next(name)) reached.add(other);
  return reached;
}

function graphOf(services: readonly Service[], onCycle: (names: readonly string[]) => void): ServiceGraph {
  const known = new Map(byName(services).map((service) => [service.name, service]));
  const dependencies = new Map<string, Dependency[]>();
  const path: string[] = [];
  const order: string[] = [];

  const visit = (service: Service): void => {
    const edges: Dependency[] = [];
    dependencies.set(service.name, edges);
    path.push(service.name);
    for (const edge of dependenciesOf(service)) {
      const target = known.get(edge.service);
      if (target === undefined) continue;
      const closesCycleAt = path.indexOf(edge.service);
      if (closesCycleAt >= 0) {
        onCycle([...path.slice(closesCycleAt), edge.service]);
        continue;
      }
      if (!dependencies.has(edge.service)) visit(target);
      edges.push(edge);
    }
    path.pop();
    order.push(service.name);
  };

  for (const service of known.values()) if (!dependencies.has(service.name)) visit(service);
  return { order, dependencies, dependants: reversed(order, dependencies) };
}

function byName(services: readonly Service[]): readonly Service[] {
  return [...services].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function reversed(
  order: readonly string[],
  dependencies: ReadonlyMap<string, readonly Dependency[]>,
): ReadonlyMap<string, readonly string[]> {
  const dependants = new Map<string, string[]>(order.map((name) => [name, []]));
  for (const name of [...order].sort()) {
    for (const edge of dependencies.get(name) ?? []) dependants.get(edge.service)?.push(name);
  }
  return dependants;
}
