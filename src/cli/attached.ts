/** An attached `up`: the stack starts, its output flows, and the stack stops with the command. */
import { TscomposeError } from '../errors.ts';
import type { ContainerChange } from '../events.ts';
import type { Observed } from '../model/observed.ts';
import type { Service } from '../model/project.ts';
import type { ControlClient } from '../supervise/client.ts';
import type { UpOptions } from '../supervise/control.ts';
import { type AttachRules, type AttachState, afterChange, afterLook, attachedExitCode, nothingAttached } from './attach-state.ts';
import type { UpCommandFlags } from './commands/up.ts';
import { type Invocation, progressOf, rememberErrors } from './invocation.ts';
import { followLogs, type LogFollower } from './log-follower.ts';
import { logFormatter } from './output/log-lines.ts';
import { plainTeller } from './output/progress.ts';
import { type LoadedProject, openSupervisor, paceOf, shortName, tellUnchanged } from './project.ts';
import { callAll } from './surroundings.ts';

/** Output that comes while live progress is on the screen waits this long at most, in milliseconds. */
const HOLD_MS = 1500;
const INTERRUPTED = 130;

/** @returns the exit status; 130 after Ctrl-C or SIGTERM */
export async function upAttached(
  invocation: Invocation,
  loaded: LoadedProject,
  options: UpOptions,
  flags: UpCommandFlags,
): Promise<number> {
  const rules = attachRules(loaded, options, flags);
  const screen = createScreen(invocation, loaded, flags);
  const watching = flags.watch === true ? await beginWatching(invocation, loaded, options) : undefined;
  const session = createSession(invocation, loaded, rules, screen);
  try {
    return await session.run(options, watching !== undefined);
  } finally {
    await watching?.stop();
    await session.close();
  }
}

async function beginWatching(
  invocation: Invocation,
  loaded: LoadedProject,
  options: UpOptions,
): Promise<{ stop(): Promise<void> }> {
  const { startWatching } = await import('./commands/watch.ts');
  return startWatching(invocation, loaded, { services: options.services, quiet: false });
}

/** `up` shows what it was asked to start, and with `--attach-dependencies` or without names everything. @throws NO_SUCH_SERVICE */
function attachRules({ project }: LoadedProject, options: UpOptions, flags: UpCommandFlags): AttachRules {
  const known = project.services.map((service) => service.name);
  const named = flags.attach.map((name) => name.replace(/^!/, ''));
  const unknown = [...named, ...(flags.exitCodeFrom === undefined ? [] : [flags.exitCodeFrom])].find(
    (name) => !known.includes(name),
  );
  if (unknown !== undefined)
    throw new TscomposeError('NO_SUCH_SERVICE', `no such service: ${unknown}`, {
      service: unknown,
      hint: `services: ${known.join(', ')}`,
    });
  const attached = attachedServices(project.services, options.services, flags);
  return {
    isAttached: (service) => attached.has(service),
    abortOn:
      flags.abortOnContainerExit === true || flags.exitCodeFrom !== undefined
        ? 'exit'
        : flags.abortOnContainerFailure === true
          ? 'failure'
          : 'never',
    ...(flags.exitCodeFrom !== undefined && { exitCodeFrom: flags.exitCodeFrom }),
  };
}

export function attachedServices(
  services: readonly Service[],
  named: readonly string[],
  flags: Pick<UpCommandFlags, 'attach' | 'attachDependencies'>,
): ReadonlySet<string> {
  const only = flags.attach.filter((name) => !name.startsWith('!'));
  const never = flags.attach.filter((name) => name.startsWith('!')).map((name) => name.slice(1));
  const asked =
    named.length === 0 || flags.attachDependencies === true
      ? services.filter((service) => service.attach).map((service) => service.name)
      : named;
  return new Set((only.length > 0 ? only : asked).filter((name) => !never.includes(name)));
}

interface Screen {
  readonly follower: LogFollower;
  /** Steps of the plan. */
  readonly tell: ReturnType<typeof rememberErrors>;
  /** A line of ours among the containers' output. */
  say(text: string): void;
  /** From now on output goes straight to the terminal. */
  release(): Promise<void>;
}

/** Live progress and output do not share a terminal: output waits until the progress is finished, or for HOLD_MS. */
function createScreen(invocation: Invocation, { project }: LoadedProject, flags: UpCommandFlags): Screen {
  const { around, doors, paintOut } = invocation;
  const progress = progressOf(invocation, 'up');
  let held: string[] | undefined = [];
  let timer: NodeJS.Timeout | undefined;
  const release = async (): Promise<void> => {
    clearTimeout(timer);
    await progress.end();
    const texts = held ?? [];
    held = undefined;
    for (const text of texts) around.stdout.write(text);
  };
  const print = (text: string): void => {
    if (held) {
      held.push(text);
      timer ??= setTimeout(() => void release(), HOLD_MS);
    } else around.stdout.write(text);
  };
  const formatter = logFormatter({
    prefix: flags.logPrefix !== false,
    timestamps: flags.timestamps === true,
    isTerminal: around.stdout.isTTY,
    paint: flags.color === false ? (_colour, text) => text : paintOut,
  });
  return {
    follower: followLogs({ doors, project: project.name, formatter, print }),
    tell: rememberErrors(invocation, progress.tell),
    say: (text) => print(`${text}\n`),
    release,
  };
}

