import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { macOf } from '../../../src/network/addresses.ts';
import type { FirewallInput, FirewallPort } from '../../../src/network/firewall.ts';
import { bridgeName, hostLinkName } from '../../../src/network/link-names.ts';
import { Networks } from '../../../src/network/networks.ts';
import { connectMachines, coreOn, Machine } from '../../support/network/world.ts';

/**
 * Two projects on one host: shop with the networks front, back and the internal vault, and blog. A neighbour on the LAN routes
 * all of our subnets, and 127.0.0.1, to the host, as an attacker would.
 */
const subnets = { shop_front: '10.89.0', shop_back: '10.89.1', shop_vault: '10.89.2', blog_default: '10.89.3' } as const;
type Network = keyof typeof subnets;
const hostAddress = '198.51.100.1';
const lanAddress = '198.51.100.2';
const otherHostAddress = '198.51.100.9';

let host: Machine;
let neighbour: Machine;
let networks: Networks;
const containers = {} as Record<'web' | 'peer' | 'api' | 'vault' | 'blog', Machine>;
const machines: Machine[] = [];

const shopPorts: FirewallPort[] = (['tcp', 'udp'] as const).flatMap((protocol) => [
  { hostIp: '', published: 8080, protocol, containerIp: '10.89.0.2', target: 80 },
  { hostIp: '127.0.0.1', published: 8081, protocol, containerIp: '10.89.1.2', target: 80 },
  { hostIp: hostAddress, published: 8082, protocol, containerIp: '10.89.1.2', target: 80 },
  { hostIp: '', published: 8083, protocol, containerIp: '10.89.2.2', target: 80 },
]);

const shop: FirewallInput = {
  networks: [firewallNetwork('shop_front'), firewallNetwork('shop_back'), { ...firewallNetwork('shop_vault'), internal: true }],
  ports: shopPorts,
};
const blog: FirewallInput = {
  networks: [firewallNetwork('blog_default')],
  ports: [{ hostIp: '', published: 9090, protocol: 'tcp', containerIp: '10.89.3.2', target: 80 }],
};

function firewallNetwork(network: Network) {
  return { bridge: bridgeName(network), subnet: `${subnets[network]}.0/24`, internal: false };
}

async function machine(): Promise<Machine> {
  const made = await Machine.start();
  machines.push(made);
  return made;
}

async function container(name: keyof typeof containers, network: Network, last: number, number: number): Promise<void> {
  const made = await machine();
  containers[name] = made;
  const id = String(number).repeat(64).slice(0, 64);
  const ipv4 = `${subnets[network]}.${last}`;
  await networks.attach({
    project: network.split('_')[0] as string,
    containerId: id,
    netnsPath: made.netnsPath,
    pid: made.pid,
    endpoints: [
      {
        network,
        bridge: bridgeName(network),
        hostLink: hostLinkName(id, network),
        interfaceName: 'eth0',
        ipv4,
        prefix: 24,
        mac: macOf(ipv4),
        gateway: `${subnets[network]}.1`,
        gwPriority: 0,
      },
    ],
  });
  for (const protocol of ['tcp', 'udp'] as const) {
    await made.listen(protocol, 80, name);
    await made.listen(protocol, 81, `${name}-unpublished`);
  }
}

beforeAll(async () => {
  [host, neighbour] = [await machine(), await machine()];
  const core = coreOn(host);
  networks = new Networks(core, core);
  await connectMachines(host, neighbour, { name: 'lan0', addresses: [`${hostAddress}/24`, `${lanAddress}/24`] });
  await host.exec('ip', 'address', 'add', `${otherHostAddress}/24`, 'dev', 'lan0');
  await neighbour.exec('ip', 'route', 'add', '10.89.0.0/16', 'via', hostAddress);
  await neighbour.listen('tcp', 7000, 'neighbour');
  await networks.enableForwarding();
  for (const [network, subnet] of Object.entries(subnets)) {
    await networks.ensureBridge({
      network,
      project: network.split('_')[0] as string,
      bridge: bridgeName(network),
      gateway: `${subnet}.1`,
      prefix: 24,
    });
  }
  await container('web', 'shop_front', 2, 1);
  await container('peer', 'shop_front', 3, 2);
  await container('api', 'shop_back', 2, 3);
  await container('vault', 'shop_vault', 2, 4);
  await container('blog', 'blog_default', 2, 5);
  for (const protocol of ['tcp', 'udp'] as const) await host.listen(protocol, 6000, 'host');
  await networks.applyFirewall('shop', shop);
  await networks.applyFirewall('blog', blog);
}, 30_000);

