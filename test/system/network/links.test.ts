import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { macOf } from '../../../src/network/addresses.ts';
import type { AttachRequest, Endpoint } from '../../../src/network/endpoint.ts';
import { bridgeName, hostLinkName } from '../../../src/network/link-names.ts';
import { Networks } from '../../../src/network/networks.ts';
import { coreOn, Machine } from '../../support/network/world.ts';

const project = 'shop';
const idOf = (digit: string) => digit.repeat(64);

let host: Machine;
let core: ReturnType<typeof coreOn>;
let networks: Networks;
const machines: Machine[] = [];

beforeAll(async () => {
  host = await machine();
  core = coreOn(host);
  networks = new Networks(core, core);
});

afterAll(async () => {
  await Promise.all(machines.map((one) => one.stop()));
});

async function machine(): Promise<Machine> {
  const made = await Machine.start();
  machines.push(made);
  return made;
}

function bridgeSpec(network: string, gateway: string) {
  return { network, project, bridge: bridgeName(network), gateway, prefix: 24 };
}

function endpoint(id: string, network: string, ipv4: string, more: Partial<Endpoint> = {}): Endpoint {
  return {
    network,
    bridge: bridgeName(network),
    hostLink: hostLinkName(id, network),
    interfaceName: 'eth0',
    ipv4,
    prefix: 24,
    mac: macOf(ipv4),
    gateway: ipv4.replace(/\d+$/, '1'),
    gwPriority: 0,
    ...more,
  };
}

function attachment(container: Machine, id: string, endpoints: Endpoint[]): AttachRequest {
  return { project, containerId: id, netnsPath: container.netnsPath, pid: container.pid, endpoints };
}

describe('a bridge', () => {
  test('gets its address, MAC, label and loopback routing, and making it again changes nothing', async () => {
    const spec = bridgeSpec('shop_front', '10.89.0.1');
    await networks.ensureBridge({ ...spec, mtu: 1400 });
    const before = await host.ip('address', 'show', 'dev', spec.bridge);
    await networks.ensureBridge({ ...spec, mtu: 1400 });
    const again = await host.ip('address', 'show', 'dev', spec.bridge);
    expect({ ...again[0], linkinfo: undefined }).toEqual({ ...before[0], linkinfo: undefined });
    expect(before[0]).toMatchObject({
      ifname: spec.bridge,
      mtu: 1400,
      address: '02:42:0a:59:00:01',
      ifalias: 'tscompose:shop:shop_front',
      linkinfo: { info_kind: 'bridge' },
    });
    expect(before[0]?.['addr_info']).toMatchObject([{ local: '10.89.0.1', prefixlen: 24, broadcast: '10.89.0.255' }]);
    expect(await core.readSysctl(`net/ipv4/conf/${spec.bridge}/route_localnet`)).toBe('1\n');
  });

  test('half made by a crash is completed', async () => {
    const spec = bridgeSpec('shop_half', '10.89.1.1');
    await host.exec('ip', 'link', 'add', spec.bridge, 'address', macOf(spec.gateway), 'type', 'bridge');
    await networks.ensureBridge(spec);
    const [link] = await host.ip('address', 'show', 'dev', spec.bridge);
    expect(link).toMatchObject({ ifalias: 'tscompose:shop:shop_half', flags: expect.arrayContaining(['UP']) });
    expect(link?.['addr_info']).toMatchObject([{ local: '10.89.1.1' }]);
    await networks.removeBridge(spec.bridge);
    await networks.removeBridge(spec.bridge);
    expect((await host.ip('link')).map(({ ifname }) => ifname)).not.toContain(spec.bridge);
  });

  test.each(['', 'mine'])('whose name a foreign link labelled "%s" has is refused and the link left alone', async (alias) => {
    await host.exec('ip', 'link', 'add', 'theirs', 'type', 'bridge');
    await host.exec('ip', 'link', 'set', 'theirs', 'alias', alias);
    await expect(networks.ensureBridge({ ...bridgeSpec('shop_x', '10.89.2.1'), bridge: 'theirs' })).rejects.toMatchObject({
      code: 'NETWORK_FAILED',
    });
    const [link] = await host.ip('address', 'show', 'dev', 'theirs');
    expect(link?.['ifalias'] ?? '').toBe(alias);
    expect(link).toMatchObject({ operstate: 'DOWN', addr_info: [] });
    await host.exec('ip', 'link', 'delete', 'theirs');
  });
});

