import { describe, expect, test } from 'vitest';
import { apply } from '../../../src/apply/apply.ts';
import type { Observed } from '../../../src/model/observed.ts';
import type { Project } from '../../../src/model/project.ts';
import { planDown, planUp, printPlan } from '../../../src/plan/plan.ts';
import type { Plan } from '../../../src/plan/step.ts';
import { aHealthCheck, aNetwork, aPort, aProject, aService, dependsOn, onNetwork, upOptions } from '../../support/builders.ts';
import { type SimulatedMachineOptions, simulate, simulatedMachine } from '../../support/simulated-machine.ts';
import { brokenConnections } from '../../support/simulated-network.ts';
import { type Behaviour, type SimulatedWorld, createWorld, passTime } from '../../support/simulated-world.ts';

interface Example {
  readonly before: Project | undefined;
  readonly after: Project;
  readonly behaviours: Readonly<Record<string, Behaviour>>;
}

const data = { type: 'volume', source: 'data', target: '/data', readOnly: false, noCopy: false } as const;
const shop = aProject([
  aService('store', { healthcheck: aHealthCheck(), mounts: [data] }),
  aService('migrate', { dependsOn: [dependsOn('store', { condition: 'service_healthy' })] }),
  aService('api', {
    replicas: 2,
    dependsOn: [
      dependsOn('store', { condition: 'service_healthy', restart: true }),
      dependsOn('migrate', { condition: 'service_completed_successfully' }),
    ],
  }),
  aService('web', {
    networks: [onNetwork('front')],
    ports: [aPort(8080, 80)],
    healthcheck: aHealthCheck(),
    dependsOn: [dependsOn('api')],
  }),
]);
const newStore: Project = {
  ...shop,
  services: shop.services.map((service) => (service.name === 'store' ? { ...service, image: 'rootfs:/2' } : service)),
};
const newNetwork: Project = { ...shop, networks: [aNetwork('shop', 'default', { internal: true }), aNetwork('shop', 'front')] };
const sharing = aProject([
  aService('vpn', { ports: [aPort(80, 80)] }),
  aService('client', { networkMode: { kind: 'service', service: 'vpn' }, networks: [] }),
]);
const newVpn: Project = {
  ...sharing,
  services: sharing.services.map((service) => (service.name === 'vpn' ? { ...service, user: '1000' } : service)),
};
const job = { migrate: { exitsAfterMs: 40, exitCode: 0 }, store: { failedProbes: 1, stopsAfterMs: 100 } };

const examples: readonly [string, Example][] = [
  ['the first up', { before: undefined, after: shop, behaviours: job }],
  ['a new image with dependants that follow', { before: shop, after: newStore, behaviours: job }],
  ['a network that is made again', { before: shop, after: newNetwork, behaviours: job }],
  ['a lender of its network that is replaced', { before: sharing, after: newVpn, behaviours: { client: { ignoresStop: true } } }],
];

describe.each(examples)('%s', (_title, example) => {
  test.each(['before', 'after'] as const)('survives a crash %s any of its operations', async (when) => {
    const count = await countOperations(example);
    expect(count).toBeGreaterThan(5);
    for (let operation = 0; operation < count; operation++) {
      const world = await prepare(example);
      await up(world, example.after, { crashAt: { operation, when } });
      await up(world, example.after);
      passTime(world, 60_000);
      expect(await leftToDo(world, example.after), `after a crash ${when} operation ${operation}`).toBe('nothing to do');
      expect(brokenConnections(world)).toEqual([]);
    }
  });

  test('converges after the failure of any of its operations', async () => {
    for (let operation = 0; operation < (await countOperations(example)); operation++) {
      const world = await prepare(example);
      await expect(up(world, example.after, { failAt: operation })).rejects.toThrow(`operation ${operation} failed`);
      await up(world, example.after);
      passTime(world, 60_000);
      expect(await leftToDo(world, example.after), `after the failure of operation ${operation}`).toBe('nothing to do');
    }
  });

  test.each(['before', 'after'] as const)(
    'its down survives a crash %s any of its operations and leaves nothing',
    async (when) => {
      for (let operation = 0; ; operation++) {
        const world = await prepare({ ...example, before: example.after });
        const hasCrashed = await down(world, { crashAt: { operation, when } });
        await down(world);
        expect([...world.containers.keys(), ...world.networks.keys()]).toEqual([]);
        expect(world.history.filter((entry) => entry.what === 'remove-volume')).toEqual([]);
        if (!hasCrashed) break;
        expect(operation).toBeLessThan(100);
      }
    },
  );
});

test('up is refused by nothing when its own volumes are kept by down', async () => {
  const world = await prepare({ before: shop, after: shop, behaviours: job });
  await down(world);
  expect([...world.volumes.keys()]).toEqual(['shop_data']);
  const machine = simulatedMachine(world);
  await simulate(machine, async () =>
    carryOut(planDown(undefined, await machine.observe(), { services: [], volumes: true, removeOrphans: false }), machine),
  );
  expect([...world.volumes.keys()]).toEqual([]);
});

async function prepare({ before, behaviours }: Example): Promise<SimulatedWorld> {
  const world = createWorld(behaviours);
  if (before !== undefined) {
    await up(world, before);
    passTime(world, 60_000);
  }
  return world;
}

async function up(world: SimulatedWorld, project: Project, options: SimulatedMachineOptions = {}): Promise<number> {
  const machine = simulatedMachine(world, options);
  await simulate(machine, async () => carryOut(planUp(project, await machine.observe(), upOptions()), machine));
  return machine.operations();
}

/** Whether the machine died on the way. */
async function down(world: SimulatedWorld, options: SimulatedMachineOptions = {}): Promise<boolean> {
  const machine = simulatedMachine(world, options);
  await simulate(machine, async () =>
    carryOut(planDown(undefined, await machine.observe(), { services: [], volumes: false, removeOrphans: false }), machine),
  );
  return machine.hasCrashed();
}

function carryOut(plan: Plan, machine: ReturnType<typeof simulatedMachine>): Promise<unknown> {
  return apply(plan, machine, () => {}, new AbortController().signal, { onError: 'stop' });
}

async function countOperations(example: Example): Promise<number> {
  return up(await prepare(example), example.after);
}

async function leftToDo(world: SimulatedWorld, project: Project): Promise<string> {
  const machine = simulatedMachine(world);
  const observed = (await simulate(machine, () => machine.observe())) as Observed;
  return printPlan(planUp(project, observed, upOptions()));
}
