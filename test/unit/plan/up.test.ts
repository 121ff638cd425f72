import { describe, expect, test } from 'vitest';
import type { Observed, ObservedContainer } from '../../../src/model/observed.ts';
import type { Project, Service } from '../../../src/model/project.ts';
import type { PlanOptions } from '../../../src/plan/options.ts';
import { planUp, printPlan } from '../../../src/plan/plan.ts';
import {
  aContainer,
  aHealthCheck,
  aNetwork,
  aPort,
  aProject,
  aService,
  aVolume,
  allObserved,
  dependsOn,
  nothingObserved,
  onNetwork,
  upOptions,
} from '../../support/builders.ts';

function upText(project: Project, observed: Observed, options: Partial<PlanOptions> = {}): string {
  return `\n${printPlan(planUp(project, observed, upOptions(options)), { order: true })}\n`;
}

/** The same project with one service changed. */
function withService(project: Project, name: string, change: Partial<Service>): Project {
  return {
    ...project,
    services: project.services.map((service) => (service.name === name ? { ...service, ...change } : service)),
  };
}

const store = aService('store', {
  healthcheck: aHealthCheck(),
  mounts: [{ type: 'volume', source: 'data', target: '/data', readOnly: false, noCopy: false }],
});
const migrate = aService('migrate', { dependsOn: [dependsOn('store', { condition: 'service_healthy' })] });
const api = aService('api', {
  replicas: 2,
  dependsOn: [
    dependsOn('store', { condition: 'service_healthy' }),
    dependsOn('migrate', { condition: 'service_completed_successfully' }),
  ],
});
const web = aService('web', { networks: [onNetwork('front')], ports: [aPort(8080, 80)], dependsOn: [dependsOn('api')] });
const shop = aProject([store, migrate, api, web]);

/** The shop up and running, its migration done. */
function runningShop(project: Project = shop): Observed {
  const done: Partial<ObservedContainer> = { state: 'exited', exitCode: 0 };
  return allObserved(project, [
    aContainer(project, 'store'),
    aContainer(project, 'migrate', 1, done),
    aContainer(project, 'api', 1),
    aContainer(project, 'api', 2),
    aContainer(project, 'web'),
  ]);
}

const pair = aProject([aService('db', { image: 'rootfs:/a' }), aService('app', { dependsOn: [dependsOn('db')] })]);

describe('a project that is not there', () => {
  test('is made from its networks and volumes up, each start held back by its conditions', () => {
    expect(upText(shop, nothingObserved(shop))).toMatchInlineSnapshot(`
      "
       0 + create-volume     shop_data       not there
       1 + create-network    shop_default    not there
       2 + create-network    shop_front      not there
       3 + create-container  shop-store-1    not there  [after 0 1]
       4 + create-container  shop-migrate-1  not there  [after 1]
       5 + create-container  shop-api-1      not there  [after 1]
       6 + create-container  shop-api-2      not there  [after 1]
       7 + create-container  shop-web-1      not there  [after 2]
       8 ~ start-container   shop-store-1    just created  [after 1 3]
       9 ? wait-container    shop-store-1    until healthy: migrate depends on it  [after 8]
      10 ~ start-container   shop-migrate-1  just created  [after 1 4 9]
      11 ? wait-container    shop-migrate-1  until completed: api depends on it  [after 10]
      12 ~ start-container   shop-api-1      just created  [after 1 5 9 11]
      13 ~ start-container   shop-api-2      just created  [after 1 6 9 11]
      14 ~ start-container   shop-web-1      just created  [after 2 7 12 13]
      "
    `);
  });

  test('is only laid down when starting is not asked for', () => {
    expect(upText(pair, nothingObserved(pair), { start: false })).toMatchInlineSnapshot(`
      "
      0 + create-network    shop_default  not there
      1 + create-container  shop-db-1     not there  [after 0]
      2 + create-container  shop-app-1    not there  [after 0]
      "
    `);
  });

  test('is made only as far as the named service needs', () => {
    expect(upText(shop, nothingObserved(shop), { services: ['migrate'] })).toMatchInlineSnapshot(`
      "
      0 + create-volume     shop_data       not there
      1 + create-network    shop_default    not there
      2 + create-container  shop-store-1    not there  [after 0 1]
      3 + create-container  shop-migrate-1  not there  [after 1]
      4 ~ start-container   shop-store-1    just created  [after 1 2]
      5 ? wait-container    shop-store-1    until healthy: migrate depends on it  [after 4]
      6 ~ start-container   shop-migrate-1  just created  [after 1 3 5]
      "
    `);
  });

  test('leaves dependencies out when told so', () => {
    expect(upText(shop, nothingObserved(shop), { services: ['web'], noDeps: true })).toMatchInlineSnapshot(`
      "
      0 + create-network    shop_front  not there
      1 + create-container  shop-web-1  not there  [after 0]
      2 ~ start-container   shop-web-1  just created  [after 0 1]
      "
    `);
  });

  test('is waited for at the end', () => {
    expect(upText(pair, nothingObserved(pair), { wait: true, waitTimeoutMs: 5000 })).toMatchInlineSnapshot(`
      "
      0 + create-network    shop_default  not there
      1 + create-container  shop-db-1     not there  [after 0]
      2 + create-container  shop-app-1    not there  [after 0]
      3 ~ start-container   shop-db-1     just created  [after 0 1]
      4 ~ start-container   shop-app-1    just created  [after 0 2 3]
      5 ? wait-container    shop-db-1     until running-or-healthy: waiting was asked for  [after 3]
      6 ? wait-container    shop-app-1    until running-or-healthy: waiting was asked for  [after 4]
      "
    `);
  });
});

