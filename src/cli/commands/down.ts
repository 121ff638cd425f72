import { TscomposeError } from '../../errors.ts';
import type { Project } from '../../model/project.ts';
import type { DownOptions } from '../../supervise/control.ts';
import { type CommandRun, type Invocation, noteWithoutMeaning, withProgress } from '../invocation.ts';
import { isSwitchedOn } from '../surroundings.ts';
import {
  findProjectName,
  loadProject,
  loadWish,
  paceOf,
  tellDryRun,
  timeoutField,
  warnNothing,
  withSupervisor,
} from '../project.ts';

export interface DownFlags {
  readonly volumes?: boolean;
  readonly removeOrphans?: boolean;
  readonly rmi?: string;
  readonly timeout?: number;
}

/** Stops and removes what the project made. Needs no compose file when the project's name is given. */
export const run: CommandRun<DownFlags> = async (invocation, services, flags) => {
  if (flags.rmi !== undefined) noteWithoutMeaning(invocation, ['--rmi']);
  const { name, project } = await projectIfAny(invocation);
  const options: DownOptions = {
    services,
    volumes: flags.volumes === true,
    removeOrphans: flags.removeOrphans ?? isSwitchedOn(invocation.around.env, 'COMPOSE_REMOVE_ORPHANS'),
    ...timeoutField(flags.timeout),
  };
  if (!(await invocation.doors.isKnown(name))) {
    warnNothing(invocation, name);
    return 0;
  }
  if (invocation.globals.dryRun) return showDry(invocation, name, project, options);
  await withProgress(invocation, 'down', (tell) =>
    withSupervisor(invocation, name, async (client) => {
      await client.call('down', { ...(project && { project }), options, ...paceOf(invocation) }, tell);
      const { ending } = await client.call('leave', {});
      if (ending) await client.closed;
    }),
  );
  return 0;
};

/** With `-p NAME` the file is no condition; without, it tells which project is meant. */
async function projectIfAny(invocation: Invocation): Promise<{ name: string; project?: Project }> {
  const { globals, doors } = invocation;
  if (globals.projectName === undefined || globals.file.length > 0) {
    const { project } = await loadProject(invocation, { showWarnings: false });
    return { name: project.name, project };
  }
  const name = await findProjectName(invocation);
  const loaded = await doors.load(loadWish(invocation, {})).catch(ignoreMissingFile);
  return loaded?.project?.name === name ? { name, project: loaded.project } : { name };
}

function ignoreMissingFile(error: unknown): undefined {
  if (error instanceof TscomposeError) return undefined;
  throw error;
}

async function showDry(
  invocation: Invocation,
  name: string,
  project: Project | undefined,
  options: DownOptions,
): Promise<number> {
  const { doors } = invocation;
  const plan = await doors.planDown(project, await doors.observe(name), options);
  await tellDryRun(invocation, await doors.printPlan(plan));
  return 0;
}
