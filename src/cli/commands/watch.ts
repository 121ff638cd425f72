import { posix } from 'node:path';
import type { UpOptions } from '../../supervise/control.ts';
import { startWatch, type Watching, type WatchTarget } from '../../watch/watch.ts';
import { type CommandRun, type Invocation, tellError, warn, withProgress } from '../invocation.ts';
import {
  interruption,
  type LoadedProject,
  loadProject,
  needRoot,
  noSuchService,
  paceOf,
  refuseDryRun,
  withSupervisor,
} from '../project.ts';
import { upOptions } from './up-options.ts';

export interface WatchFlags {
  /** `--no-up` makes it false. */
  readonly up: boolean;
  readonly quiet?: boolean;
}

export interface WatchingWish {
  readonly services: readonly string[];
  /** Says nothing but warnings. */
  readonly quiet: boolean;
}

const INTERRUPTED = 130;
/** A command of `sync+exec` may take this long, in milliseconds. */
const EXEC_TIMEOUT_MS = 600_000;

/** Starts the services and follows their files until Ctrl-C. */
export const run: CommandRun<WatchFlags> = async (invocation, services, flags) => {
  refuseDryRun(invocation, 'watch');
  needRoot(invocation);
  const loaded = await loadProject(invocation, { services });
  for (const name of services)
    if (!loaded.project.services.some((service) => service.name === name))
      throw noSuchService(
        name,
        loaded.project.services.map((service) => service.name),
      );
  if (flags.up) await bringUp(invocation, loaded, upOptions(invocation, services, {}));
  const watching = startWatching(invocation, loaded, { services, quiet: flags.quiet === true });
  const interrupted = interruption(invocation);
  await interrupted.promise.catch(() => undefined);
  interrupted.forget();
  await watching.stop();
  return INTERRUPTED;
};

async function bringUp(invocation: Invocation, { project, secrets }: LoadedProject, options: UpOptions): Promise<void> {
  await withProgress(invocation, 'up', (tell) =>
    withSupervisor(invocation, project.name, (client) =>
      client.call('up', { project, secrets, options, ...paceOf(invocation) }, tell),
    ),
  );
}

export function startWatching(invocation: Invocation, loaded: LoadedProject, wish: WatchingWish): Watching {
  const { around, paintErr } = invocation;
  return startWatch({
    project: loaded.project,
    services: wish.services,
    projectFiles: projectFiles(loaded),
    target: watchTarget(invocation, loaded, wish.services),
    say: (line) => void (wish.quiet || around.stderr.write(`${paintErr('green', '⦿')} ${line}\n`)),
    warn: (message) => warn(invocation, message),
  });
}

/** The .env beside the compose file counts as one of the project's files, whether or not it is there yet. */
function projectFiles({ project }: LoadedProject): string[] {
  return [...project.configFiles.filter((file) => posix.isAbsolute(file)), posix.join(project.workingDir, '.env')];
}

/** Short connections: a supervisor that was replaced meanwhile is found again by the next change. */
function watchTarget(invocation: Invocation, { project }: LoadedProject, services: readonly string[]): WatchTarget {
  const { doors } = invocation;
  const name = project.name;
  return {
    containers: async (service) => {
      const { containers } = await doors.observe(name);
      return containers
        .filter((container) => container.service === service && container.state === 'running' && !container.oneOff)
        .map((container) => container.id);
    },
    sync: async (id, operations) => void (await calling(invocation, name, (client) => client.call('sync', { id, operations }))),
    restart: async (service) =>
      void (await calling(invocation, name, (client) => client.call('restart', { services: [service], noDeps: true }))),
    exec: (id, command) =>
      calling(invocation, name, (client) => client.call('probe', { id, command, timeoutMs: EXEC_TIMEOUT_MS })),
    up: async () => {
      try {
        const again = await loadProject(invocation, { services });
        if (again.project.name !== name)
          return void warn(invocation, `the project is now called "${again.project.name}"; start it anew to follow that one`);
        await bringUp(invocation, again, upOptions(invocation, services, {}));
        return again.project;
      } catch (error) {
        tellError(invocation, error);
        return undefined;
      }
    },
  };
}

async function calling<T>(
  invocation: Invocation,
  project: string,
  work: (client: Awaited<ReturnType<Invocation['doors']['supervisor']>>) => Promise<T>,
): Promise<T> {
  const client = await invocation.doors.supervisor(project);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
