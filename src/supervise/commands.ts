/** What each request of the command line comes to: look, plan, carry out. */

import { apply } from '../apply/apply.ts';
import type { Machine } from '../apply/machine.ts';
import { TscomposeError } from '../errors.ts';
import type { ObservedContainer } from '../model/observed.ts';
import type { Project, Service } from '../model/project.ts';
import {
  planDown,
  planKill,
  planPause,
  planRemove,
  planRestart,
  planRun,
  planStart,
  planStop,
  planUnpause,
  planUp,
} from '../plan/plan.ts';
import type { Plan } from '../plan/step.ts';
import type { ControlMethods, SyncOperation } from './control.ts';
import { createQueue } from './queue.ts';
import type { CallContext, Handlers } from './server.ts';

/** What a supervisor's machine can do beside what apply needs of it. */
export interface SupervisedMachine extends Machine {
  /** Keeps a project's definitions and the values its configs and secrets take from the caller's environment. */
  remember(project: Project, values: Readonly<Record<string, string>>): void;
  /** The project as it was last remembered. */
  definition(): Project | undefined;
  /** Gives back what `preflight` had set aside and nobody took. */
  forgetForeseen(): void;
  /** Starts a container whose program waits until somebody is attached at the path this resolves to. */
  startAttached(id: string): Promise<string>;
  sync(id: string, operations: readonly SyncOperation[]): Promise<number>;
}

/** `leave` is asked when a caller needs nothing more; it tells whether the supervisor ends now. */
export function createHandlers(machine: SupervisedMachine, project: string, leave: () => boolean): Handlers {
  const inTurn = createQueue();

  /** Commands that change something run one after the other. */
  const changing =
    <P, R>(handler: (params: P, context: CallContext) => Promise<R>) =>
    (params: P, context: CallContext): Promise<R> =>
      inTurn(() => handler(params, context));

  const teardown = async (plan: Plan, context: CallContext): Promise<null> => {
    await carryOut(machine, plan, context, 'continue');
    return null;
  };

  return {
    hello: async () => ({ version: 1, pid: process.pid, project }),
    observe: () => machine.observe(),
    plan: async ({ project: wanted, options }) => planUp(wanted, await machine.observe(), options),
    up: changing((params, context) => up(machine, params, context)),
    down: changing(async ({ project: known, options, parallel }, context) => {
      const plan = planDown(known, await machine.observe(), options);
      await carryOut(machine, plan, context, 'continue', parallel);
      return { plan };
    }),
    start: changing(async ({ services, wait, waitTimeoutMs }, context) => {
      const options = { services, wait, ...(waitTimeoutMs === undefined ? {} : { waitTimeoutMs }) };
      const plan = planStart(await machine.observe(), options, machine.definition());
      await carryOut(machine, plan, context, 'stop');
      return null;
    }),
    stop: changing(async ({ services, timeoutMs }, context) =>
      teardown(planStop(await machine.observe(), { services, ...timeout(timeoutMs) }, machine.definition()), context),
    ),
    restart: changing(async ({ services, timeoutMs, noDeps }, context) => {
      const plan = planRestart(await machine.observe(), { services, noDeps, ...timeout(timeoutMs) }, machine.definition());
      await carryOut(machine, plan, context, 'stop');
      return null;
    }),
    // Not in turn: the second Ctrl-C must get through while the first one's `stop` is waiting.
    kill: async ({ services, signal }, context) => teardown(planKill(await machine.observe(), { services, signal }), context),
    pause: changing(async ({ services }, context) => teardown(planPause(await machine.observe(), { services }), context)),
    unpause: changing(async ({ services }, context) => teardown(planUnpause(await machine.observe(), { services }), context)),
    rm: changing(async ({ services, stop, volumes }, context) => {
      const plan = planRemove(await machine.observe(), { services, stop, volumes }, machine.definition());
      await carryOut(machine, plan, context, 'continue');
      return { removed: plan.steps.flatMap(({ step }) => (step.do === 'remove-container' ? [step.container.name] : [])) };
    }),
    run: changing((params, context) => run(machine, params, context)),
    remove: changing(async ({ id, volumes }) => {
      await machine.stopContainer(id, 0);
      await machine.removeContainer(id, volumes);
      return null;
    }),
    wait: ({ id }, { signal }) => ended(machine, id, signal),
    subscribe: async (_params, { tell, signal }) => {
      const stop = machine.onChange((change) => tell({ type: 'container', change }));
      signal.addEventListener('abort', stop);
      return null;
    },
    leave: async () => ({ ending: leave() }),
    sync: async ({ id, operations }) => ({ done: await machine.sync(id, operations) }),
    probe: ({ id, command, timeoutMs }) => machine.probe(id, command, timeoutMs),
  };
}