afterAll(async () => {
  await Promise.all(machines.map((one) => one.stop()));
});

const who = { host: () => host, neighbour: () => neighbour, ...fromContainers() };

function fromContainers() {
  const names = ['web', 'peer', 'api', 'vault', 'blog'] as const;
  return Object.fromEntries(names.map((name) => [name, () => containers[name]])) as Record<(typeof names)[number], () => Machine>;
}

/** Kernels without br_netfilter have no such switch, and behave as with 0. */
async function passBridgedPacketsToFirewall(value: '0' | '1'): Promise<void> {
  for (const table of ['iptables', 'ip6tables']) {
    await host.ask('write', { path: `/proc/sys/net/bridge/bridge-nf-call-${table}`, text: value }).catch(() => undefined);
  }
}

describe.each(['0', '1'] as const)(
  'open, with bridge-nf-call %s: what is published, and traffic within a network',
  (bridgeNetfilter) => {
    beforeAll(() => passBridgedPacketsToFirewall(bridgeNetfilter));

    test.each([
      ['neighbour', hostAddress, 8080, `web ${lanAddress}`],
      ['neighbour', otherHostAddress, 8080, `web ${lanAddress}`],
      ['host', hostAddress, 8080, `web ${hostAddress}`],
      ['host', '127.0.0.1', 8080, 'web 10.89.0.1'],
      ['host', '127.0.0.7', 8080, 'web 10.89.0.1'],
      ['host', '127.0.0.1', 8081, 'api 10.89.1.1'],
      ['neighbour', hostAddress, 8082, `api ${lanAddress}`],
      ['host', hostAddress, 8082, `api ${hostAddress}`],
      ['web', hostAddress, 8080, 'web 10.89.0.1'],
      ['peer', hostAddress, 8080, 'web 10.89.0.1'],
      ['api', hostAddress, 8080, 'web 10.89.0.1'],
      ['blog', hostAddress, 8080, 'web 10.89.0.1'],
      ['web', '10.89.0.1', 8080, 'web 10.89.0.1'],
      ['peer', '10.89.0.2', 81, 'web-unpublished 10.89.0.3'],
      ['host', '10.89.0.2', 81, 'web-unpublished 10.89.0.1'],
      ['host', '10.89.2.2', 80, 'vault 10.89.2.1'],
      ['web', '10.89.0.1', 6000, 'host 10.89.0.2'],
    ] as const)('from %s to %s:%i over tcp and udp', async (from, address, port, answer) => {
      for (const protocol of ['tcp', 'udp'] as const) expect(await who[from]().reach(protocol, address, port)).toBe(answer);
    });

    test('another project publishes, too, and both tables stand side by side', async () => {
      expect(await neighbour.reach('tcp', hostAddress, 9090)).toBe(`blog ${lanAddress}`);
      expect(await containers.web.reach('tcp', hostAddress, 9090)).toBe('blog 10.89.3.1');
      expect((await networks.listFirewalls()).sort()).toEqual(['blog', 'shop']);
    });

    test('containers reach the world under the address of the host', async () => {
      expect(await containers.web.reach('tcp', lanAddress, 7000)).toBe(`neighbour ${hostAddress}`);
    });
  },
);

