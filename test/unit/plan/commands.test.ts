import { describe, expect, test } from 'vitest';
import type { Observed, ObservedContainer } from '../../../src/model/observed.ts';
import type { Plan } from '../../../src/plan/step.ts';
import {
  planDown,
  planKill,
  planPause,
  planRemove,
  planRestart,
  planRun,
  planStart,
  planStop,
  planUnpause,
  printPlan,
} from '../../../src/plan/plan.ts';
import { aContainer, aHealthCheck, aProject, aService, allObserved, dependsOn, nothingObserved } from '../../support/builders.ts';

const data = { type: 'volume', source: 'data', target: '/data', readOnly: false, noCopy: false } as const;
const shop = aProject([
  aService('db', { healthcheck: aHealthCheck(), mounts: [data] }),
  aService('app', { dependsOn: [dependsOn('db', { condition: 'service_healthy', restart: true })] }),
  aService('proxy', { dependsOn: [dependsOn('app')] }),
]);
const running = allObserved(shop);
const resting = withAll(running, { state: 'exited', exitCode: 143, stoppedByUser: true });

function withAll(observed: Observed, state: Partial<ObservedContainer>): Observed {
  return { ...observed, containers: observed.containers.map((container) => ({ ...container, ...state })) };
}

function text(plan: Plan): string {
  return `\n${printPlan(plan, { order: true })}\n`;
}

describe('down', () => {
  test('stops dependants first and leaves the volumes', () => {
    expect(
      text(planDown(shop, running, { services: [], volumes: false, removeOrphans: false, timeoutMs: 1000 })),
    ).toMatchInlineSnapshot(`
      "
      0 ~ stop-container    shop-proxy-1  the project goes down
      1 ~ stop-container    shop-app-1    the project goes down  [after 0]
      2 ~ stop-container    shop-db-1     the project goes down  [after 1]
      3 - remove-container  shop-app-1    the project goes down  [after 1]
      4 - remove-container  shop-db-1     the project goes down  [after 2]
      5 - remove-container  shop-proxy-1  the project goes down  [after 0]
      6 - remove-network    shop_default  the project goes down  [after 3 4 5]
      "
    `);
  });

  test('removes volumes that are asked for, but none that is external, and no external network', () => {
    const observed: Observed = {
      ...running,
      volumes: [...running.volumes, { key: 'x', name: 'x', fingerprint: '', external: true, present: true }],
      networks: running.networks.map((network) => ({ ...network, external: true })),
    };
    const kinds = planDown(undefined, observed, { services: [], volumes: true, removeOrphans: false }).steps.map(
      ({ step }) => step,
    );
    expect(kinds.filter(({ do: kind }) => kind === 'remove-volume')).toEqual([{ do: 'remove-volume', name: 'shop_data' }]);
    expect(kinds.some(({ do: kind }) => kind === 'remove-network')).toBe(false);
  });

  test('takes one-offs, orphans and inactive profiles along', () => {
    const strangers = [
      aContainer(shop, 'db', 1, { oneOff: true, name: 'shop-db-run-1' }),
      aContainer(shop, 'old', 1, { spec: aService('old') }),
    ];
    const plan = planDown(shop, { ...running, containers: strangers }, { services: [], volumes: false, removeOrphans: false });
    const removed = plan.steps.flatMap(({ step }) => (step.do === 'remove-container' ? [step.container.name] : []));
    expect(removed).toEqual(['shop-db-run-1', 'shop-old-1']);
  });

  test('of one service keeps what the others use', () => {
    expect(text(planDown(shop, running, { services: ['db'], volumes: true, removeOrphans: false }))).toMatchInlineSnapshot(`
      "
      0 ~ stop-container    shop-db-1  the project goes down
      1 - remove-container  shop-db-1  the project goes down  [after 0]
      2 - remove-volume     shop_data  removal of volumes was asked for  [after 1]
      "
    `);
  });

  test('copes with containers that depend on each other in a circle', () => {
    const a = aService('a', { dependsOn: [dependsOn('b')] });
    const b = aService('b', { dependsOn: [dependsOn('a')] });
    const plan = planDown(undefined, allObserved(aProject([a, b])), { services: [], volumes: false, removeOrphans: false });
    expect(plan.steps).toHaveLength(5);
  });

  test('of nothing is nothing', () => {
    expect(planDown(shop, nothingObserved(shop), { services: [], volumes: true, removeOrphans: true }).steps).toEqual([]);
  });
});

