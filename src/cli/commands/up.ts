import { TscomposeError } from '../../errors.ts';
import type { UpOptions } from '../../supervise/control.ts';
import { type CommandRun, type Invocation, warn, withProgress } from '../invocation.ts';
import {
  findProjectName,
  type LoadedProject,
  loadProject,
  loadWish,
  needRoot,
  paceOf,
  tellDryRun,
  tellUnchanged,
  withSupervisor,
} from '../project.ts';
import { noteImageFlags, type UpFlags, upOptions } from './up-options.ts';

export interface UpCommandFlags extends UpFlags {
  readonly detach?: boolean;
  /** `--attach S` as "S", `--no-attach S` as "!S". */
  readonly attach: readonly string[];
  readonly attachDependencies?: boolean;
  readonly abortOnContainerExit?: boolean;
  readonly abortOnContainerFailure?: boolean;
  readonly exitCodeFrom?: string;
  /** `--no-color` and `--no-log-prefix` make them false. */
  readonly color?: boolean;
  readonly logPrefix?: boolean;
  readonly timestamps?: boolean;
  readonly watch?: boolean;
}

/** Makes the project as the files say; attached unless `-d`. */
export const run: CommandRun<UpCommandFlags> = async (invocation, services, flags) => {
  checkFlags(flags);
  noteImageFlags(invocation, flags);
  const options = upOptions(invocation, services, flags);
  if (invocation.globals.dryRun) return showDry(invocation, await loadProject(invocation, { services }), options);
  needRoot(invocation);
  await startSupervisorEarly(invocation);
  const loaded = await loadProject(invocation, { services });
  if (isDetached(flags, options)) return upDetached(invocation, loaded, options);
  const { upAttached } = await import('../attached.ts');
  return upAttached(invocation, loaded, options, flags);
};

function isDetached(flags: UpCommandFlags, options: UpOptions): boolean {
  return flags.detach === true || options.wait || !options.start;
}

type FlagTest = (flags: UpCommandFlags) => boolean;

const isAborting: FlagTest = (flags) =>
  flags.abortOnContainerExit === true || flags.abortOnContainerFailure === true || flags.exitCodeFrom !== undefined;

/** Pairs of flags that cannot both be meant. */
const contradictions: readonly (readonly [FlagTest, FlagTest, string])[] = [
  [
    (flags) => flags.detach === true,
    isAborting,
    '--detach cannot be combined with --abort-on-container-exit, --abort-on-container-failure or --exit-code-from',
  ],
  [
    (flags) => flags.wait === true,
    isAborting,
    '--wait cannot be combined with --abort-on-container-exit, --abort-on-container-failure or --exit-code-from',
  ],
  [
    (flags) => flags.detach === true,
    (flags) => flags.attach.length > 0,
    '--detach cannot be combined with --attach or --no-attach',
  ],
  [
    (flags) => flags.watch === true,
    (flags) => flags.detach === true || flags.start === false,
    '--watch cannot be combined with --detach or --no-start',
  ],
  [
    (flags) => flags.abortOnContainerExit === true,
    (flags) => flags.abortOnContainerFailure === true,
    '--abort-on-container-failure cannot be combined with --abort-on-container-exit',
  ],
];

/** @throws USAGE */
function checkFlags(flags: UpCommandFlags): void {
  const found = contradictions.find(([first, second]) => first(flags) && second(flags));
  if (found) throw new TscomposeError('USAGE', found[2], { hint: 'leave one of them out' });
}

/** The supervisor starts while we read the files. A wrong guess costs nothing: one without work ends by itself. */
async function startSupervisorEarly(invocation: Invocation): Promise<void> {
  const name = invocation.globals.projectName ?? (await invocation.doors.guessName(loadWish(invocation, {})));
  if (name !== undefined) await invocation.doors.startSupervisor(await findProjectName(invocation));
}

async function upDetached(invocation: Invocation, { project, secrets }: LoadedProject, options: UpOptions): Promise<number> {
  const command = options.start ? 'up' : 'create';
  const { plan } = await withProgress(invocation, command, (tell) =>
    withSupervisor(invocation, project.name, (client) =>
      client.call('up', { project, secrets, options, ...paceOf(invocation) }, tell),
    ),
  );
  if (plan.steps.length === 0) tellUnchanged(invocation, project.name);
  return 0;
}

async function showDry(invocation: Invocation, { project }: LoadedProject, options: UpOptions): Promise<number> {
  const { doors } = invocation;
  const plan = await doors.planUp(project, await doors.observe(project.name), options);
  for (const notice of plan.notices) warn(invocation, notice);
  await tellDryRun(invocation, await doors.printPlan(plan));
  return 0;
}
