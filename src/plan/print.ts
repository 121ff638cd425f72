import type { Plan, PlannedStep, Step } from './step.ts';

export interface PrintOptions {
  /** Show each step's number and those it comes after. */
  readonly order?: boolean;
}

/**
 * A plan as text, one line a step: "+ create-container  shop-api-1   not there". "+" makes, "-" takes away, "~" changes, "?" waits; notices
 * follow with "!". The same plan always gives the same text. Without a line feed at the end.
 */
export function printPlan(plan: Plan, options: PrintOptions = {}): string {
  const rows = plan.steps.map((planned) => ({ planned, name: subjectOf(planned.step) }));
  const verbWidth = Math.max(0, ...rows.map(({ planned }) => planned.step.do.length));
  const nameWidth = Math.max(0, ...rows.map(({ name }) => name.length));
  const numberWidth = String(Math.max(0, rows.length - 1)).length;
  const lines = rows.map(({ planned, name }) => {
    const number = options.order ? `${String(planned.id).padStart(numberWidth)} ` : '';
    const head = `${number}${marks[planned.step.do]} ${planned.step.do.padEnd(verbWidth)}  ${name.padEnd(nameWidth)}`;
    return `${head}  ${reasonOf(planned)}${options.order ? prerequisites(planned) : ''}`;
  });
  if (lines.length === 0) lines.push('nothing to do');
  return [...lines, ...plan.notices.map((notice) => `! ${notice}`)].join('\n');
}

/** What a step is about, by the name the user knows: "shop-api-1", "shop_default". */
export function subjectOf(step: Step): string {
  if (step.do === 'create-network') return step.network.name;
  if (step.do === 'create-volume') return step.volume.name;
  return 'container' in step ? step.container.name : step.name;
}

const marks: { readonly [Kind in Step['do']]: string } = {
  'create-network': '+',
  'remove-network': '-',
  'create-volume': '+',
  'remove-volume': '-',
  'create-container': '+',
  'start-container': '~',
  'stop-container': '~',
  'kill-container': '~',
  'pause-container': '~',
  'unpause-container': '~',
  'remove-container': '-',
  'wait-container': '?',
};

function reasonOf({ step, because }: PlannedStep): string {
  return step.do === 'wait-container' ? `until ${step.until}${step.required ? '' : ' (optional)'}: ${because}` : because;
}

function prerequisites({ after }: PlannedStep): string {
  return after.length === 0 ? '' : `  [after ${after.join(' ')}]`;
}
