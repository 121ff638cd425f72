import type { Dependency, Service } from '../model/project.ts';
import { hasCompleted } from './container.ts';
import type { PlanDraft } from './draft.ts';
import type { ServiceGraph } from './graph.ts';
import { type Slot, refToSlot } from './slots.ts';
import type { Step } from './step.ts';

/** What holds a container's start back until its dependencies are as far as `depends_on` wants them. */
export interface Gates {
  /** Ids of the steps that must have ended before a container of this service starts; adds the waits it takes. */
  readonly before: (service: Service) => readonly number[];
  /** Tells that this step starts the slot's container. */
  readonly began: (slot: Slot, start: number) => void;
  /** The step that started the slot's container; undefined when it is left alone. */
  readonly startOf: (slot: Slot) => number | undefined;
}

type Until = Extract<Step, { do: 'wait-container' }>['until'];

/**
 * Gates among these slots. Dependencies that have no slot (inactive, or left out by noDeps) hold nothing back; with `waitForOthers`
 * false neither do those that this plan does not start.
 */
export function createGates(
  draft: PlanDraft,
  graph: ServiceGraph,
  slots: ReadonlyMap<string, readonly Slot[]>,
  waitForOthers: boolean,
): Gates {
  const starts = new Map<Slot, number>();
  const waits = new Map<string, number>();

  const waitFor = (slot: Slot, until: Until, required: boolean, because: string): number => {
    const key = JSON.stringify([slot.service.name, slot.number, until, required]);
    const known = waits.get(key);
    if (known !== undefined) return known;
    const id = draft.add({ do: 'wait-container', container: refToSlot(slot), until, required }, because, [starts.get(slot)]);
    waits.set(key, id);
    return id;
  };

  const gateOf = (dependency: Dependency, dependant: Service, slot: Slot): number | undefined => {
    const until = untilOf[dependency.condition];
    if (until === 'started') return starts.get(slot);
    if (!starts.has(slot) && (!waitForOthers || isFulfilled(slot, until))) return undefined;
    return waitFor(slot, until, dependency.required, `${dependant.name} depends on it`);
  };

  return {
    before(service) {
      const dependencies = graph.dependencies.get(service.name) ?? [];
      const gates = dependencies.flatMap((dependency) =>
        (slots.get(dependency.service) ?? []).map((needed) => gateOf(dependency, service, needed)),
      );
      return gates.filter((id) => id !== undefined);
    },
    began(slot, start) {
      starts.set(slot, start);
    },
    startOf: (slot) => starts.get(slot),
  };
}

/** The last steps of `--wait`: until every container runs, healthy where it has a health check, or is done with its work. */
export function addWaits(
  draft: PlanDraft,
  gates: Gates,
  slots: ReadonlyMap<string, readonly Slot[]>,
  graph: ServiceGraph,
  timeoutMs: number | undefined,
): void {
  const all = graph.order.flatMap((name) => slots.get(name) ?? []);
  const open = all.filter((slot) => gates.startOf(slot) !== undefined || !isRunningOrHealthy(slot));
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  for (const slot of open) {
    const step: Step = {
      do: 'wait-container',
      container: refToSlot(slot),
      until: 'running-or-healthy',
      required: true,
      ...limit,
    };
    draft.add(step, 'waiting was asked for', [gates.startOf(slot)]);
  }
}

const untilOf = {
  service_started: 'started',
  service_healthy: 'healthy',
  service_completed_successfully: 'completed',
} as const satisfies Readonly<Record<Dependency['condition'], Until>>;

/** Already so, in a container that this plan leaves alone. */
function isFulfilled(slot: Slot, until: 'healthy' | 'completed'): boolean {
  if (slot.kept === undefined) return false;
  return until === 'healthy'
    ? slot.kept.state === 'running' && slot.kept.health === 'healthy'
    : slot.kept.state === 'exited' && slot.kept.exitCode === 0;
}

function isRunningOrHealthy({ kept }: Slot): boolean {
  if (kept === undefined) return false;
  if (hasCompleted(kept)) return true;
  return (
    kept.state === 'running' && (kept.health === 'healthy' || (kept.health === 'none' && kept.spec.healthcheck === undefined))
  );
}
