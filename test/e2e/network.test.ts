import dgram from 'node:dgram';
import os from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeProject, openProject, type Project } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { makeNeighbour, type Neighbour } from '../support/neighbour.ts';
import { freePort, listen, talk } from '../support/ports.ts';
import { busybox, composeOf, idle } from './busybox.ts';

describe('published ports', () => {
  let project: Project;
  let neighbour: Neighbour;
  let port: number;
  let localPort: number;

  beforeAll(async () => {
    neighbour = await makeNeighbour();
    [port, localPort] = [await freePort(), await freePort()];
    project = openProject(`
x-node: &node {image: "host:/usr", init: true}
services:
  open:
    <<: *node
    command: [node, -e, "net.createServer((socket) => socket.end('open')).listen(7)"]
    ports: ["${port}:7"]
  local:
    <<: *node
    command: [node, -e, "net.createServer((socket) => socket.end('local')).listen(7)"]
    ports: ["127.0.0.1:${localPort}:7"]
  datagrams:
    <<: *node
    command: [node, -e, "const s = dgram.createSocket('udp4'); s.on('message', (m, from) => s.send('got ' + m, from.port, from.address)); s.bind(9)"]
    ports: ["${port}:9/udp"]
`);
    await project.ok('up', '-d');
  });
  afterAll(async () => {
    neighbour?.remove();
    await project?.remove();
  });

  const neighbourAsks = (address: string, to: number) =>
    neighbour.run(
      'python3',
      '-c',
      `import socket; s = socket.create_connection(('${address}', ${to}), 3); print(s.recv(100).decode())`,
    );

  test.each([
    { from: 'loopback', address: () => '127.0.0.1' },
    { from: "the host's own address", address: () => hostAddress() },
    { from: 'the address on the link to a neighbour', address: () => neighbour.hostAddress },
  ])('tcp is reached through $from', async ({ address }) => {
    expect(await eventually('an answer', () => talk(address(), port))).toBe('open');
  });

  test('tcp is reached from a neighbour', () => {
    expect(neighbourAsks(neighbour.hostAddress, port)).toContain('open');
  });

  test('what is published on 127.0.0.1 answers here, and a neighbour does not get at it', async () => {
    expect(await eventually('an answer', () => talk('127.0.0.1', localPort))).toBe('local');
    expect(() => neighbourAsks(neighbour.hostAddress, localPort)).toThrow();
  });

  test('a port that is not published is closed to a neighbour that routes to the container', async () => {
    const program = 'Object.values(os.networkInterfaces()).flat().find((entry) => !entry.internal).address';
    const address = (await project.ok('exec', '-T', 'local', 'node', '-p', program)).stdout.trim();
    expect(() => neighbourAsks(address, 7)).toThrow();
  });

  test('udp is answered from the port that was asked', async () => {
    expect(await eventually('an answer', () => askDatagram('127.0.0.1', port))).toBe('got hello');
  });

  test('port and ps tell where', async () => {
    expect((await project.ok('port', 'open', '7')).stdout).toBe(`0.0.0.0:${port}\n`);
    expect((await project.ok('port', '--protocol', 'udp', 'datagrams', '9')).stdout).toBe(`0.0.0.0:${port}\n`);
    expect((await project.container('local')).Publishers).toMatchObject([
      { URL: '127.0.0.1', TargetPort: 7, PublishedPort: localPort, Protocol: 'tcp' },
    ]);
  });
});

