import { TscomposeError } from '../../errors.ts';
import type { ObservedContainer } from '../../model/observed.ts';
import type { LogWish } from '../doors.ts';
import type { CommandRun, Invocation } from '../invocation.ts';
import { followLogs } from '../log-follower.ts';
import { type LogFormatter, logFormatter } from '../output/log-lines.ts';
import { checkServices, containersOf, findProjectName, shortName } from '../project.ts';
import { callAll } from '../surroundings.ts';

export interface LogsFlags {
  readonly follow?: boolean;
  /** "all" or a number. */
  readonly tail: string;
  readonly since?: string;
  readonly until?: string;
  readonly timestamps?: boolean;
  /** `--no-color` and `--no-log-prefix` make them false. */
  readonly color: boolean;
  readonly logPrefix: boolean;
  readonly index?: number;
}

/** What the containers wrote; no supervisor is needed. */
export const run: CommandRun<LogsFlags> = async (invocation, services, flags) => {
  const project = await findProjectName(invocation);
  const observed = await invocation.doors.observe(project);
  await checkServices(invocation, observed, services);
  checkTail(flags.tail);
  const choose = (containers: readonly ObservedContainer[]): ObservedContainer[] =>
    containers.filter((container) => flags.index === undefined || container.number === flags.index);
  const containers = choose(containersOf(observed, services));
  const formatter = formatterOf(invocation, flags);
  formatter.expect(containers.map((container) => shortName(container, project)));
  if (flags.follow === true)
    await follow(invocation, project, formatter, logWish(flags), async () =>
      choose(containersOf(await invocation.doors.observe(project), services)),
    );
  else await replay(invocation, project, formatter, logWish(flags), containers);
  return 0;
};

/** @throws USAGE */
function checkTail(tail: string): void {
  if (tail !== 'all' && !/^\d+$/.test(tail))
    throw new TscomposeError('USAGE', `invalid number of lines "${tail}"`, { hint: 'write a number, or all' });
}

function formatterOf({ around, paintOut }: Invocation, flags: LogsFlags): LogFormatter {
  return logFormatter({
    prefix: flags.logPrefix,
    timestamps: flags.timestamps === true,
    isTerminal: around.stdout.isTTY,
    paint: flags.color ? paintOut : (_colour, text) => text,
  });
}

function logWish(flags: LogsFlags): LogWish {
  return {
    follow: flags.follow === true,
    ...(flags.tail !== 'all' && { tail: Number(flags.tail) }),
    ...(flags.since !== undefined && { since: flags.since }),
    ...(flags.until !== undefined && { until: flags.until }),
  };
}

async function replay(
  invocation: Invocation,
  project: string,
  formatter: LogFormatter,
  wish: LogWish,
  containers: readonly ObservedContainer[],
): Promise<void> {
  const { doors, around } = invocation;
  const sources = new Map(containers.map((container) => [container.id, shortName(container, project)]));
  for await (const line of doors.logs(project, [...sources.keys()], wish, new AbortController().signal)) {
    around.stdout.write(formatter.format({ source: sources.get(line.containerId) ?? '', time: line.time, text: line.text }));
  }
}

/** How often to look for new and ended containers, in milliseconds. */
const LOOK_MS = 300;

/** Until every container has ended, or Ctrl-C, which is the usual way out and no failure. */
async function follow(
  invocation: Invocation,
  project: string,
  formatter: LogFormatter,
  wish: LogWish,
  look: () => Promise<readonly ObservedContainer[]>,
): Promise<void> {
  const { doors, around } = invocation;
  const follower = followLogs({ doors, project, formatter, print: (text) => around.stdout.write(text) });
  const interrupted = newInterrupt(invocation);
  let current = await look();
  let isFirstLook = true;
  while (!interrupted.happened) {
    // A container made after we began is shown from its first line, however few old lines were asked for.
    follower.follow(
      current.map((container) => ({ id: container.id, source: shortName(container, project) })),
      isFirstLook ? wish : withoutTail(wish),
    );
    isFirstLook = false;
    if (!current.some(isAlive)) break;
    await interrupted.sleep(LOOK_MS);
    current = await look();
  }
  await follower.stop();
  interrupted.forget();
}

function isAlive({ state }: ObservedContainer): boolean {
  return state !== 'created' && state !== 'exited';
}

function withoutTail({ tail: _tail, ...wish }: LogWish): LogWish {
  return wish;
}

function newInterrupt({ around }: Invocation): { readonly happened: boolean; sleep(ms: number): Promise<void>; forget(): void } {
  let happened = false;
  let wake: () => void = () => undefined;
  const interrupt = (): void => {
    happened = true;
    wake();
  };
  const forgets = [around.onSignal('SIGINT', interrupt), around.onSignal('SIGTERM', interrupt)];
  return {
    get happened() {
      return happened;
    },
    sleep: (milliseconds) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
    forget: () => callAll(forgets),
  };
}