interface Session {
  run(options: UpOptions, staysOpen: boolean): Promise<number>;
  close(): Promise<void>;
}

function createSession(invocation: Invocation, { project, secrets }: LoadedProject, rules: AttachRules, screen: Screen): Session {
  const begunAt = new Date(invocation.around.now()).toISOString();
  const names = project.services.map((service) => service.name);
  let state: AttachState = nothingAttached;
  let isUp = false;
  let observer: ControlClient | undefined;
  let closing = false;
  const finished = newSignal();
  const interrupts = countInterrupts(invocation);
  const settled: Promise<void>[] = [];

  const look = (observed: Observed): void => {
    const before = state.live;
    const next = afterLook(state, observed.containers, rules);
    state = next.state;
    for (const container of next.follow) follow(container);
    if (before.size > 0 || isUp) consider();
  };
  const follow = (container: { readonly id: string; readonly name: string }): void =>
    screen.follower.follow([{ id: container.id, source: shortName(container, project.name) }], { since: begunAt, follow: true });
  const consider = (): void => {
    if (state.abortCode !== undefined || (isUp && state.live.size === 0)) finished.resolve();
  };
  const onChange = (change: ContainerChange): void => {
    const { state: next, follow: shows, ended } = afterChange(state, change, rules);
    state = next;
    if (shows) follow(change);
    if (ended) settled.push(tellEnd(change, ended));
    consider();
  };
  const tellEnd = async (
    change: ContainerChange,
    { exitCode, willRestart }: { exitCode: number; willRestart: boolean },
  ): Promise<void> => {
    await screen.follower.drain(change.id, !willRestart);
    screen.say(`${shortName(change, project.name)} exited with code ${exitCode}${willRestart ? ' (restarting)' : ''}`);
  };
  /** A supervisor that died is back soon, by its shims or by us; what happened meanwhile a look tells. */
  const observe = async (): Promise<void> => {
    const client = await openSupervisor(invocation, project.name);
    observer = client;
    await client.call('subscribe', {}, (event) => event.type === 'container' && onChange(event.change));
    look(await client.call('observe', {}));
    void client.closed.then(() => (closing ? undefined : observe().catch(() => finished.resolve())));
  };
  const stopEverything = async (): Promise<void> => {
    const client = await openSupervisor(invocation, project.name);
    const forced = interrupts.second.then(async () => {
      const killer = await openSupervisor(invocation, project.name);
      await killer.call('kill', { services: names, signal: 'SIGKILL', removeOrphans: false }).finally(() => killer.close());
    });
    const tell = plainTeller({
      mode: 'plain',
      output: invocation.around.stderr,
      paint: invocation.paintErr,
      cwd: invocation.around.cwd,
      dryRun: false,
      command: 'stop',
      now: invocation.around.now,
    });
    await Promise.race([client.call('stop', { services: names }, tell), forced]).finally(() => client.close());
  };
  const start = async (options: UpOptions): Promise<'up' | 'interrupted'> => {
    const client = await openSupervisor(invocation, project.name);
    try {
      const call = client.call('up', { project, secrets, options, ...paceOf(invocation) }, screen.tell);
      const result = await Promise.race([call, interrupts.first.then(() => undefined)]);
      // Closing the connection aborts what the supervisor is doing for it.
      call.catch(() => undefined);
      if (result?.plan.steps.length === 0) tellUnchanged(invocation, project.name);
      return result ? 'up' : 'interrupted';
    } finally {
      client.close();
    }
  };
  return {
    run: async (options, staysOpen) => {
      await observe();
      const outcome = await start(options);
      await screen.release();
      if (outcome === 'up') screen.say(`Attaching to ${names.filter(rules.isAttached).join(', ')}`);
      isUp = true;
      if (observer)
        look(
          await observer.call('observe', {}).catch(() => ({ project: project.name, containers: [], networks: [], volumes: [] })),
        );
      const ending = await Promise.race([
        interrupts.first.then(() => 'interrupted' as const),
        ...(staysOpen && rules.abortOn === 'never' ? [] : [finished.promise.then(() => 'ended' as const)]),
      ]);
      if (ending === 'ended' && state.abortCode === undefined) return attachedExitCode(state);
      await Promise.all(settled);
      screen.say(
        ending === 'interrupted' ? 'Gracefully Stopping... press Ctrl+C again to force' : 'Aborting on container exit...',
      );
      await stopEverything();
      return ending === 'interrupted' ? INTERRUPTED : attachedExitCode(state);
    },
    close: async () => {
      closing = true;
      await Promise.all(settled);
      await screen.follower.stop();
      await screen.release();
      observer?.close();
      interrupts.forget();
    },
  };
}

/** Ctrl-C, or SIGTERM as the first of them. */
function countInterrupts({ around }: Invocation): {
  readonly first: Promise<void>;
  readonly second: Promise<void>;
  forget(): void;
} {
  const first = newSignal();
  const second = newSignal();
  let count = 0;
  const interrupt = (): void => {
    count += 1;
    (count === 1 ? first : second).resolve();
  };
  const forgets = [around.onSignal('SIGINT', interrupt), around.onSignal('SIGTERM', interrupt)];
  return { first: first.promise, second: second.promise, forget: () => callAll(forgets) };
}

function newSignal(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