async function up(
  machine: SupervisedMachine,
  { project, secrets, options, parallel }: ControlMethods['up']['params'],
  context: CallContext,
): Promise<ControlMethods['up']['result']> {
  const observed = await machine.observe();
  const plan = planUp(project, observed, options);
  machine.remember(project, secrets);
  await machine.preflight(project, startedServices(plan, observed.containers), removedIds(plan));
  try {
    await carryOut(machine, plan, context, 'stop', parallel);
  } finally {
    machine.forgetForeseen();
  }
  return { plan };
}

async function run(
  machine: SupervisedMachine,
  { project, secrets, service, spec, name, noDeps, useAliases, waitAttach }: ControlMethods['run']['params'],
  context: CallContext,
): Promise<ControlMethods['run']['result']> {
  const observed = await machine.observe();
  const planned = planRun(project, observed, { service, spec, noDeps, useAliases, ...(name === undefined ? {} : { name }) });
  await machine.preflight(project, [...startedServices(planned.plan, observed.containers), planned.container.service], []);
  machine.remember(project, secrets);
  await carryOut(machine, planned.plan, context, 'stop');
  const id = await machine.createContainer(planned.container);
  try {
    const socket = waitAttach ? await machine.startAttached(id) : await machine.startContainer(id).then(() => '');
    return { id, name: planned.container.name, socket };
  } catch (error) {
    await machine.removeContainer(id, true).catch(() => undefined);
    throw error;
  }
}

async function carryOut(
  machine: Machine,
  plan: Plan,
  { tell, signal }: CallContext,
  onError: 'stop' | 'continue',
  parallel?: number,
): Promise<void> {
  tell({ type: 'plan', steps: plan.steps.length, notices: plan.notices });
  await apply(plan, machine, tell, signal, { onError, ...(parallel === undefined ? {} : { parallel }) });
}

/** The services whose containers a plan starts. */
function startedServices(plan: Plan, containers: readonly ObservedContainer[]): Service[] {
  return plan.steps.flatMap(({ step }) => {
    if (step.do === 'create-container') return [step.service];
    if (step.do !== 'start-container') return [];
    const existing = containers.find((container) => container.id === step.container.id);
    return existing ? [existing.spec] : [];
  });
}

function removedIds(plan: Plan): string[] {
  return plan.steps.flatMap(({ step }) => (step.do === 'remove-container' && step.container.id ? [step.container.id] : []));
}

function timeout(timeoutMs: number | undefined): { graceMs?: number } {
  return timeoutMs === undefined ? {} : { graceMs: timeoutMs };
}

/** Resolves when a container has ended and no restart is due. */
function ended(machine: Machine, id: string, signal: AbortSignal): Promise<{ exitCode: number }> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const container = machine.inspect(id);
      if (!container) settle(() => reject(new TscomposeError('NO_SUCH_CONTAINER', `there is no container ${id.slice(0, 12)}`)));
      else if (container.state === 'exited') settle(() => resolve({ exitCode: container.exitCode ?? 255 }));
    };
    const stop = machine.onChange(look);
    const settle = (finish: () => void): void => {
      stop();
      finish();
    };
    signal.addEventListener('abort', () => settle(() => reject(signal.reason)));
    look();
  });
}
