/** A Machine in memory: every operation takes some time of a simulated clock, and can fail or be the last before a crash. */
import type { CreateContainer, Machine, ProbeResult } from '../../src/apply/machine.ts';
import { TscomposeError } from '../../src/errors.ts';
import type { ContainerChange } from '../../src/events.ts';
import { connect } from './simulated-network.ts';
import {
  type SimulatedContainer,
  type SimulatedWorld,
  after,
  begin,
  behaviourOf,
  dropTimersOf,
  end,
  fireNext,
  isAlive,
  newContainer,
  record,
  setHealthOf,
  signalStop,
  snapshotOf,
  tellChange,
} from './simulated-world.ts';

/** What the machine throws from the instant it "died". */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/** The work waits for something that never happens. */
export class Stuck extends Error {
  override readonly name = 'Stuck';
}

export interface SimulatedMachineOptions {
  /** Decides how long operations take, and so in which order concurrent ones come out. Default 1. */
  readonly seed?: number;
  /** The operation with this number (from 0) fails. */
  readonly failAt?: number;
  /** The machine dies before or after the effect of the operation with this number. */
  readonly crashAt?: { readonly operation: number; readonly when: 'before' | 'after' };
}

export interface SimulatedMachine extends Machine {
  readonly world: SimulatedWorld;
  /** How many operations with an effect were begun. */
  readonly operations: () => number;
  readonly hasCrashed: () => boolean;
}

