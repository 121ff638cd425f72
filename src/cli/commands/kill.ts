import { type CommandRun, noteWithoutMeaning, warn } from '../invocation.ts';
import { observeProject } from '../project.ts';
import { onContainers } from './lifecycle.ts';

export interface KillFlags {
  readonly signal: string;
  readonly removeOrphans?: boolean;
}

/** Sends a signal to the running containers of the services. */
export const run: CommandRun<KillFlags> = async (invocation, services, flags) => {
  if (flags.removeOrphans === true)
    noteWithoutMeaning(invocation, ['--remove-orphans'], 'kill removes nothing; use "up --remove-orphans"');
  const observed = await observeProject(invocation);
  if (!observed.containers.some((container) => container.state !== 'created' && container.state !== 'exited'))
    warn(invocation, 'no container to kill');
  return onContainers(invocation, 'kill', services, (client, tell) =>
    client.call('kill', { services, signal: flags.signal, removeOrphans: flags.removeOrphans === true }, tell),
  );
};
