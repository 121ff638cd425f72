/** start, stop, restart, pause, unpause: one call of the supervisor on containers that are there. */
import type { EventSink } from '../../events.ts';
import type { ControlClient } from '../../supervise/client.ts';
import { type CommandRun, type Invocation, withProgress } from '../invocation.ts';
import { checkServices, findProjectName, refuseDryRun, timeoutField, withSupervisor } from '../project.ts';

export interface TimeoutFlags {
  /** Seconds. */
  readonly timeout?: number;
}

export interface StartFlags {
  readonly wait?: boolean;
  readonly waitTimeout?: number;
}

export interface RestartFlags extends TimeoutFlags {
  /** `--no-deps` makes it false. */
  readonly deps: boolean;
}

export const start: CommandRun<StartFlags> = (invocation, services, flags) =>
  onContainers(invocation, 'start', services, (client, tell) =>
    client.call(
      'start',
      {
        services,
        wait: flags.wait === true || flags.waitTimeout !== undefined,
        ...(flags.waitTimeout !== undefined && { waitTimeoutMs: flags.waitTimeout * 1000 }),
      },
      tell,
    ),
  );

export const stop: CommandRun<TimeoutFlags> = (invocation, services, flags) =>
  onContainers(invocation, 'stop', services, (client, tell) =>
    client.call('stop', { services, ...timeoutField(flags.timeout) }, tell),
  );

export const restart: CommandRun<RestartFlags> = (invocation, services, flags) =>
  onContainers(invocation, 'restart', services, (client, tell) =>
    client.call('restart', { services, noDeps: !flags.deps, ...timeoutField(flags.timeout) }, tell),
  );

export const pause: CommandRun<unknown> = (invocation, services) =>
  onContainers(invocation, 'pause', services, (client, tell) => client.call('pause', { services }, tell));

export const unpause: CommandRun<unknown> = (invocation, services) =>
  onContainers(invocation, 'unpause', services, (client, tell) => client.call('unpause', { services }, tell));

type Work = (client: ControlClient, tell: EventSink) => Promise<unknown>;

/** Nothing is started to find that there is nothing to do. */
export async function onContainers(
  invocation: Invocation,
  command: string,
  services: readonly string[],
  work: Work,
): Promise<number> {
  refuseDryRun(invocation, command);
  const project = await findProjectName(invocation);
  const observed = await invocation.doors.observe(project);
  await checkServices(invocation, observed, services);
  if (observed.containers.length === 0) return 0;
  await withProgress(invocation, command, (tell) => withSupervisor(invocation, project, (client) => work(client, tell)));
  return 0;
}