describe('a project that is up', () => {
  test('needs nothing', () => {
    expect(planUp(shop, runningShop(), upOptions()).steps).toEqual([]);
    expect(planUp(shop, runningShop(), upOptions({ wait: true })).steps).toEqual([]);
    expect(upText(shop, runningShop())).toBe('\nnothing to do\n');
  });

  test('has only the changed service recreated, its untouched dependants left running', () => {
    const changed = withService(pair, 'db', { image: 'rootfs:/b' });
    expect(upText(changed, allObserved(pair))).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-db-1  image changed (rootfs:/a → rootfs:/b)
      1 ~ stop-container    shop-db-1  image changed (rootfs:/a → rootfs:/b)  [after 0]
      2 - remove-container  shop-db-1  replaced  [after 0 1]
      3 ~ start-container   shop-db-1  created anew  [after 0 1 2]
      "
    `);
  });

  test('has dependants restarted that asked to follow', () => {
    const follows = withService(pair, 'app', { dependsOn: [dependsOn('db', { restart: true })] });
    expect(upText(withService(follows, 'db', { image: 'rootfs:/b' }), allObserved(follows))).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-db-1   image changed (rootfs:/a → rootfs:/b)
      1 ~ stop-container    shop-app-1  depends on shop-db-1, which is recreated
      2 ~ stop-container    shop-db-1   image changed (rootfs:/a → rootfs:/b)  [after 0 1]
      3 - remove-container  shop-db-1   replaced  [after 0 2]
      4 ~ start-container   shop-db-1   created anew  [after 0 1 2 3]
      5 ~ start-container   shop-app-1  depends on shop-db-1, which is recreated  [after 1 4]
      "
    `);
  });

  test('has services recreated that share the network of a recreated one', () => {
    const shares = withService(pair, 'app', { networkMode: { kind: 'service', service: 'db' }, networks: [] });
    expect(upText(withService(shares, 'db', { image: 'rootfs:/b' }), allObserved(shares))).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-db-1   image changed (rootfs:/a → rootfs:/b)
      1 + create-container  shop-app-1  shares a namespace of shop-db-1, which is recreated
      2 ~ stop-container    shop-app-1  shares a namespace of shop-db-1, which is recreated  [after 1]
      3 ~ stop-container    shop-db-1   image changed (rootfs:/a → rootfs:/b)  [after 0 2]
      4 - remove-container  shop-db-1   replaced  [after 0 3]
      5 - remove-container  shop-app-1  replaced  [after 1 2]
      6 ~ start-container   shop-db-1   created anew  [after 0 2 3 4]
      7 ~ start-container   shop-app-1  created anew  [after 1 2 5 6]
      "
    `);
  });

  test('is recreated on demand, but not its dependencies when a service is named', () => {
    expect(upText(pair, allObserved(pair), { services: ['app'], recreate: 'always', timeoutMs: 3000 })).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-app-1  recreation was asked for
      1 ~ stop-container    shop-app-1  recreation was asked for  [after 0]
      2 - remove-container  shop-app-1  replaced  [after 0 1]
      3 ~ start-container   shop-app-1  created anew  [after 0 1 2]
      "
    `);
    expect(upText(pair, allObserved(pair), { services: ['app'], alwaysRecreateDeps: true })).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-db-1  recreation was asked for
      1 ~ stop-container    shop-db-1  recreation was asked for  [after 0]
      2 - remove-container  shop-db-1  replaced  [after 0 1]
      3 ~ start-container   shop-db-1  created anew  [after 0 1 2]
      "
    `);
  });

  test('keeps an outdated container when told never to recreate', () => {
    const changed = withService(pair, 'db', { image: 'rootfs:/b' });
    expect(planUp(changed, allObserved(pair), upOptions({ recreate: 'never' })).steps).toEqual([]);
  });

  test('gets the lowest free numbers when scaled up and loses the highest when scaled down', () => {
    const project = aProject([aService('api', { replicas: 3 })]);
    const gap = allObserved(project, [aContainer(project, 'api', 2), aContainer(project, 'api', 4)]);
    expect(upText(project, gap, { scale: { api: 4 } })).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-api-1  not there
      1 + create-container  shop-api-3  not there
      2 ~ start-container   shop-api-1  just created  [after 0]
      3 ~ start-container   shop-api-3  just created  [after 1]
      "
    `);
    expect(upText(project, allObserved(project), { scale: { api: 1 } })).toMatchInlineSnapshot(`
      "
      0 ~ stop-container    shop-api-2  scaled down to 1
      1 ~ stop-container    shop-api-3  scaled down to 1
      2 - remove-container  shop-api-2  scaled down to 1  [after 0]
      3 - remove-container  shop-api-3  scaled down to 1  [after 1]
      "
    `);
    expect(upText(project, allObserved(project), { scale: { api: 0 } })).toMatchInlineSnapshot(`
      "
      0 ~ stop-container    shop-api-1  scaled down to 0
      1 ~ stop-container    shop-api-2  scaled down to 0
      2 ~ stop-container    shop-api-3  scaled down to 0
      3 - remove-container  shop-api-1  scaled down to 0  [after 0]
      4 - remove-container  shop-api-2  scaled down to 0  [after 1]
      5 - remove-container  shop-api-3  scaled down to 0  [after 2]
      "
    `);
  });

  test('stops a container of a former service before another takes over its port', () => {
    const old = aProject([aService('old', { ports: [aPort(80, 80)] }), aService('keep')]);
    const project = aProject([aService('keep'), aService('new', { ports: [aPort(80, 8080)] })]);
    expect(upText(project, allObserved(old), { removeOrphans: true })).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-new-1  not there
      1 ~ stop-container    shop-old-1  no longer in the file
      2 - remove-container  shop-old-1  no longer in the file  [after 1]
      3 ~ start-container   shop-new-1  just created  [after 0 1]
      "
    `);
    expect(upText(project, allObserved(old))).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-new-1  not there
      1 ~ start-container   shop-new-1  just created  [after 0]
      ! containers of services that are no longer in the file: shop-old-1 (--remove-orphans removes them)
      "
    `);
  });
});

