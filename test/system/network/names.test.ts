import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import packet from 'dns-packet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findPortHolder } from '../../../src/network/holders.ts';
import { createNameServer, DNS_ADDRESS } from '../../../src/network/name-server.ts';
import { coreOn, Machine, type Transport } from '../../support/network/world.ts';

let host: Machine;
let web: Machine;
let vault: Machine;
const closing: (() => void)[] = [];
const asked: string[] = [];

beforeAll(async () => {
  [host, web, vault] = await Promise.all([Machine.start(), Machine.start(), Machine.start()]);
  const upstream = { address: '127.0.0.1', port: await startUpstream() };
  const silent = createSocket('udp4');
  silent.bind(0, '127.0.0.1');
  await once(silent, 'listening');
  closing.push(() => silent.close());
  const server = createNameServer(coreOn(host), {
    resolvers: async () => [{ address: '127.0.0.1', port: silent.address().port }, upstream],
  });
  server.setMembers([
    { id: 'web', name: 'shop-web-1', attachments: [{ network: 'front', ipv4: '10.89.0.2', aliases: ['web'] }] },
    { id: 'vault', name: 'shop-vault-1', attachments: [{ network: 'vault', ipv4: '10.89.2.2', aliases: ['vault'] }] },
    { id: 'host', name: 'shop-slow-1', attachments: [{ network: 'front', ipv4: '10.89.0.3', aliases: ['slow'] }] },
  ]);
  await server.open('web', web.netnsPath, { upstreams: [`127.0.0.1:${upstream.port}`], internal: false });
  await server.open('vault', vault.netnsPath, { upstreams: [], internal: true });
  await server.open('host', host.netnsPath, { upstreams: [], internal: false });
});

afterAll(async () => {
  for (const close of closing) close();
  await Promise.all([host, web, vault].map((machine) => machine.stop()));
});

/**
 * A resolver on loopback: "long.test" has 60 addresses and is cut over UDP, "refused.test" is refused, all others are 192.0.2.1.
 */
async function startUpstream(): Promise<number> {
  const stream = createServer((socket) => {
    socket.once('data', (data: Buffer) => {
      const answer = answerAs(data.subarray(2), 'tcp');
      const framed = Buffer.concat([Buffer.of(answer.length >> 8, answer.length & 255), answer]);
      socket.write(framed.subarray(0, 1));
      setTimeout(() => socket.end(framed.subarray(1)), 20);
    });
  }).listen(0, '127.0.0.1');
  await once(stream, 'listening');
  const { port } = stream.address() as AddressInfo;
  const datagrams = createSocket('udp4').bind(port, '127.0.0.1');
  datagrams.on('message', (message, peer) => {
    /* A forger's guess comes first and must not be believed. */
    const forged = Buffer.from(answerAs(message, 'forged'));
    forged.writeUInt16BE((message.readUInt16BE(0) + 1) & 0xffff, 0);
    datagrams.send(forged, peer.port, peer.address);
    datagrams.send(answerAs(message, 'udp'), peer.port, peer.address);
  });
  await once(datagrams, 'listening');
  closing.push(
    () => stream.close(),
    () => datagrams.close(),
  );
  return port;
}

function answerAs(message: Buffer, how: 'udp' | 'tcp' | 'forged'): Buffer {
  const { id, questions } = packet.decode(message);
  const name = questions?.[0]?.name ?? '';
  if (how !== 'forged') asked.push(`${name} ${how}`);
  const isLong = name === 'long.test';
  const count = isLong ? 60 : 1;
  const addresses = Array.from({ length: count }, (_, index) => (how === 'forged' ? '203.0.113.6' : `192.0.2.${index + 1}`));
  const truncated = isLong && how === 'udp';
  return packet.encode({
    type: 'response',
    id: id ?? 0,
    flags: (truncated ? packet.TRUNCATED_RESPONSE : 0) | (name === 'refused.test' ? 5 : 0),
    questions: questions ?? [],
    answers: truncated || name === 'refused.test' ? [] : addresses.map((data) => ({ type: 'A', name, ttl: 60, data })),
  });
}

async function lookUp(machine: Machine, name: string, protocol: Transport = 'udp') {
  const message = packet.encode({ type: 'query', id: 99, flags: packet.RECURSION_DESIRED, questions: [{ name, type: 'A' }] });
  const answer = packet.decode(await machine.lookUp(protocol, DNS_ADDRESS, 53, message)) as packet.DecodedPacket & {
    rcode: string;
  };
  return {
    id: answer.id,
    rcode: answer.rcode,
    cut: answer.flag_tc,
    data: (answer.answers ?? []).map((record) => (record as { data: string }).data),
  };
}

describe('inside a container 127.0.0.11', () => {
  test.each(['udp', 'tcp'] as const)('knows the names of its networks over %s', async (protocol) => {
    expect(await lookUp(web, 'web', protocol)).toEqual({ id: 99, rcode: 'NOERROR', cut: false, data: ['10.89.0.2'] });
    expect(await lookUp(web, 'vault', protocol)).toMatchObject({ rcode: 'NXDOMAIN' });
    expect(await lookUp(vault, 'vault', protocol)).toMatchObject({ data: ['10.89.2.2'] });
  });

  test.each(['udp', 'tcp'] as const)(
    'passes other questions on over %s, and does not believe a forged answer',
    async (protocol) => {
      expect(await lookUp(web, 'example.test', protocol)).toEqual({ id: 99, rcode: 'NOERROR', cut: false, data: ['192.0.2.1'] });
    },
  );

  test('fetches a cut answer over TCP and lets the client come back for it', async () => {
    asked.length = 0;
    expect(await lookUp(web, 'long.test')).toMatchObject({ cut: true, data: [] });
    expect(asked).toEqual(['long.test udp', 'long.test tcp']);
    expect((await lookUp(web, 'long.test', 'tcp')).data).toHaveLength(60);
  });

  test('tells what every resolver refused', async () => {
    expect(await lookUp(web, 'refused.test')).toMatchObject({ rcode: 'REFUSED' });
  });

  test('keeps questions of an internal network inside', async () => {
    asked.length = 0;
    expect(await lookUp(vault, 'secret.example.test')).toMatchObject({ rcode: 'NXDOMAIN' });
    expect(asked).toEqual([]);
  });

  test('goes on to the next resolver when one is silent', async () => {
    expect(await lookUp(host, 'example.test')).toMatchObject({ data: ['192.0.2.1'] });
  });
});

test('the process that holds a port is named', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    expect(findPortHolder('tcp', '0.0.0.0', port)).toMatch(new RegExp(`^process ${process.pid} \\(.+\\)$`));
    expect(findPortHolder('tcp', '127.0.0.2', port)).toBeUndefined();
    expect(findPortHolder('udp', '', port)).toBeUndefined();
  } finally {
    server.close();
  }
});
