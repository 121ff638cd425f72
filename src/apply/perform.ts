import { TscomposeError } from '../errors.ts';
import type { ContainerRef, Step } from '../plan/step.ts';
import type { Machine } from './machine.ts';
import { waitForContainer } from './wait.ts';

export interface PerformContext {
  readonly machine: Machine;
  /** Name → id of the containers this plan has created so far; steps add to it. */
  readonly created: Map<string, string>;
  /** Breaks waits off. */
  readonly signal: AbortSignal;
}

/** Does one step; resolves to the word that tells how it came out, where that is not always the same. */
export function performStep(step: Step, context: PerformContext): Promise<string | undefined> {
  // The table is a mapped type over the steps, so the performer found under `do` takes exactly this step.
  const perform = performers[step.do] as (step: Step, context: PerformContext) => Promise<string | undefined>;
  return perform(step, context);
}

type Performers = {
  readonly [Kind in Step['do']]: (step: Extract<Step, { do: Kind }>, context: PerformContext) => Promise<string | undefined>;
};

const performers: Performers = {
  'create-network': (step, { machine }) => silently(machine.createNetwork(step.network, step.fingerprint)),
  'remove-network': (step, { machine }) => silently(machine.removeNetwork(step.name)),
  'create-volume': (step, { machine }) => silently(machine.createVolume(step.volume, step.fingerprint)),
  'remove-volume': (step, { machine }) => silently(machine.removeVolume(step.name)),
  'create-container': async ({ do: _do, ...request }, { machine, created }) => {
    created.set(request.name, await machine.createContainer(request));
    return undefined;
  },
  'start-container': (step, context) => silently(context.machine.startContainer(idOf(step.container, context))),
  'stop-container': (step, context) => silently(context.machine.stopContainer(idOf(step.container, context), step.graceMs)),
  'kill-container': (step, context) => silently(context.machine.killContainer(idOf(step.container, context), step.signal)),
  'pause-container': (step, context) => silently(context.machine.pauseContainer(idOf(step.container, context))),
  'unpause-container': (step, context) => silently(context.machine.unpauseContainer(idOf(step.container, context))),
  'remove-container': (step, context) => silently(context.machine.removeContainer(idOf(step.container, context), step.volumes)),
  'wait-container': (step, context) =>
    waitForContainer(context.machine, { ...step, id: idOf(step.container, context), signal: context.signal }),
};

async function silently(effect: Promise<void>): Promise<undefined> {
  await effect;
  return undefined;
}

/** A reference without an id is to a container that this plan creates. */
function idOf(container: ContainerRef, { created }: PerformContext): string {
  const id = container.id ?? created.get(container.name);
  if (id === undefined)
    throw new TscomposeError('NO_SUCH_CONTAINER', `there is no container ${container.name}`, { service: container.service });
  return id;
}
