/** The library's door: what another program may use. Everything else is free to change. */

export { apply } from './apply/apply.ts';
export type { Machine } from './apply/machine.ts';
export { type ErrorCode, type Position, TscomposeError } from './errors.ts';
export type { Event, EventSink } from './events.ts';
export { load } from './load/load.ts';
export type { Observed } from './model/observed.ts';
export type { Project, Service } from './model/project.ts';
export { planDown, planUp } from './plan/plan.ts';
export type { Plan, PlannedStep, Step } from './plan/step.ts';
export { openMachine } from './wire.ts';