describe('start, stop and restart', () => {
  test('start goes in the order of the dependencies and under their conditions', () => {
    expect(text(planStart(resting, { services: ['app'], wait: true, waitTimeoutMs: 100 }))).toMatchInlineSnapshot(`
      "
      0 ~ start-container  shop-db-1   not running (exited 143)
      1 ? wait-container   shop-db-1   until healthy: app depends on it  [after 0]
      2 ~ start-container  shop-app-1  not running (exited 143)  [after 1]
      3 ? wait-container   shop-app-1  until running-or-healthy: waiting was asked for  [after 2]
      4 ? wait-container   shop-db-1   until running-or-healthy: waiting was asked for  [after 0]
      "
    `);
  });

  test('start of what runs is nothing, so is stop of what rests', () => {
    expect(planStart(running, { services: [], wait: false }).steps).toEqual([]);
    expect(planStop(resting, { services: [] }).steps).toEqual([]);
  });

  test('stop goes the other way, through services that are left alone', () => {
    expect(text(planStop(running, { services: ['db', 'proxy'], graceMs: 500 }))).toMatchInlineSnapshot(`
      "
      0 ~ stop-container  shop-proxy-1  stop was asked for
      1 ~ stop-container  shop-db-1     stop was asked for  [after 0]
      "
    `);
  });

  test('stop takes along who shares the network of a stopped one, and start brings it back', () => {
    const sharing = aProject([
      aService('vpn'),
      aService('client', { networkMode: { kind: 'service', service: 'vpn' }, networks: [] }),
    ]);
    expect(text(planStop(allObserved(sharing), { services: ['vpn'] }))).toMatchInlineSnapshot(`
      "
      0 ~ stop-container  shop-client-1  stop was asked for
      1 ~ stop-container  shop-vpn-1     stop was asked for  [after 0]
      "
    `);
    const vpnEnded = allObserved(sharing, [
      aContainer(sharing, 'vpn', 1, { state: 'exited', exitCode: 1 }),
      aContainer(sharing, 'client'),
    ]);
    expect(text(planStart(vpnEnded, { services: ['vpn'], wait: false }))).toMatchInlineSnapshot(`
      "
      0 ~ stop-container   shop-client-1  what it shares a namespace with starts anew
      1 ~ start-container  shop-vpn-1     not running (exited 1)  [after 0]
      2 ~ start-container  shop-client-1  stopped to start anew  [after 0 1]
      "
    `);
  });

  test('restart takes along who asked to follow, unless told not to', () => {
    expect(text(planRestart(running, { services: ['db'], noDeps: false }))).toMatchInlineSnapshot(`
      "
      0 ~ stop-container   shop-app-1  restart was asked for
      1 ~ stop-container   shop-db-1   restart was asked for  [after 0]
      2 ~ start-container  shop-db-1   stopped to start anew  [after 0 1]
      3 ? wait-container   shop-db-1   until healthy: app depends on it  [after 2]
      4 ~ start-container  shop-app-1  stopped to start anew  [after 0 3]
      "
    `);
    expect(text(planRestart(running, { services: ['db'], noDeps: true }))).toMatchInlineSnapshot(`
      "
      0 ~ stop-container   shop-db-1  restart was asked for
      1 ~ start-container  shop-db-1  stopped to start anew  [after 0]
      "
    `);
  });

  test('what depends_on says now counts more than what a container was made from', () => {
    const now = aProject([aService('db', { mounts: [data] }), aService('app'), aService('proxy')]);
    expect(planStart(resting, { services: ['app'], wait: false }, now).steps.map(({ step }) => step.do)).toEqual([
      'start-container',
    ]);
  });

  test('of two containers with one number only one is started', () => {
    const twins = allObserved(shop, [aContainer(shop, 'db'), aContainer(shop, 'db', 1, { state: 'created' })]);
    expect(planStart(twins, { services: [], wait: false }).steps).toEqual([]);
  });

  test('a finished one-shot is not run again as a dependency, but when it is named', () => {
    const project = aProject([
      aService('job'),
      aService('app', { dependsOn: [dependsOn('job', { condition: 'service_completed_successfully' })] }),
    ]);
    const observed = allObserved(project, [
      aContainer(project, 'job', 1, { state: 'exited', exitCode: 0 }),
      aContainer(project, 'app', 1, { state: 'exited', exitCode: 143 }),
    ]);
    const started = (services: readonly string[]): readonly string[] =>
      planStart(observed, { services, wait: false }).steps.flatMap(({ step }) =>
        step.do === 'start-container' ? [step.container.service] : [],
      );
    expect(started([])).toEqual(['app']);
    expect(started(['job'])).toEqual(['job']);
  });

  test('a service without a container is no such service', () => {
    expect(() => planStop(running, { services: ['nope'] })).toThrow('no such service: nope');
  });
});

