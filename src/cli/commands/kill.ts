import { type CommandRun, warn } from '../invocation.ts';
import { observeProject } from '../project.ts';
import { onContainers } from './lifecycle.ts';

export interface KillFlags {
  readonly signal: string;
  readonly removeOrphans?: boolean;
}

/** Sends a signal to the running containers of the services. */
export const run: CommandRun<KillFlags> = async (invocation, services, flags) => {
  const observed = await observeProject(invocation);
  if (!observed.containers.some((container) => container.state !== 'created' && container.state !== 'exited'))
    warn(invocation, 'no container to kill');
  return onContainers(invocation, 'kill', services, (client, tell) =>
    client.call('kill', { services, signal: flags.signal, removeOrphans: flags.removeOrphans === true }, tell),
  );
};