describe('networks and volumes', () => {
  const changedNetwork: Project = { ...pair, networks: [aNetwork('shop', 'default', { internal: true })] };

  test('a changed network is made again between the stop and the replacement of its containers', () => {
    expect(upText(changedNetwork, allObserved(pair))).toMatchInlineSnapshot(`
      "
      0 ~ stop-container    shop-app-1    network shop_default: its settings changed
      1 ~ stop-container    shop-db-1     network shop_default: its settings changed  [after 0]
      2 - remove-network    shop_default  its settings changed  [after 0 1]
      3 + create-network    shop_default  its settings changed  [after 2]
      4 + create-container  shop-db-1     network shop_default: its settings changed  [after 3]
      5 + create-container  shop-app-1    network shop_default: its settings changed  [after 3]
      6 - remove-container  shop-db-1     replaced  [after 1 4]
      7 - remove-container  shop-app-1    replaced  [after 0 5]
      8 ~ start-container   shop-db-1     created anew  [after 0 1 3 4 6]
      9 ~ start-container   shop-app-1    created anew  [after 0 3 5 7 8]
      "
    `);
  });

  test('a changed network takes services along that were not named', () => {
    const steps = planUp(changedNetwork, allObserved(pair), upOptions({ services: ['db'] })).steps;
    expect(steps.filter(({ step }) => step.do === 'create-container').map(({ step }) => 'name' in step && step.name)).toEqual([
      'shop-db-1',
      'shop-app-1',
    ]);
  });

  test('a renamed network replaces the old one', () => {
    const renamed: Project = { ...pair, networks: [aNetwork('shop', 'default', { name: 'shop_lan' })] };
    expect(upText(renamed, allObserved(pair))).toMatchInlineSnapshot(`
      "
      0 ~ stop-container    shop-app-1    network shop_lan: name changed (shop_default → shop_lan)
      1 ~ stop-container    shop-db-1     network shop_lan: name changed (shop_default → shop_lan)  [after 0]
      2 - remove-network    shop_default  name changed (shop_default → shop_lan)  [after 0 1]
      3 + create-network    shop_lan      name changed (shop_default → shop_lan)  [after 2]
      4 + create-container  shop-db-1     network shop_lan: name changed (shop_default → shop_lan)  [after 3]
      5 + create-container  shop-app-1    network shop_lan: name changed (shop_default → shop_lan)  [after 3]
      6 - remove-container  shop-db-1     replaced  [after 1 4]
      7 - remove-container  shop-app-1    replaced  [after 0 5]
      8 ~ start-container   shop-db-1     created anew  [after 0 1 3 4 6]
      9 ~ start-container   shop-app-1    created anew  [after 0 3 5 7 8]
      "
    `);
  });

  test('a changed network that a stranger still uses is a conflict', () => {
    const orphan = aContainer(pair, 'gone', 1, { spec: aService('gone') });
    const observed = { ...allObserved(pair), containers: [...allObserved(pair).containers, orphan] };
    expect(() => planUp(changedNetwork, observed, upOptions())).toThrow(
      /network shop_default has changed .* shop-gone-1 is still using it/,
    );
    expect(() => planUp(changedNetwork, observed, upOptions({ removeOrphans: true }))).not.toThrow();
  });

  test('a network that vanished under running containers comes back between their stop and start', () => {
    const observed: Observed = { ...allObserved(pair), networks: [] };
    expect(upText(pair, observed)).toMatchInlineSnapshot(`
      "
      0 ~ stop-container   shop-app-1    network shop_default was gone
      1 ~ stop-container   shop-db-1     network shop_default was gone  [after 0]
      2 + create-network   shop_default  not there  [after 0 1]
      3 ~ start-container  shop-db-1     network shop_default was gone  [after 0 1 2]
      4 ~ start-container  shop-app-1    network shop_default was gone  [after 0 2 3]
      "
    `);
  });

  test('after a reboot the bridge comes back before the containers start', () => {
    const all = allObserved(pair);
    const observed: Observed = {
      ...all,
      networks: all.networks.map((network) => ({ ...network, present: false })),
      containers: all.containers.map((container) => ({ ...container, state: 'exited', exitCode: 137 })),
    };
    expect(upText(pair, observed)).toMatchInlineSnapshot(`
      "
      0 + create-network   shop_default  not there
      1 ~ start-container  shop-db-1     not running (exited 137)  [after 0]
      2 ~ start-container  shop-app-1    not running (exited 137)  [after 0 1]
      "
    `);
  });

  test('an external network is looked for once and never made again', () => {
    const external: Project = { ...pair, networks: [aNetwork('shop', 'default', { name: 'lan', external: true })] };
    const [first] = planUp(external, nothingObserved(external), upOptions()).steps;
    expect(first).toMatchObject({ step: { do: 'create-network' }, because: 'external, must be there' });
    expect(planUp(external, allObserved(external), upOptions()).steps).toEqual([]);
  });

  test('a changed volume is kept, and said to be kept', () => {
    const changed: Project = { ...shop, volumes: [aVolume('shop', 'data', { driverOpts: { type: 'tmpfs' } })] };
    expect(upText(changed, runningShop())).toMatchInlineSnapshot(`
      "
      nothing to do
      ! volume shop_data: its settings changed in the file, but it is kept as it is: making it again would lose its data
      "
    `);
  });

  test('networks and volumes nobody uses are not made', () => {
    const project = aProject([aService('a', { networks: [] })], {
      networks: [aNetwork('shop', 'x')],
      volumes: [aVolume('shop', 'y')],
    });
    expect(planUp(project, nothingObserved(project), upOptions()).steps.map(({ step }) => step.do)).toEqual([
      'create-container',
      'start-container',
    ]);
  });
});

