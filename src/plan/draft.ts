import type { Plan, PlannedStep, Step } from './step.ts';

/** A plan in the making. Steps are added after everything they wait for, so a plan's list is itself a valid order. */
export interface PlanDraft {
  /** Returns the step's id. Undefined prerequisites are what turned out not to be needed. */
  readonly add: (step: Step, because: string, after?: Iterable<number | undefined>) => number;
  readonly notice: (text: string) => void;
  readonly finish: () => Plan;
}

/** An empty plan for this project. */
export function draftPlan(project: string): PlanDraft {
  const steps: PlannedStep[] = [];
  const notices: string[] = [];
  return {
    add(step, because, after = []) {
      const id = steps.length;
      steps.push({ id, step, because, after: sortedIds(after) });
      return id;
    },
    notice(text) {
      notices.push(text);
    },
    finish: () => ({ project, steps, notices }),
  };
}

function sortedIds(ids: Iterable<number | undefined>): readonly number[] {
  const known = [...ids].filter((id) => id !== undefined);
  return [...new Set(known)].sort((a, b) => a - b);
}
