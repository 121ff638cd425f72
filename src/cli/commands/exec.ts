import { TscomposeError } from '../../errors.ts';
import type { CommandRun } from '../invocation.ts';
import { chooseContainer, findProjectName, needRoot, refuseDryRun } from '../project.ts';
import { environmentOf } from '../run-spec.ts';

export interface ExecFlags {
  readonly detach?: boolean;
  readonly env: readonly string[];
  /** `-T` makes it false. */
  readonly TTY: boolean;
  readonly user?: string;
  readonly workdir?: string;
  readonly index?: number;
  readonly privileged?: boolean;
}

/** A command in a running container, on our own stdio; its exit code is ours. No supervisor is needed. */
export const run: CommandRun<ExecFlags> = async (invocation, [service = '', ...command], flags) => {
  const { around, doors } = invocation;
  refuseDryRun(invocation, 'exec');
  if (command.length === 0)
    throw new TscomposeError('USAGE', 'no command to execute', { hint: `e.g. tscompose exec ${service} sh` });
  needRoot(invocation);
  const project = await findProjectName(invocation);
  const container = await chooseContainer(invocation, await doors.observe(project), {
    service,
    ...(flags.index !== undefined && { index: flags.index }),
  });
  if (container.state === 'paused')
    throw new TscomposeError('NOT_RUNNING', `container ${container.name} is paused`, {
      service,
      hint: `tscompose unpause ${service}`,
    });
  return doors.exec({
    project,
    container,
    command,
    environment: Object.entries(environmentOf(flags.env, around.env)).map(([key, value]) => `${key}=${value}`),
    privileged: flags.privileged === true,
    tty: flags.TTY && flags.detach !== true && around.stdin.isTTY && around.stdout.isTTY,
    detach: flags.detach === true,
    ...(flags.user !== undefined && { user: flags.user }),
    ...(flags.workdir !== undefined && { workingDir: flags.workdir }),
  });
};