describe('kill, pause and rm', () => {
  test('each touches only what it can', () => {
    const mixed = allObserved(shop, [
      aContainer(shop, 'db'),
      aContainer(shop, 'app', 1, { state: 'paused' }),
      aContainer(shop, 'proxy', 1, { state: 'exited', exitCode: 0 }),
    ]);
    const touched = (plan: Plan): readonly string[] =>
      plan.steps.map(({ step }) => `${step.do} ${'container' in step ? step.container.service : ''}`);
    expect(touched(planKill(mixed, { services: [], signal: 'SIGKILL' }))).toEqual(['kill-container app', 'kill-container db']);
    expect(touched(planPause(mixed, { services: [] }))).toEqual(['pause-container db']);
    expect(touched(planUnpause(mixed, { services: [] }))).toEqual(['unpause-container app']);
    expect(touched(planRemove(mixed, { services: [], stop: false, volumes: false }))).toEqual(['remove-container proxy']);
    expect(touched(planRemove(mixed, { services: ['db'], stop: true, volumes: true }))).toEqual([
      'stop-container db',
      'remove-container db',
    ]);
  });
});

describe('run', () => {
  test('brings up the dependencies and makes what the command needs', () => {
    const app = shop.services.find((service) => service.name === 'app') ?? aService('app');
    const { plan, container } = planRun(shop, nothingObserved(shop), {
      service: 'app',
      spec: { ...app, command: ['sh'] },
      noDeps: false,
      useAliases: false,
    });
    expect(text(plan)).toMatchInlineSnapshot(`
      "
      0 + create-volume     shop_data     not there
      1 + create-network    shop_default  not there
      2 + create-container  shop-db-1     not there  [after 0 1]
      3 ~ start-container   shop-db-1     just created  [after 1 2]
      4 ? wait-container    shop-db-1     until healthy: app depends on it  [after 3]
      "
    `);
    expect(container).toMatchObject({
      name: 'shop-app-run-1',
      number: 1,
      oneOff: true,
      service: { command: ['sh'], restart: { kind: 'no' } },
    });
  });

  test('leaves dependencies out when told so, and counts on from other one-offs', () => {
    const spec = aService('app');
    const observed = allObserved(shop, [aContainer(shop, 'app', 3, { oneOff: true })]);
    const { plan, container } = planRun(shop, observed, { service: 'app', spec, noDeps: true, useAliases: true, name: 'mine' });
    expect(plan.steps).toEqual([]);
    expect(container).toMatchObject({ name: 'mine', number: 4 });
  });
});