describe('half-done states', () => {
  const single = aProject([aService('a')]);
  const changed = withService(single, 'a', { image: 'rootfs:/b' });
  const states: readonly [string, Partial<ObservedContainer>, string][] = [
    ['a container that was never started is started', { state: 'created' }, '~ start-container  shop-a-1  never started'],
    [
      'a container that ended is started',
      { state: 'exited', exitCode: 3 },
      '~ start-container  shop-a-1  not running (exited 3)',
    ],
    ['a paused container goes on', { state: 'paused' }, '~ unpause-container  shop-a-1  paused'],
    ['a container that its shim will restart is left alone', { state: 'restarting', exitCode: 1 }, 'nothing to do'],
  ];
  test.each(states)('%s', (_title, state, text) => {
    const observed = allObserved(single, [aContainer(single, 'a', 1, state)]);
    expect(printPlan(planUp(single, observed, upOptions()))).toBe(text);
  });

  test('of two containers with one number the wanted one stays', () => {
    const old = aContainer(single, 'a');
    const fresh = aContainer(changed, 'a', 1, { state: 'created' });
    expect(upText(changed, allObserved(changed, [old, fresh]))).toMatchInlineSnapshot(`
      "
      0 ~ stop-container    shop-a-1  left over from an interrupted replacement
      1 - remove-container  shop-a-1  left over from an interrupted replacement  [after 0]
      2 ~ start-container   shop-a-1  never started  [after 0 1]
      "
    `);
  });

  test('of two equal ones the running one stays', () => {
    const old = aContainer(single, 'a');
    const fresh = aContainer(single, 'a', 1, { state: 'created' });
    const { steps } = planUp(single, allObserved(single, [old, fresh]), upOptions());
    expect(steps.map(({ step }) => ('container' in step ? [step.do, step.container.id] : []))).toEqual([
      ['remove-container', fresh.id],
    ]);
  });

  test('a one-shot that is done is not run again unless it is named, or has failed', () => {
    expect(planUp(shop, runningShop(), upOptions({ services: ['web'] })).steps).toEqual([]);
    expect(upText(shop, runningShop(), { services: ['migrate'] })).toMatchInlineSnapshot(`
      "
      0 ~ start-container  shop-migrate-1  not running (exited 0)
      "
    `);
    const failed = runningShop();
    const containers = failed.containers.map((container) =>
      container.service === 'migrate' ? { ...container, exitCode: 1 } : container,
    );
    expect(upText(shop, { ...failed, containers })).toMatchInlineSnapshot(`
      "
      0 ~ start-container  shop-migrate-1  not running (exited 1)
      "
    `);
  });

  test('a dependency that is up already but not yet healthy is waited for', () => {
    const observed = runningShop();
    const containers = observed.containers
      .filter((container) => container.service !== 'api')
      .map((container) => (container.service === 'store' ? { ...container, health: 'starting' as const } : container));
    expect(upText(shop, { ...observed, containers })).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-api-1    not there
      1 + create-container  shop-api-2    not there
      2 ? wait-container    shop-store-1  until healthy: api depends on it
      3 ~ start-container   shop-api-1    just created  [after 0 2]
      4 ~ start-container   shop-api-2    just created  [after 1 2]
      "
    `);
  });

  test('an optional dependency of an inactive profile is passed over; an optional one that fails is only a warning', () => {
    const project = aProject(
      [
        aService('cache', { healthcheck: aHealthCheck() }),
        aService('app', {
          dependsOn: [
            dependsOn('debug', { condition: 'service_healthy', required: false }),
            dependsOn('cache', { condition: 'service_healthy', required: false }),
          ],
        }),
      ],
      { inactiveServices: ['debug'] },
    );
    expect(upText(project, allObserved(project, []))).toMatchInlineSnapshot(`
      "
      0 + create-container  shop-cache-1  not there
      1 + create-container  shop-app-1    not there
      2 ~ start-container   shop-cache-1  just created  [after 0]
      3 ? wait-container    shop-cache-1  until healthy (optional): app depends on it  [after 2]
      4 ~ start-container   shop-app-1    just created  [after 1 3]
      "
    `);
  });
});

describe('what cannot be planned', () => {
  test.each<[string, Project, Partial<PlanOptions>, string]>([
    ['an unknown service', pair, { services: ['nope'] }, 'no such service: nope'],
    ['an unknown service to scale', pair, { scale: { nope: 2 } }, 'no such service: nope'],
    [
      'a service of an inactive profile',
      { ...pair, inactiveServices: ['debug'] },
      { services: ['debug'] },
      'service "debug" belongs to a profile',
    ],
    [
      'a container_name for two',
      aProject([aService('a', { containerName: 'x' })]),
      { scale: { a: 2 } },
      'can have only one container',
    ],
    [
      'a cycle',
      aProject([aService('a', { dependsOn: [dependsOn('b')] }), aService('b', { dependsOn: [dependsOn('a')] })]),
      {},
      'cycle: a -> b -> a',
    ],
    ['a service that waits for itself', aProject([aService('a', { dependsOn: [dependsOn('a')] })]), {}, 'cycle: a -> a'],
  ])('%s', (_title, project, options, message) => {
    expect(() => planUp(project, nothingObserved(project), upOptions(options))).toThrow(message);
  });
});