describe('a container', () => {
  test('gets links, addresses and one default route, by the network of the highest gateway priority', async () => {
    await networks.ensureBridge(bridgeSpec('shop_front', '10.89.0.1'));
    await networks.ensureBridge(bridgeSpec('shop_back', '10.89.3.1'));
    const container = await machine();
    const id = idOf('a');
    const request = attachment(container, id, [
      endpoint(id, 'shop_front', '10.89.0.2'),
      endpoint(id, 'shop_back', '10.89.3.2', { interfaceName: 'back0', gwPriority: 5, mac: '02:00:00:00:00:77', mtu: 1300 }),
    ]);
    await networks.attach(request);
    const inside = await container.ip('address');
    expect(inside).toMatchObject(
      expect.arrayContaining([
        expect.objectContaining({ ifname: 'lo', flags: expect.arrayContaining(['UP']) }),
        expect.objectContaining({
          ifname: 'eth0',
          address: '02:42:0a:59:00:02',
          addr_info: [expect.objectContaining({ local: '10.89.0.2', prefixlen: 24 })],
        }),
        expect.objectContaining({
          ifname: 'back0',
          mtu: 1300,
          address: '02:00:00:00:00:77',
          addr_info: [expect.objectContaining({ local: '10.89.3.2' })],
        }),
      ]),
    );
    expect(await container.ip('route', 'show', 'default')).toMatchObject([{ gateway: '10.89.3.1', dev: 'back0' }]);
    expect((await host.ip('link', 'show', 'dev', hostLinkName(id, 'shop_front')))[0]).toMatchObject({
      ifalias: `tscompose:shop:shop_front:${'a'.repeat(12)}`,
      master: bridgeName('shop_front'),
      flags: expect.arrayContaining(['UP', 'LOWER_UP']),
    });

    await networks.attach(request);
    expect((await container.ip('address')).map(({ ifindex }) => ifindex)).toEqual(inside.map(({ ifindex }) => ifindex));
    await networks.detach(request.endpoints.map(({ hostLink }) => hostLink));
    await networks.detach(request.endpoints.map(({ hostLink }) => hostLink));
    expect((await container.ip('link')).map(({ ifname }) => ifname)).not.toContain('eth0');
  });

  test('whose link is left from an earlier namespace gets a new one', async () => {
    const [earlier, later] = [await machine(), await machine()];
    const id = idOf('b');
    const endpoints = [endpoint(id, 'shop_front', '10.89.0.3')];
    await networks.attach(attachment(earlier, id, endpoints));
    await networks.attach(attachment(later, id, endpoints));
    expect((await earlier.ip('link')).map(({ ifname }) => ifname)).not.toContain('eth0');
    expect(await later.ip('address', 'show', 'dev', 'eth0')).toMatchObject([{ addr_info: [{ local: '10.89.0.3' }] }]);
    await networks.detach([hostLinkName(id, 'shop_front')]);
  });

  test.each([
    ['on a bridge that is not there', { bridge: 'br-nowhere' }, 'NETWORK_FAILED', /looking up link br-nowhere: .*ENODEV/],
    ['with an interface name that is taken', { interfaceName: 'taken0' }, 'NETWORK_FAILED', /EEXIST/],
    [
      'with a gateway that cannot be reached',
      { gateway: '203.0.113.1' },
      'NETWORK_FAILED',
      /default route via 203\.0\.113\.1: .*ENETUNREACH/,
    ],
    ['with an impossible address', { ipv4: '10.89.0.300' }, 'VALUE_INVALID', /10\.89\.0\.300/],
    ['with the name of the loopback link', { interfaceName: 'lo' }, 'VALUE_INVALID', /one name/],
  ] as const)('%s fails in words and leaves no link', async (_title, wrong, code, words) => {
    const container = await machine();
    await container.exec('ip', 'link', 'add', 'taken0', 'type', 'bridge');
    const id = idOf('c');
    const links = async () => (await host.ip('link')).map(({ ifname }) => ifname);
    const before = await links();
    const good = endpoint(id, 'shop_back', '10.89.3.9', { interfaceName: 'eth1' });
    const failure = networks.attach(
      attachment(container, id, [good, endpoint(id, 'shop_front', '10.89.0.9', { gwPriority: 1, ...wrong })]),
    );
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
    expect(await links()).toEqual(before);
  });
});

