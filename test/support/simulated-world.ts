/**
 * The world a simulated machine works on: containers, networks, volumes and a clock. It outlives the machine, as a kernel outlives
 * the supervisor: after a crash a new machine is put over the same world. Nothing here is random but by seed.
 */
import type { ContainerChange } from '../../src/events.ts';
import type { ContainerState, Health, ObservedContainer, ObservedNetwork, ObservedVolume } from '../../src/model/observed.ts';
import type { Service } from '../../src/model/project.ts';
import { decideRestart } from '../../src/supervise/restart.ts';

/** How the program of a service behaves. */
export interface Behaviour {
  /** It ends by itself after so long, with `exitCode`. */
  readonly exitsAfterMs?: number;
  readonly exitCode?: number;
  /** Only its first so many runs end by themselves. */
  readonly exitsAtMost?: number;
  /** How many probes fail before the first one passes; Infinity: never healthy. */
  readonly failedProbes?: number;
  /** Only SIGKILL ends it. */
  readonly ignoresStop?: boolean;
  /** From the stop signal to the end; default 5 ms. */
  readonly stopsAfterMs?: number;
}

export type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
export type SimulatedContainer = Mutable<ObservedContainer> & {
  runs: number;
  failedProbes: number;
  lastDelayMs: number;
  /** Which network namespace it lives in: its own, or that of the service it shares. A new one with every start, none of a restart. */
  namespace: number;
  /** Which incarnation of each network its links lead to. */
  links: ReadonlyMap<string, number>;
};

/** Something that was done to the world, in order. */
export interface HistoryEntry {
  readonly time: number;
  readonly what: string;
  readonly id: string;
  readonly service: string;
}

export interface SimulatedWorld {
  now: number;
  readonly containers: Map<string, SimulatedContainer>;
  readonly networks: Map<string, Mutable<ObservedNetwork>>;
  /** Name of a network → which incarnation of it is there. */
  readonly incarnations: Map<string, number>;
  readonly volumes: Map<string, Mutable<ObservedVolume>>;
  /** By service, or by image. */
  readonly behaviours: Map<string, Behaviour>;
  readonly history: HistoryEntry[];
  /** Whoever wants to know of every change: machines, and tests that check invariants at every instant. */
  readonly listeners: Set<(change: ContainerChange) => void>;
  readonly timers: Timer[];
  made: number;
  timed: number;
}

export interface Timer {
  readonly at: number;
  readonly number: number;
  readonly fire: () => void;
  /** The machine whose memory it lives in; undefined: the world's own, which no crash loses. */
  readonly owner: object | undefined;
}

export function createWorld(behaviours: Readonly<Record<string, Behaviour>> = {}): SimulatedWorld {
  return {
    now: 1_000_000,
    containers: new Map(),
    networks: new Map(),
    incarnations: new Map(),
    volumes: new Map(),
    behaviours: new Map(Object.entries(behaviours)),
    history: [],
    listeners: new Set(),
    timers: [],
    made: 0,
    timed: 0,
  };
}

/** Calls `fire` after `ms` of the world's time; returns the way to call it off. */
export function after(world: SimulatedWorld, ms: number, fire: () => void, owner?: object): () => void {
  const timer: Timer = { at: world.now + Math.max(0, ms), number: world.timed++, fire, owner };
  world.timers.push(timer);
  return () => {
    const index = world.timers.indexOf(timer);
    if (index >= 0) world.timers.splice(index, 1);
  };
}

/** Lets time pass up to the next timer; false when there is none. */
export function fireNext(world: SimulatedWorld): boolean {
  let next: Timer | undefined;
  for (const timer of world.timers) {
    if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.number < next.number)) next = timer;
  }
  if (next === undefined) return false;
  world.timers.splice(world.timers.indexOf(next), 1);
  world.now = Math.max(world.now, next.at);
  next.fire();
  return true;
}

/** Lets so much time pass, with all that happens meanwhile. */
export function passTime(world: SimulatedWorld, ms: number): void {
  const end = world.now + ms;
  while (world.timers.some((timer) => timer.at <= end)) fireNext(world);
  world.now = end;
}

/** What a dead machine was still about to do never happens. */
export function dropTimersOf(world: SimulatedWorld, owner: object): void {
  const kept = world.timers.filter((timer) => timer.owner !== owner);
  world.timers.splice(0, world.timers.length, ...kept);
}

/** The program begins: from here on the world acts by itself, as shim and health checks would. */
export function begin(world: SimulatedWorld, container: SimulatedContainer, how: 'start' | 'restart'): void {
  container.runs++;
  container.state = 'running';
  container.pid = 100 + world.made + container.runs;
  container.startedAt = world.now;
  container.stoppedByUser = false;
  container.health = container.spec.healthcheck === undefined ? 'none' : 'starting';
  record(world, how, container);
  tellChange(world, container, how);
  const behaviour = behaviourOf(world, container);
  const run = container.runs;
  if (behaviour.exitsAfterMs !== undefined && run <= (behaviour.exitsAtMost ?? Number.POSITIVE_INFINITY)) {
    after(world, behaviour.exitsAfterMs, () => {
      if (container.runs === run && isAlive(container)) end(world, container, behaviour.exitCode ?? 0);
    });
  }
  if (container.health === 'starting') scheduleProbe(world, container, run, 50);
}

