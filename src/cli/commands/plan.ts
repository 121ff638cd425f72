import type { Plan } from '../../plan/step.ts';
import { type CommandRun, type Invocation, warn } from '../invocation.ts';
import { loadProject } from '../project.ts';
import { type UpFlags, upOptions } from './up-options.ts';

export interface PlanFlags extends UpFlags {
  readonly format: 'text' | 'json';
  readonly detailedExitcode?: boolean;
}

/** Exit statuses of `--detailed-exitcode`, as Terraform's plan has them. */
const NOTHING_TO_DO = 0;
const CHANGES = 2;

/** What `up` would do and why, from files alone: no supervisor, no effects. */
export const run: CommandRun<PlanFlags> = async (invocation, services, flags) => {
  const { doors, around } = invocation;
  const { project } = await loadProject(invocation, { services });
  const plan = await doors.planUp(project, await doors.observe(project.name), upOptions(invocation, services, flags));
  around.stdout.write(flags.format === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : await planText(invocation, plan));
  return flags.detailedExitcode === true && plan.steps.length > 0 ? CHANGES : NOTHING_TO_DO;
};

async function planText(invocation: Invocation, plan: Plan): Promise<string> {
  for (const notice of plan.notices) warn(invocation, notice);
  if (plan.steps.length === 0) return `Nothing to do: "${plan.project}" is as the files say.\n`;
  const text = await invocation.doors.printPlan(plan);
  return text.endsWith('\n') ? text : `${text}\n`;
}