describe('the inventory', () => {
  test('finds links by their labels, removes the lost ones only, and never a foreign look-alike', async () => {
    const container = await machine();
    const [kept, lost] = [idOf('d'), idOf('e')];
    await networks.attach(attachment(container, kept, [endpoint(kept, 'shop_front', '10.89.0.20')]));
    await networks.attach(attachment(container, lost, [endpoint(lost, 'shop_front', '10.89.0.21', { interfaceName: 'eth1' })]));
    for (const [name, alias] of [
      ['tscdeadbeef0123', 'tscompose'],
      ['othershop', 'tscompose:shop2:shop_front'],
    ] as const) {
      await host.exec('ip', 'link', 'add', name, 'type', 'bridge');
      await host.exec('ip', 'link', 'set', name, 'alias', alias);
    }

    expect((await networks.listOwned('shop2')).map(({ name }) => name)).toEqual(['othershop']);
    const removed = await networks.removeOwned(project, { containerIds: [kept], networks: ['shop_front'] });
    expect(removed.sort()).toEqual([bridgeName('shop_back'), hostLinkName(lost, 'shop_front')].sort());
    const left = (await networks.listOwned(project)).map(({ name }) => name);
    expect(left.sort()).toEqual([bridgeName('shop_front'), hostLinkName(kept, 'shop_front')].sort());
    expect((await host.ip('link')).map(({ ifname }) => ifname)).toEqual(expect.arrayContaining(['tscdeadbeef0123', 'othershop']));
    await networks.detach(['tscdeadbeef0123', 'othershop', hostLinkName(kept, 'shop_front')]);
  });

  test('tells the prefixes in use', async () => {
    await host.exec('ip', 'link', 'add', 'dummy7', 'up', 'type', 'bridge');
    await host.exec('ip', 'address', 'add', '192.168.77.5/26', 'dev', 'dummy7');
    await host.exec('ip', 'route', 'add', '10.200.0.0/14', 'dev', 'dummy7');
    expect(await networks.hostPrefixes()).toEqual(
      expect.arrayContaining(['127.0.0.1/8', '192.168.77.5/26', '192.168.77.0/26', '10.200.0.0/14']),
    );
  });
});

test('fifty containers attached at once travel in few batches', async () => {
  await networks.ensureBridge(bridgeSpec('shop_front', '10.89.0.1'));
  const container = await machine();
  const ids = Array.from({ length: 50 }, (_, index) => index.toString(16).padStart(64, '0'));
  core.batches = 0;
  await Promise.all(
    ids.map((id, index) =>
      networks.attach(
        attachment(container, id, [
          endpoint(id, 'shop_front', `10.89.0.${index + 100}`, { interfaceName: `many${index}`, gwPriority: 0 }),
        ]),
      ),
    ),
  );
  expect(core.batches).toBeLessThan(6);
  expect((await container.ip('link')).filter(({ ifname }) => String(ifname).startsWith('many'))).toHaveLength(50);
  core.batches = 0;
  await Promise.all(ids.map((id) => networks.detach([hostLinkName(id, 'shop_front')])));
  expect(core.batches).toBe(1);
  expect((await networks.listOwned(project)).filter(({ containerId }) => containerId)).toEqual([]);
});