describe('names', () => {
  let project: Project;
  beforeAll(async () => {
    project = openProject(`
x-idle: &idle {image: "${busybox}", command: [sleep, infinity], init: true}
services:
  one: {<<: *idle, networks: {left: {aliases: [uno]}}}
  both: {<<: *idle, networks: [left, right]}
  two: {<<: *idle, networks: [right], deploy: {replicas: 2}}
  alone: {<<: *idle, network_mode: none}
  guest: {<<: *idle, network_mode: "service:one"}
  sealed: {<<: *idle, networks: [inner]}
networks: {left: {}, right: {}, inner: {internal: true}}
`);
    await project.ok('up', '-d');
  });
  afterAll(() => project.remove());

  const addressesOf = async (from: string, name: string) => {
    const { stdout, code } = await project.run('exec', '-T', from, 'nslookup', '-type=a', name);
    return code === 0 ? [...stdout.matchAll(/^Address:?\s*(?:\d+:\s*)?(\d+\.\d+\.\d+\.\d+)$/gm)].map((match) => match[1]) : [];
  };
  const reaches = async (from: string, name: string) =>
    (await project.run('exec', '-T', from, 'ping', '-c1', '-W1', name)).code === 0;

  test.each([
    { from: 'both', name: 'one', count: 1 },
    { from: 'both', name: 'uno', count: 1 },
    { from: 'both', name: 'two', count: 2 },
    { from: 'one', name: 'two', count: 0 },
    { from: 'two', name: 'one', count: 0 },
  ])('$from knows $count addresses of $name', async ({ from, name, count }) => {
    expect(await addressesOf(from, name)).toHaveLength(count);
  });

  test('a container is also known by its full name', async () => {
    expect(await addressesOf('both', `${project.name}-two-2`)).toHaveLength(1);
  });

  test.each([
    { from: 'one', to: 'both', is: true },
    { from: 'both', to: 'two', is: true },
    { from: 'guest', to: 'both', is: true },
    { from: 'alone', to: 'both', is: false },
  ])('$from reaches $to: $is', async ({ from, to, is }) => {
    expect(await reaches(from, to)).toBe(is);
  });

  test('networks are apart even for who knows the address', async () => {
    const [address] = await addressesOf('both', 'two');
    expect(address).toMatch(/^\d/);
    expect(await reaches('one', address as string)).toBe(false);
  });

  test('an internal network has no way out', async () => {
    expect(await reaches('sealed', hostAddress())).toBe(false);
    expect((await project.ok('exec', '-T', 'sealed', 'ip', 'route')).stdout).not.toContain('default');
  });

  test('network_mode service shares links and addresses', async () => {
    const links = (service: string) => project.ok('exec', '-T', service, 'ip', '-o', 'addr');
    expect((await links('guest')).stdout).toBe((await links('one')).stdout);
  });
});

test('network_mode host sees the links of the host', async () => {
  const project = makeProject(composeOf({ a: `${idle}network_mode: host\n` }));
  await project.ok('up', '-d');
  const { stdout } = await project.ok('exec', '-T', 'a', 'ls', '/sys/class/net');
  expect(stdout.trim().split(/\s+/)).toEqual(expect.arrayContaining(Object.keys(os.networkInterfaces())));
});

test('a host port that is taken is refused with the name of who has it, and nothing is started', async () => {
  const port = await freePort();
  const server = await listen(port);
  try {
    const project = makeProject(composeOf({ a: `${idle}ports: ["${port}:80"]\n` }));
    const { code, stderr } = await project.run('up', '-d');
    expect(code).toBe(1);
    expect(stderr).toContain(`${port}`);
    expect(stderr).toContain(`process ${process.pid}`);
    expect((await project.ps()).filter((row) => row.State === 'running')).toEqual([]);
  } finally {
    server.close();
  }
});

test('outgoing connections leave with the address of the host', async () => {
  // It knows no way to the bridges: an answer finds back only to the host itself.
  const neighbour = await makeNeighbour({ routesBack: false });
  try {
    const project = makeProject(composeOf({ a: idle }));
    await project.ok('up', '-d');
    const { code } = await project.run('exec', '-T', 'a', 'ping', '-c1', '-W2', '198.18.77.2');
    expect(code).toBe(0);
  } finally {
    neighbour.remove();
  }
});

/** An address of this machine other than loopback; 127.0.0.1 where it has none. */
function hostAddress(): string {
  const all = Object.values(os.networkInterfaces()).flat();
  return all.find((entry) => entry?.family === 'IPv4' && !entry.internal)?.address ?? '127.0.0.1';
}

function askDatagram(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket('udp4');
    const timer = setTimeout(() => finish(() => reject(new Error('no answer'))), 1000);
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      socket.close();
      settle();
    };
    socket.connect(port, host, () => socket.send('hello'));
    socket.once('error', (error) => finish(() => reject(error)));
    socket.once('message', (message) => finish(() => resolve(message.toString())));
  });
}
