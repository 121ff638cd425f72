/** The door of the room: the difference between what is wanted and what is there, as a plan. Pure. */

export { planKill, planPause, planRemove, planRestart, planStart, planStop, planUnpause } from './commands.ts';
export { planDown } from './down.ts';
export {
  type DownPlanOptions,
  type KillOptions,
  type PauseOptions,
  type PlanOptions,
  type RemoveOptions,
  type RestartOptions,
  type RunOptions,
  type StartOptions,
  type StopOptions,
  defaultPlanOptions,
} from './options.ts';
export { printPlan } from './print.ts';
export { type OneOffContainer, type RunPlan, planRun } from './run.ts';
export { planUp } from './up.ts';
