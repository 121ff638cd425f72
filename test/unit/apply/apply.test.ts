import { describe, expect, test } from 'vitest';
import { type ApplyOptions, type ApplyResult, apply, attempt } from '../../../src/apply/apply.ts';
import { createTurnstile } from '../../../src/apply/turnstile.ts';
import type { Event } from '../../../src/events.ts';
import type { Project } from '../../../src/model/project.ts';
import { planDown, planUp } from '../../../src/plan/plan.ts';
import { aHealthCheck, aProject, aService, dependsOn, upOptions } from '../../support/builders.ts';
import {
  type SimulatedMachine,
  type SimulatedMachineOptions,
  simulate,
  simulatedMachine,
} from '../../support/simulated-machine.ts';
import { type Behaviour, createWorld } from '../../support/simulated-world.ts';

interface Outcome {
  readonly machine: SimulatedMachine;
  readonly result: ApplyResult;
  /** "Container shop-a-1 Created" */
  readonly told: readonly string[];
}

async function up(
  project: Project,
  behaviours: Record<string, Behaviour> = {},
  faults: SimulatedMachineOptions = {},
  abort = new AbortController(),
  options: Partial<ApplyOptions> = {},
): Promise<Outcome> {
  const machine = simulatedMachine(createWorld(behaviours), faults);
  const told: string[] = [];
  const tell = (event: Event): void => {
    if (event.type === 'step')
      told.push(`${event.resource} ${event.name} ${event.text}${event.details === undefined ? '' : `: ${event.details}`}`);
    if (event.type === 'warning') told.push(`warning ${event.message}`);
  };
  const result = (await simulate(machine, async () =>
    attempt(planUp(project, await machine.observe(), upOptions()), machine, tell, abort.signal, { onError: 'stop', ...options }),
  )) as ApplyResult;
  return { machine, result, told };
}

const healthy = { condition: 'service_healthy' } as const;
const completed = { condition: 'service_completed_successfully' } as const;

function messages({ failures }: ApplyResult): readonly string[] {
  return failures.map(({ error }) => (error instanceof Error ? error.message : String(error)));
}

