import { fingerprintService } from '../model/fingerprint.ts';
import type { Observed } from '../model/observed.ts';
import type { Project, Service } from '../model/project.ts';
import { dependenciesOf, dependencyGraph, withDependencies } from './graph.ts';
import { type RunOptions, defaultPlanOptions } from './options.ts';
import type { Plan, Step } from './step.ts';
import { planServices } from './up.ts';

/** What `run` comes to: first the plan, then one container beside the service's own. */
export interface RunPlan {
  /** Brings the dependencies up and makes the networks and volumes it needs. */
  readonly plan: Plan;
  /** The one-off container, to be created when the plan is done. */
  readonly container: OneOffContainer;
}

export type OneOffContainer = Pick<
  Extract<Step, { do: 'create-container' }>,
  'name' | 'service' | 'number' | 'oneOff' | 'fingerprint'
>;

/**
 * Dependencies are brought up under the service's own conditions unless noDeps; a container that is up to date is not touched.
 * @throws NO_SUCH_SERVICE, DEPENDENCY_CYCLE, CONFLICT
 */
export function planRun(project: Project, observed: Observed, options: RunOptions): RunPlan {
  const container = oneOffContainer(project, observed, options);
  const dependencies = dependenciesOf(container.service).map((dependency) => dependency.service);
  const graph = dependencyGraph(project.services);
  const asked = options.noDeps
    ? new Set<string>()
    : withDependencies(
        graph,
        dependencies.filter((name) => graph.dependencies.has(name)),
      );
  const plan = planServices({ project, observed, options: defaultPlanOptions, asked, guest: container.service });
  return { plan, container };
}

function oneOffContainer(project: Project, observed: Observed, { spec, service, name, useAliases }: RunOptions): OneOffContainer {
  const { containerName: _fixedName, ...rest } = spec;
  const networks = useAliases ? rest.networks : rest.networks.map((attachment) => ({ ...attachment, aliases: [] }));
  const oneOff: Service = { ...rest, networks, restart: { kind: 'no' }, replicas: 1 };
  const taken = observed.containers.filter((other) => other.oneOff && other.service === service).map((other) => other.number);
  const number = Math.max(0, ...taken) + 1;
  return {
    name: name ?? `${project.name}-${service}-run-${number}`,
    service: oneOff,
    number,
    oneOff: true,
    fingerprint: fingerprintService(oneOff, project),
  };
}
