import { TscomposeError } from '../../errors.ts';
import { type CommandRun, withProgress } from '../invocation.ts';
import { checkServices, containersOf, findProjectName, withSupervisor } from '../project.ts';

export interface WaitFlags {
  readonly downProject?: boolean;
}

/** Waits until the first of the services' containers has ended; its exit code is ours. */
export const run: CommandRun<WaitFlags> = async (invocation, services, flags) => {
  const project = await findProjectName(invocation);
  const observed = await invocation.doors.observe(project);
  await checkServices(invocation, observed, services);
  const containers = containersOf(observed, services);
  if (containers.length === 0)
    throw new TscomposeError('NO_SUCH_CONTAINER', `no containers for project "${project}"`, {
      hint: 'run `tscompose up -d` first',
    });
  const first = await withSupervisor(invocation, project, (client) =>
    Promise.race(containers.map(async ({ id, name }) => ({ name, ...(await client.call('wait', { id })) }))),
  );
  invocation.around.stdout.write(`container "${first.name}" exited with status code ${first.exitCode}\n`);
  if (flags.downProject === true) await takeDown(invocation, project);
  return first.exitCode;
};

async function takeDown(invocation: Parameters<typeof run>[0], project: string): Promise<void> {
  const options = { services: [], volumes: false, removeOrphans: false };
  await withProgress(invocation, 'down', (tell) =>
    withSupervisor(invocation, project, (client) => client.call('down', { options }, tell)),
  );
}