/** A machine over this world. */
export function simulatedMachine(world: SimulatedWorld, options: SimulatedMachineOptions = {}): SimulatedMachine {
  const random = randomFrom(options.seed ?? 1);
  const self = {};
  const listeners = new Set<(change: ContainerChange) => void>();
  let operations = 0;
  let crashed = false;

  const crash = (): never => {
    crashed = true;
    dropTimersOf(world, self);
    for (const listener of listeners) world.listeners.delete(listener);
    throw new Crash('the machine died');
  };
  const requireAlive = (): void => {
    if (crashed) throw new Crash('the machine is dead');
  };
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      requireAlive();
      if (signal?.aborted) return reject(signal.reason);
      const callOff = after(world, ms, resolve, self);
      signal?.addEventListener('abort', () => {
        callOff();
        reject(signal.reason);
      });
    });

  /** One operation: some time, then the effect, unless a fault is due. */
  const operation = async <T>(effect: () => T | Promise<T>): Promise<T> => {
    requireAlive();
    const number = operations++;
    const isLast = options.crashAt?.operation === number;
    if (isLast && options.crashAt?.when === 'before') crash();
    await sleep(1 + random() * 20);
    requireAlive();
    if (options.failAt === number) throw new TscomposeError('CORE_FAILED', `operation ${number} failed`);
    const result = await effect();
    if (isLast) crash();
    return result;
  };
  const find = (id: string): SimulatedContainer => {
    const container = world.containers.get(id);
    if (container === undefined) throw new TscomposeError('NO_SUCH_CONTAINER', `there is no container ${id}`);
    return container;
  };
  /** Resolves when the container has no process; deaf after a crash. */
  const dead = (id: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        const container = world.containers.get(id);
        if (container !== undefined && container.state !== 'exited' && container.state !== 'created') return;
        world.listeners.delete(look);
        resolve();
      };
      world.listeners.add(look);
      listeners.add(look);
      look();
    });

  return {
    world,
    operations: () => operations,
    hasCrashed: () => crashed,
    now: () => world.now,
    sleep,
    observe: async () => {
      requireAlive();
      return {
        project: 'shop',
        containers: [...world.containers.values()].map(snapshotOf),
        networks: [...world.networks.values()].map((network) => ({ ...network })),
        volumes: [...world.volumes.values()].map((volume) => ({ ...volume })),
      };
    },
    inspect: (id) => {
      const container = world.containers.get(id);
      return container && snapshotOf(container);
    },
    onChange: (listener) => {
      world.listeners.add(listener);
      listeners.add(listener);
      return () => {
        world.listeners.delete(listener);
        listeners.delete(listener);
      };
    },
    preflight: async () => requireAlive(),
    createNetwork: (network, fingerprint) =>
      operation(() => {
        const { key, name, external } = network;
        if (external && !world.networks.has(name)) throw new TscomposeError('EXTERNAL_MISSING', `network ${name} is not there`);
        if (world.networks.get(name)?.fingerprint === fingerprint && world.networks.get(name)?.present) return;
        world.networks.set(name, { key, name, external, fingerprint, present: true });
        world.incarnations.set(name, (world.incarnations.get(name) ?? 0) + 1);
        record(world, 'create-network', { id: name, service: '' });
      }),
    removeNetwork: (name) =>
      operation(() => {
        const user = [...world.containers.values()].find(
          (container) => isAlive(container) && container.attachments.some((attachment) => attachment.network === name),
        );
        if (user !== undefined) throw new TscomposeError('NETWORK_FAILED', `network ${name} is used by ${user.name}`);
        world.networks.delete(name);
        record(world, 'remove-network', { id: name, service: '' });
      }),
    createVolume: ({ key, name, external }, fingerprint) =>
      operation(() => {
        if (!world.volumes.has(name)) world.volumes.set(name, { key, name, external, fingerprint, present: true });
      }),
    removeVolume: (name) =>
      operation(() => {
        world.volumes.delete(name);
        record(world, 'remove-volume', { id: name, service: '' });
      }),
    createContainer: ({ name, service, number, oneOff, fingerprint }: CreateContainer) =>
      operation(() => newContainer(world, { name, service: service.name, number, oneOff, fingerprint, spec: service }).id),
    startContainer: (id) =>
      operation(() => {
        const container = find(id);
        if (container.state === 'running' || container.state === 'restarting') return;
        connect(world, container);
        begin(world, container, 'start');
      }),
    stopContainer: (id, graceMs) =>
      operation(async () => {
        const container = find(id);
        if (container.state === 'created' || container.state === 'exited') return;
        signalStop(world, container, graceMs ?? container.spec.stopGraceMs);
        await dead(id);
      }),
    killContainer: (id, signal) =>
      operation(() => {
        const container = find(id);
        record(world, 'kill', container);
        if (isAlive(container) && /KILL|^9$/.test(signal)) end(world, Object.assign(container, { stoppedByUser: true }), 137);
      }),
    pauseContainer: (id) =>
      operation(() => {
        const container = find(id);
        if (container.state === 'running') container.state = 'paused';
        tellChange(world, container, 'pause');
      }),
    unpauseContainer: (id) =>
      operation(() => {
        const container = find(id);
        if (container.state === 'paused') container.state = 'running';
        tellChange(world, container, 'unpause');
      }),
    removeContainer: (id) =>
      operation(() => {
        const container = world.containers.get(id);
        if (container === undefined) return;
        if (isAlive(container) || container.state === 'restarting')
          throw new TscomposeError('CONFLICT', `${container.name} is running`);
        world.containers.delete(id);
        record(world, 'remove', container);
        tellChange(world, container, 'destroy');
      }),
    probe: (id) =>
      operation((): ProbeResult => {
        const container = find(id);
        const passes = container.failedProbes >= (behaviourOf(world, container).failedProbes ?? 0);
        if (!passes) container.failedProbes++;
        return { exitCode: passes ? 0 : 1, timedOut: false, output: '' };
      }),
    setHealth: (id, health) => setHealthOf(world, find(id), health),
  };
}

/**
 * Lets the simulated time pass until the work is done, or its machine has died: then resolves to undefined.
 * @throws Stuck
 */
export async function simulate<T>(machine: SimulatedMachine, work: () => Promise<T>): Promise<T | undefined> {
  let outcome: { readonly result: T } | { readonly error: unknown } | undefined;
  work().then(
    (result) => (outcome = { result }),
    (error: unknown) => (outcome = { error }),
  );
  const deadline = machine.world.now + longestWorkMs;
  for (;;) {
    await settleMicrotasks();
    if (machine.hasCrashed()) return undefined;
    if (outcome !== undefined) break;
    // A container in a crash loop keeps the clock going for ever.
    if (machine.world.now > deadline || !fireNext(machine.world))
      throw new Stuck('the work waits for something that never happens');
  }
  if ('error' in outcome) throw outcome.error;
  return outcome.result;
}

const longestWorkMs = 3_600_000;

/** A turn of the event loop runs all microtasks that are due. */
function settleMicrotasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