describe('a plan carried out', () => {
  test('is told step by step in the words of docker compose', async () => {
    const project = aProject([
      aService('db', { healthcheck: aHealthCheck() }),
      aService('web', { dependsOn: [dependsOn('db', healthy)] }),
    ]);
    const { told, result } = await up(project);
    expect(result.failures).toEqual([]);
    expect(told).toEqual([
      'Network shop_default Creating',
      'Network shop_default Created',
      'Container shop-db-1 Creating',
      'Container shop-web-1 Creating',
      'Container shop-db-1 Created',
      'Container shop-db-1 Starting',
      'Container shop-web-1 Created',
      'Container shop-db-1 Started',
      'Container shop-db-1 Waiting',
      'Container shop-db-1 Healthy',
      'Container shop-web-1 Starting',
      'Container shop-web-1 Started',
    ]);
  });

  test('goes on the moment a dependency is healthy', async () => {
    const project = aProject([
      aService('db', { healthcheck: aHealthCheck() }),
      aService('web', { dependsOn: [dependsOn('db', healthy)] }),
    ]);
    const { machine } = await up(project, { db: { failedProbes: 2 } });
    const [db, web] = [...machine.world.containers.values()];
    // Probes after 50, 100 and 200 ms, then one operation of at most 21 ms.
    expect((web?.startedAt ?? 0) - (db?.startedAt ?? 0)).toBeGreaterThanOrEqual(350);
    expect((web?.startedAt ?? 0) - (db?.startedAt ?? 0)).toBeLessThan(372);
  });

  test('does what does not depend on one another at the same time, and no more at once than asked', async () => {
    const project = aProject(Array.from({ length: 10 }, (_, index) => aService(`s${index}`, { networks: [] })));
    const free = await up(project);
    const single = await up(project, {}, {}, new AbortController(), { parallel: 1 });
    expect(free.machine.world.now - 1_000_000).toBeLessThan(45);
    expect(single.machine.world.now - 1_000_000).toBeGreaterThan(100);
    expect(single.result.failures).toEqual([]);
  });

  test('lets what is running finish after a failure and begins nothing new', async () => {
    const project = aProject(Array.from({ length: 6 }, (_, index) => aService(`s${index}`, { networks: [] })));
    const { result, told } = await up(project, {}, { failAt: 0, seed: 3 });
    expect(messages(result)).toEqual(['operation 0 failed']);
    const later = told.slice(told.indexOf('Container shop-s0-1 Error: operation 0 failed') + 1);
    expect(later.length).toBeGreaterThan(0);
    expect(later.filter((line) => !/(Created|Started)$/.test(line))).toEqual([]);
    expect(result.skipped.length).toBeGreaterThan(0);
  });

  test('is given up after an interruption', async () => {
    const abort = new AbortController();
    const project = aProject([
      aService('db', { healthcheck: aHealthCheck() }),
      aService('web', { dependsOn: [dependsOn('db', healthy)] }),
    ]);
    const behaviours = { db: { failedProbes: 6 } };
    const machine = simulatedMachine(createWorld(behaviours));
    machine.onChange((change) => change.action === 'start' && abort.abort());
    const work = async () =>
      apply(planUp(project, await machine.observe(), upOptions()), machine, () => {}, abort.signal, { onError: 'stop' });
    await expect(simulate(machine, work)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect([...machine.world.containers.values()].map(({ state }) => state)).toEqual(['running', 'created']);
  });

  test('goes on past failures in a teardown, but not with the same container', async () => {
    const project = aProject([aService('a'), aService('b', { dependsOn: [dependsOn('a')] })]);
    const { machine } = await up(project);
    const second = simulatedMachine(machine.world, { failAt: 0 });
    const result = (await simulate(second, async () => {
      const plan = planDown(project, await second.observe(), { services: [], volumes: false, removeOrphans: false });
      return attempt(plan, second, () => {}, new AbortController().signal, { onError: 'continue' });
    })) as ApplyResult;
    expect(messages(result)).toEqual(['operation 0 failed', 'network shop_default is used by shop-b-1']);
    expect([...machine.world.containers.values()].map(({ name, state }) => [name, state])).toEqual([['shop-b-1', 'running']]);
  });
});

describe('a dependency that cannot come true fails at once', () => {
  const check = { healthcheck: aHealthCheck() };
  test.each<[string, Project, Record<string, Behaviour>, string]>([
    [
      'one that ends while it is waited for to be healthy',
      aProject([aService('store', check), aService('web', { dependsOn: [dependsOn('store', healthy)] })]),
      { store: { exitsAfterMs: 10, exitCode: 1 } },
      'dependency failed to start: container shop-store-1 exited (1)',
    ],
    [
      'one that turns out unhealthy',
      aProject([aService('store', check), aService('web', { dependsOn: [dependsOn('store', healthy)] })]),
      { store: { failedProbes: Number.POSITIVE_INFINITY } },
      'dependency failed to start: container shop-store-1 is unhealthy',
    ],
    [
      'one without a health check',
      aProject([aService('store'), aService('web', { dependsOn: [dependsOn('store', healthy)] })]),
      {},
      'dependency failed to start: container shop-store-1 has no healthcheck',
    ],
    [
      'a one-shot that fails',
      aProject([aService('migrate'), aService('web', { dependsOn: [dependsOn('migrate', completed)] })]),
      { migrate: { exitsAfterMs: 10, exitCode: 3 } },
      'service "migrate" didn\'t complete successfully: exit 3',
    ],
  ])('%s', async (_title, project, behaviours, message) => {
    const { result, machine } = await up(project, behaviours);
    expect(messages(result)).toEqual([message]);
    expect(result.failures[0]?.error).toMatchObject({ code: 'DEPENDENCY_FAILED' });
    expect([...machine.world.containers.values()].find((container) => container.service === 'web')?.state).toBe('created');
  });

  test('or is only a warning when it is optional', async () => {
    const project = aProject([
      aService('cache', check),
      aService('web', { dependsOn: [dependsOn('cache', { ...healthy, required: false })] }),
    ]);
    const { result, told, machine } = await up(project, { cache: { exitsAfterMs: 10, exitCode: 1 } });
    expect(result.failures).toEqual([]);
    expect(told).toContain('warning optional dependency: dependency failed to start: container shop-cache-1 exited (1)');
    expect([...machine.world.containers.values()].find((container) => container.service === 'web')?.state).toBe('running');
  });

  test('one that its policy restarts is waited for', async () => {
    const project = aProject([
      aService('store', { ...check, restart: { kind: 'always' } }),
      aService('web', { dependsOn: [dependsOn('store', healthy)] }),
    ]);
    const { result } = await up(project, { store: { exitsAfterMs: 10, exitCode: 1, exitsAtMost: 2 } });
    expect(result.failures).toEqual([]);
  });
});

test('a turnstile lets only so many through and keeps their order', async () => {
  const enter = createTurnstile(2);
  const seen: string[] = [];
  const task = (name: string) => async (): Promise<void> => {
    seen.push(`${name} in`);
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(`${name} out`);
  };
  await Promise.all([enter(task('a')), enter(task('b')), enter(task('c'))]);
  expect(seen).toEqual(['a in', 'b in', 'a out', 'c in', 'b out', 'c out']);
  await expect(enter(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(enter(async () => 'next')).resolves.toBe('next');
});
