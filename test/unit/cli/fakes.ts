/** Surroundings and rooms that exist only in memory. */
import type { Doors, LogLine } from '../../../src/cli/doors.ts';
import { type Globals, type Invocation, newInvocation } from '../../../src/cli/invocation.ts';
import { main } from '../../../src/cli/start.ts';
import { callAll, type Output, type Surroundings } from '../../../src/cli/surroundings.ts';
import type { Event } from '../../../src/events.ts';
import type { Observed, ObservedContainer } from '../../../src/model/observed.ts';
import type { Project, Service } from '../../../src/model/project.ts';
import { planDown, planUp, printPlan } from '../../../src/plan/plan.ts';
import type { ControlClient } from '../../../src/supervise/client.ts';
import type { ControlMethod } from '../../../src/supervise/control.ts';
import { aService } from '../../support/builders.ts';

export const NOW = Date.parse('2026-11-22T06:00:00Z');

export function makeService(name: string, change: Partial<Service> = {}): Service {
  return aService(name, { networks: [], ...change });
}

export function makeContainer(service: string, change: Partial<ObservedContainer> = {}): ObservedContainer {
  const number = change.number ?? 1;
  const spec = change.spec ?? makeService(service, { command: ['node', 'server.js'] });
  return {
    id: `${service}${number}`.padEnd(64, '0').replace(/[^0-9a-f]/g, 'a'),
    name: `shop-${service}-${number}`,
    service,
    number,
    oneOff: false,
    fingerprint: 'f',
    image: spec.image,
    spec,
    state: 'running',
    health: 'none',
    pid: 100,
    oomKilled: false,
    restarts: 0,
    stoppedByUser: false,
    createdAt: NOW - 60_000,
    startedAt: NOW - 3000,
    labels: {},
    attachments: [],
    ports: [],
    ...change,
  };
}

export function makeProject(services: readonly Service[]): Project {
  return {
    name: 'shop',
    workingDir: '/src/shop',
    configFiles: ['/src/shop/compose.yaml'],
    services,
    inactiveServices: [],
    networks: [],
    volumes: [],
    configs: [],
    secrets: [],
  };
}

export interface FakeWorld {
  readonly out: string[];
  readonly err: string[];
  readonly calls: { method: ControlMethod; params: unknown }[];
  readonly signals: Map<string, Set<() => void>>;
  readonly around: Surroundings;
  readonly doors: Doors;
  observed: Observed;
  /** Answers of the supervisor; the default is null. */
  readonly answers: Partial<Record<ControlMethod, (params: never, tell: (event: Event) => void) => unknown>>;
  /** Sends a change to whoever subscribed. */
  readonly tell: (event: Event) => void;
  readonly lines: LogLine[];
  signal(name: string): void;
  run(...argv: string[]): Promise<number>;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

export interface FakeOptions {
  readonly services?: readonly Service[];
  readonly containers?: readonly ObservedContainer[];
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly kernel?: string;
  readonly terminal?: boolean;
  readonly doors?: Partial<Doors>;
  readonly nothing?: boolean;
}

export function fakeWorld(options: FakeOptions = {}): FakeWorld {
  const out: string[] = [];
  const err: string[] = [];
  const signals = new Map<string, Set<() => void>>();
  const subscribers = new Set<(event: Event) => void>();
  const project = makeProject(options.services ?? [makeService('web')]);
  const output = (texts: string[]): Output => ({
    isTTY: options.terminal === true,
    columns: 80,
    rows: 24,
    write: (data) => void texts.push(typeof data === 'string' ? data : Buffer.from(data).toString()),
  });
  const around: Surroundings = {
    stdin: { isTTY: options.terminal === true, setRawMode: () => undefined, onData: () => () => undefined },
    stdout: output(out),
    stderr: output(err),
    env: options.env ?? {},
    cwd: '/src/shop',
    uid: options.uid ?? 0,
    kernel: options.kernel ?? '6.1.0-18-amd64',
    now: () => NOW,
    onSignal: (signal, listener) => {
      const listeners = signals.get(signal) ?? new Set();
      signals.set(signal, listeners.add(listener));
      return () => void listeners.delete(listener);
    },
  };
  const world: FakeWorld = {
    out,
    err,
    calls: [],
    signals,
    around,
    answers: {},
    lines: [],
    observed: { project: 'shop', containers: options.containers ?? [], networks: [], volumes: [] },
    doors: {
      roots: { run: '/run/t', data: '/data/t' },
      load: async () => ({
        project,
        diagnostics: [],
        model: { name: 'shop' },
        secrets: {},
        environment: async () => ({ B: '2', A: '1' }),
      }),
      guessName: async () => 'shop',
      formatConfig: async (model) => JSON.stringify(model),
      observe: async () => world.observed,
      projects: async () => ['shop'],
      isKnown: async () => options.nothing !== true,
      record: async () =>
        options.nothing === true
          ? undefined
          : {
              version: 1,
              project: 'shop',
              workingDir: '',
              configFiles: ['/src/shop/compose.yaml'],
              networks: [],
              volumes: [],
              containers: [],
            },
      startSupervisor: async () => undefined,
      supervisor: async () => fakeClient(world, subscribers),
      planUp: async (...args) => planUp(...args),
      planDown: async (...args) => planDown(...args),
      printPlan: async (plan) => printPlan(plan),
      logs: (_project, ids, wish, signal) => fakeLogs(world, ids, wish.follow, signal),
      exec: async () => 0,
      attachment: async () => Promise.reject(new Error('no attachment here')),
      ...options.doors,
    },
    tell: (event) => callAll([...subscribers].map((tell) => () => tell(event))),
    signal: (name) => callAll([...(signals.get(name) ?? [])]),
    run: (...argv) => main(argv, around, world.doors),
    stdout: () => out.join(''),
    stderr: () => err.join(''),
  };
  return world;
}

function fakeClient(world: FakeWorld, subscribers: Set<(event: Event) => void>): ControlClient {
  let close: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  const call = async (
    method: ControlMethod,
    params: unknown,
    onEvent: (event: Event) => void = () => undefined,
  ): Promise<unknown> => {
    world.calls.push({ method, params });
    if (method === 'subscribe') subscribers.add(onEvent);
    if (method === 'observe') return world.observed;
    if (method === 'leave') return { ending: false };
    return (await world.answers[method]?.(params as never, onEvent)) ?? null;
  };
  return { call: call as ControlClient['call'], closed, close };
}

async function* fakeLogs(
  world: FakeWorld,
  ids: readonly string[],
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  let next = 0;
  for (;;) {
    const isLast = !follow || signal.aborted;
    for (; next < world.lines.length; next++) {
      const line = world.lines[next] as LogLine;
      if (ids.includes(line.containerId)) yield line;
    }
    if (isLast) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export const plainGlobals: Globals = {
  file: [],
  profile: [],
  envFile: [],
  ansi: 'auto',
  progress: 'auto',
  parallel: -1,
  dryRun: false,
  allResources: false,
  compatibility: false,
  debug: false,
};

export function fakeInvocation(world: FakeWorld, globals: Partial<Globals> = {}): Invocation {
  return newInvocation({ ...plainGlobals, ...globals }, world.around, world.doors);
}