describe('closed: everything else', () => {
  test.each([
    ['an unpublished port of the host', 'neighbour', hostAddress, 81],
    ['a port published on loopback, by the address of the host', 'neighbour', hostAddress, 8081],
    ['a port published on another address', 'neighbour', otherHostAddress, 8082],
    ['a published port by the address of its container', 'neighbour', '10.89.0.2', 80],
    ['an unpublished port by the address of its container', 'neighbour', '10.89.0.2', 81],
    ['a container published on loopback, by its own address', 'neighbour', '10.89.1.2', 80],
    ['another network of the project', 'web', '10.89.1.2', 80],
    ['another network, the other way', 'api', '10.89.0.2', 80],
    ['a network of another project', 'blog', '10.89.0.2', 80],
    ['a network of another project, the other way', 'web', '10.89.3.2', 80],
    ['an internal network', 'web', '10.89.2.2', 80],
    ['an internal network from the LAN', 'neighbour', '10.89.2.2', 80],
    ['a port published for an internal network', 'neighbour', hostAddress, 8083],
    ['the world from an internal network', 'vault', lanAddress, 7000],
    ['the host from an internal network', 'vault', '10.89.2.1', 6000],
    ['the host by another address from an internal network', 'vault', hostAddress, 6000],
    ['published ports from an internal network', 'vault', hostAddress, 8080],
  ] as const)('%s (from %s to %s:%i)', async (_title, from, address, port) => {
    const answers = await Promise.all(
      (['tcp', 'udp'] as const).map((protocol) => who[from]().reach(protocol, address, port, { timeout: 0.4 })),
    );
    for (const answer of answers) expect(answer).toMatch(/^(timeout|Connection refused|No route to host)$/);
  });

  test('a port published on loopback stays closed to a neighbour who routes 127.0.0.1 to us', async () => {
    await neighbour.ask('write', { path: '/proc/sys/net/ipv4/conf/lan0/route_localnet', text: '1' });
    await routeLoopbackAway(neighbour);
    await neighbour.exec('ip', 'route', 'replace', '127.0.0.1/32', 'via', hostAddress, 'dev', 'lan0', 'src', lanAddress);
    const before = await received(host, 'lan0');
    for (const protocol of ['tcp', 'udp'] as const) {
      expect(await neighbour.reach(protocol, '127.0.0.1', 8081, { timeout: 0.4, source: lanAddress })).toBe('timeout');
      expect(await neighbour.reach(protocol, '127.0.0.1', 8080, { timeout: 0.4, source: lanAddress })).toBe('timeout');
    }
    expect(await received(host, 'lan0')).toBeGreaterThan(before);
  });

  test('a container cannot reach the loopback listeners of the host by its bridge', async () => {
    const link = hostLinkName('1'.repeat(64), 'shop_front');
    await host.listen('udp', 6001, 'private', '127.0.0.1');
    const { web } = containers;
    await web.ask('write', { path: '/proc/sys/net/ipv4/conf/eth0/route_localnet', text: '1' });
    await routeLoopbackAway(web);
    await web.exec('ip', 'route', 'replace', '127.0.0.1/32', 'via', '10.89.0.1', 'dev', 'eth0', 'src', '10.89.0.2');
    const before = await received(host, link);
    expect(await web.reach('udp', '127.0.0.1', 6001, { timeout: 0.4, source: '10.89.0.2' })).toBe('timeout');
    expect(await received(host, link)).toBeGreaterThan(before);
  });
});

describe('the table', () => {
  test('replaced with 5000 ports in one transaction, connections under way go on, and again changes nothing', async () => {
    const many: FirewallPort[] = Array.from({ length: 5000 }, (_, index) => ({
      hostIp: '',
      published: 20_000 + index,
      protocol: 'tcp',
      containerIp: '10.89.0.2',
      target: 80,
    }));
    await networks.applyFirewall('shop', { ...shop, ports: [...shopPorts, ...many] });
    await networks.applyFirewall('shop', { ...shop, ports: [...shopPorts, ...many] });
    for (const port of [20_000, 22_500, 24_999]) expect(await host.reach('tcp', hostAddress, port)).toBe(`web ${hostAddress}`);
    await networks.applyFirewall('shop', shop);
    expect(await host.reach('tcp', hostAddress, 20_000)).toBe('Connection refused');
    expect(await host.reach('tcp', hostAddress, 8080)).toBe(`web ${hostAddress}`);
  });

  test('no packet meets a half-made table while it is replaced again and again', async () => {
    let isDone = false;
    const asking = (async () => {
      const answers = new Set<string>();
      while (!isDone) answers.add(await host.reach('tcp', hostAddress, 8080));
      return answers;
    })();
    for (let round = 0; round < 40; round++) await networks.applyFirewall('shop', shop);
    isDone = true;
    expect(await asking).toEqual(new Set([`web ${hostAddress}`]));
  });

  test('refused by the kernel leaves the old one', async () => {
    const broken = { ...shop, networks: [...shop.networks, shop.networks[0] as FirewallInput['networks'][number]] };
    const twice = { ...shop, ports: [...shopPorts, shopPorts[0] as FirewallPort] };
    await expect(networks.applyFirewall('shop', twice)).rejects.toMatchObject({ code: 'CONFLICT' });
    await networks.applyFirewall('shop', broken).catch(() => undefined);
    expect(await host.reach('tcp', hostAddress, 8080)).toBe(`web ${hostAddress}`);
  });

  test('removed is gone, twice is fine, and the other project does not notice', async () => {
    await networks.removeFirewall('shop');
    await networks.removeFirewall('shop');
    expect(await networks.listFirewalls()).toEqual(['blog']);
    expect(await host.reach('tcp', hostAddress, 8080)).toBe('Connection refused');
    expect(await host.reach('tcp', hostAddress, 9090)).toBe(`blog ${hostAddress}`);
    await networks.applyFirewall('shop', shop);
    expect(await host.reach('tcp', hostAddress, 8080)).toBe(`web ${hostAddress}`);
  });
});