/** The program ends by itself or by a signal; its shim restarts it as the policy says. */
export function end(world: SimulatedWorld, container: SimulatedContainer, exitCode: number): void {
  const ranMs = world.now - (container.startedAt ?? world.now);
  container.exitCode = exitCode;
  container.finishedAt = world.now;
  container.pid = 0;
  container.health = 'none';
  const { stoppedByUser, restarts, lastDelayMs } = container;
  const decision = decideRestart(container.spec.restart, { exitCode, ranMs, lastDelayMs, restarts, stoppedByUser });
  container.state = decision.restart ? 'restarting' : 'exited';
  record(world, 'die', container);
  tellChange(world, container, 'die');
  if (!decision.restart) return;
  container.lastDelayMs = decision.delayMs;
  container.restarts++;
  const { runs } = container;
  after(world, decision.delayMs, () => {
    if (container.runs === runs && container.state === 'restarting' && world.containers.has(container.id))
      begin(world, container, 'restart');
  });
}

/** The stop signal, and SIGKILL after the grace. That the sender dies meanwhile changes nothing. */
export function signalStop(world: SimulatedWorld, container: SimulatedContainer, graceMs: number): void {
  const behaviour = behaviourOf(world, container);
  const run = container.runs;
  container.stoppedByUser = true;
  record(world, 'stop', container);
  if (container.state === 'restarting') {
    container.state = 'exited';
    record(world, 'die', container);
    tellChange(world, container, 'die');
    return;
  }
  const finish = (exitCode: number): void => {
    if (container.runs === run && isAlive(container)) end(world, container, exitCode);
  };
  if (!behaviour.ignoresStop) after(world, behaviour.stopsAfterMs ?? 5, () => finish(143));
  after(world, graceMs, () => finish(137));
}

export function isAlive(container: SimulatedContainer): boolean {
  return container.state === 'running' || container.state === 'paused';
}

export function setHealthOf(world: SimulatedWorld, container: SimulatedContainer, health: Health): void {
  container.health = health;
  tellChange(world, container, 'health');
}

export function record(
  world: SimulatedWorld,
  what: string,
  { id, service }: { readonly id: string; readonly service: string },
): void {
  world.history.push({ time: world.now, what, id, service });
}

export function tellChange(world: SimulatedWorld, container: SimulatedContainer, action: ContainerChange['action']): void {
  const { id, name, service, number, oneOff } = container;
  const change: ContainerChange = { time: world.now, id, name, service, number, oneOff, action };
  for (const listener of [...world.listeners]) listener(change);
}

/** The container as others may keep it: a copy. */
export function snapshotOf(container: SimulatedContainer): ObservedContainer {
  const { runs: _r, failedProbes: _f, lastDelayMs: _l, namespace: _n, links: _k, ...observed } = container;
  return observed;
}

export function newContainer(
  world: SimulatedWorld,
  fields: Pick<ObservedContainer, 'name' | 'service' | 'number' | 'oneOff' | 'fingerprint'> & { readonly spec: Service },
): SimulatedContainer {
  const id = (++world.made).toString(16).padStart(64, '0');
  const container: SimulatedContainer = {
    ...fields,
    id,
    image: fields.spec.image,
    state: 'created' satisfies ContainerState,
    health: 'none',
    pid: 0,
    oomKilled: false,
    restarts: 0,
    stoppedByUser: false,
    createdAt: world.now,
    labels: {},
    attachments: [],
    ports: [],
    runs: 0,
    failedProbes: 0,
    lastDelayMs: 0,
    namespace: 0,
    links: new Map(),
  };
  world.containers.set(id, container);
  record(world, 'create', container);
  return container;
}

/** What is told of an image goes before what is told of a service: the program is the same, whatever the file makes of it. */
export function behaviourOf(
  world: SimulatedWorld,
  { service, image }: { readonly service: string; readonly image: string },
): Behaviour {
  return world.behaviours.get(image) ?? world.behaviours.get(service) ?? {};
}

function scheduleProbe(world: SimulatedWorld, container: SimulatedContainer, run: number, delayMs: number): void {
  const wanted = behaviourOf(world, container).failedProbes ?? 0;
  after(world, delayMs, () => {
    if (container.runs !== run || container.state === 'exited' || container.state === 'restarting') return;
    if (container.failedProbes >= wanted) return setHealthOf(world, container, 'healthy');
    container.failedProbes++;
    if (container.failedProbes >= unhealthyAfterProbes) return setHealthOf(world, container, 'unhealthy');
    scheduleProbe(world, container, run, delayMs * 2);
  });
}

const unhealthyAfterProbes = 8;
