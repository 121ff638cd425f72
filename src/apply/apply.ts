import { setMaxListeners } from 'node:events';
import { TscomposeError } from '../errors.ts';
import type { EventSink } from '../events.ts';
import type { Plan, PlannedStep, Step } from '../plan/step.ts';
import { announce } from './announce.ts';
import type { Machine } from './machine.ts';
import { performStep } from './perform.ts';
import { createTurnstile } from './turnstile.ts';

export interface ApplyOptions {
  /** stop: the first failure keeps every step that has not begun from beginning. continue (teardown): the rest goes on as far as it can. */
  readonly onError: 'stop' | 'continue';
  /** How many steps at once, waits not counted; default: as many as the plan allows. */
  readonly parallel?: number;
}

export interface StepFailure {
  readonly planned: PlannedStep;
  readonly error: unknown;
}

export interface ApplyResult {
  /** In the order in which they happened. */
  readonly failures: readonly StepFailure[];
  /** Ids of the steps that were not begun. */
  readonly skipped: readonly number[];
  /** The abort signal came before the end. */
  readonly interrupted: boolean;
  /** Name → id of the containers that were created. */
  readonly created: ReadonlyMap<string, string>;
}

/**
 * Carries a plan out through the machine, as concurrently as its order allows, and tells every step. What is running when something
 * fails is let finish. @throws the first failure, once everything has ended; INTERRUPTED after an abort
 */
export async function apply(
  plan: Plan,
  machine: Machine,
  tell: EventSink,
  abort: AbortSignal,
  options: ApplyOptions,
): Promise<ApplyResult> {
  const result = await attempt(plan, machine, tell, abort, options);
  const [first] = result.failures;
  if (first !== undefined) throw first.error;
  if (result.interrupted) throw new TscomposeError('INTERRUPTED', 'interrupted');
  return result;
}

/** The same, with failures as part of the result. Never rejects. */
export async function attempt(
  plan: Plan,
  machine: Machine,
  tell: EventSink,
  abort: AbortSignal,
  options: ApplyOptions,
): Promise<ApplyResult> {
  const halt = new AbortController();
  const signal = AbortSignal.any([abort, halt.signal]);
  // Every wait listens; Node takes more than ten for a leak.
  setMaxListeners(0, signal);
  const enter = createTurnstile(options.parallel ?? Number.POSITIVE_INFINITY);
  const created = new Map<string, string>();
  const failures: StepFailure[] = [];
  const skipped: number[] = [];

  const fail = (planned: PlannedStep, error: unknown): Outcome => {
    failures.push({ planned, error });
    if (options.onError === 'stop') halt.abort(error);
    return 'failed';
  };
  const skip = (planned: PlannedStep): Outcome => {
    skipped.push(planned.id);
    return 'skipped';
  };
  const carryOut = async (planned: PlannedStep, prerequisites: readonly Prerequisite[]): Promise<Outcome> => {
    if (signal.aborted || prerequisites.some((prerequisite) => bars(prerequisite, planned, options))) return skip(planned);
    const say = announce(tell, planned);
    try {
      say.working();
      say.done(await performStep(planned.step, { machine, created, signal }));
      return 'done';
    } catch (error) {
      // A wait that is broken off because something else failed has not failed itself.
      if (signal.aborted && planned.step.do === 'wait-container') return skip(planned);
      if (isOptional(planned.step)) {
        say.warning(error);
        return 'done';
      }
      say.error(error);
      return fail(planned, error);
    }
  };

  await inOrder(plan, async (planned, prerequisites) =>
    planned.step.do === 'wait-container' ? carryOut(planned, prerequisites) : enter(() => carryOut(planned, prerequisites)),
  );
  return { failures, skipped, interrupted: abort.aborted && skipped.length > 0, created };
}

type Outcome = 'done' | 'failed' | 'skipped';

interface Prerequisite {
  readonly step: Step;
  readonly outcome: Outcome;
}

/** Every step of a plan comes after its prerequisites in the list, so their promises are there before it asks for them. */
async function inOrder(
  plan: Plan,
  carryOut: (planned: PlannedStep, prerequisites: readonly Prerequisite[]) => Promise<Outcome>,
): Promise<void> {
  const outcomes: Promise<Prerequisite>[] = [];
  for (const planned of plan.steps) {
    const ended = Promise.all(planned.after.map((id) => outcomes[id] as Promise<Prerequisite>));
    outcomes.push(
      ended.then((prerequisites) => carryOut(planned, prerequisites)).then((outcome) => ({ step: planned.step, outcome })),
    );
  }
  await Promise.all(outcomes);
}

/** In a teardown order matters less than getting on: only a failure on the very same container keeps a step back. */
function bars({ step, outcome }: Prerequisite, planned: PlannedStep, { onError }: ApplyOptions): boolean {
  if (outcome === 'done') return false;
  return onError === 'stop' || (containerIdOf(step) !== undefined && containerIdOf(step) === containerIdOf(planned.step));
}

function containerIdOf(step: Step): string | undefined {
  return 'container' in step ? (step.container.id ?? step.container.name) : undefined;
}

function isOptional(step: Step): boolean {
  return step.do === 'wait-container' && !step.required;
}