describe('IPv6, where a network has it', () => {
  const subnet6 = 'fd00:89:4::/64';
  let six: Machine;

  beforeAll(async () => {
    six = await machine();
    const bridge = bridgeName('six_default');
    const id = '6'.repeat(64);
    await networks.enableForwarding(true);
    await networks.ensureBridge({
      network: 'six_default',
      project: 'six',
      bridge,
      gateway: '10.89.4.1',
      prefix: 24,
      gateway6: 'fd00:89:4::1',
      prefix6: 64,
    });
    await networks.attach({
      project: 'six',
      containerId: id,
      netnsPath: six.netnsPath,
      pid: six.pid,
      endpoints: [
        {
          network: 'six_default',
          bridge,
          hostLink: hostLinkName(id, 'six_default'),
          interfaceName: 'eth0',
          ipv4: '10.89.4.2',
          prefix: 24,
          mac: macOf('10.89.4.2'),
          gateway: '10.89.4.1',
          gwPriority: 0,
          ipv6: 'fd00:89:4::2',
          prefix6: 64,
          gateway6: 'fd00:89:4::1',
        },
      ],
    });
    for (const [one, address] of [
      [host, '2001:db8::1/64'],
      [neighbour, '2001:db8::2/64'],
    ] as const) {
      await one.exec('ip', 'address', 'add', address, 'dev', 'lan0', 'nodad');
    }
    await neighbour.exec('ip', 'route', 'add', subnet6, 'via', '2001:db8::1');
    for (const protocol of ['tcp', 'udp'] as const) await six.listen(protocol, 80, 'six', '::');
    await networks.applyFirewall('six', {
      networks: [{ bridge, subnet: '10.89.4.0/24', subnet6, internal: false }],
      ports: (['tcp', 'udp'] as const).flatMap((protocol) => [
        { hostIp: '', published: 8600, protocol, containerIp: 'fd00:89:4::2', target: 80 },
        { hostIp: '2001:db8::1', published: 8601, protocol, containerIp: 'fd00:89:4::2', target: 80 },
      ]),
    });
  });

  test.each([
    ['neighbour', '2001:db8::1', 8600, 'six 2001:db8::2'],
    ['neighbour', '2001:db8::1', 8601, 'six 2001:db8::2'],
    ['host', '2001:db8::1', 8600, 'six 2001:db8::1'],
  ] as const)('published: from %s to [%s]:%i', async (from, address, port, answer) => {
    for (const protocol of ['tcp', 'udp'] as const) expect(await who[from]().reach(protocol, address, port)).toBe(answer);
  });

  test('published: from loopback, where bridged packets do not pass the firewall (else the kernel drops the answers)', async () => {
    await passBridgedPacketsToFirewall('0');
    for (const protocol of ['tcp', 'udp'] as const) expect(await host.reach(protocol, '::1', 8600)).toBe('six fd00:89:4::1');
  });

  test.each([
    ['fd00:89:4::2', 80],
    ['fd00:89:4::2', 81],
    ['2001:db8::1', 80],
  ] as const)('closed: from the neighbour to [%s]:%i', async (address, port) => {
    expect(await neighbour.reach('tcp', address, port, { timeout: 0.4 })).toMatch(/^(timeout|Connection refused)$/);
  });
});

/** Without addresses on its loopback link a machine sends 127.0.0.0/8 where its routes say. */
async function routeLoopbackAway(machine: Machine): Promise<void> {
  await machine.exec('ip', 'link', 'set', 'lo', 'down');
  await machine.exec('ip', 'address', 'flush', 'dev', 'lo');
}

/** Packets a link has received: proof that an attack arrived. */
async function received(machine: Machine, link: string): Promise<number> {
  const [entry] = await machine.ip('-statistics', 'link', 'show', 'dev', link);
  return (entry as { stats64: { rx: { packets: number } } }).stats64.rx.packets;
}
