import packet from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseResolvers, parseUpstream } from '../../../src/network/dns/forward.ts';
import { answers, withId } from '../../../src/network/dns/message.ts';
import { addressesMeet, parseListeners } from '../../../src/network/holders.ts';
import { createNameServer } from '../../../src/network/name-server.ts';
import { buildZone, findAddress, findName, reverseAddress, rotate, type ZoneMember } from '../../../src/network/names.ts';
import type { DnsCarrier } from '../../../src/network/ports.ts';

const member = (name: string, places: Readonly<Record<string, string>>, aliases: readonly string[] = []): ZoneMember => ({
  id: name,
  name: `shop-${name}-1`,
  attachments: Object.entries(places).map(([network, ipv4]) => ({ network, ipv4, aliases: [name, ...aliases] })),
});

const members = [
  member('web', { front: '10.89.0.2' }, ['WWW']),
  member('api', { front: '10.89.0.3', back: '10.89.1.3' }),
  { ...member('api', { front: '10.89.0.4', back: '10.89.1.4' }), id: 'api2', name: 'shop-api-2' },
  member('store', { back: '10.89.1.2' }, ['constructor']),
  {
    ...member('six', { front: '10.89.0.6' }),
    attachments: [{ network: 'front', ipv4: '10.89.0.6', ipv6: 'fd00::6', aliases: ['six'] }],
  },
];
const zone = buildZone(members);

describe('a name', () => {
  test.each([
    ['web', 'api', 4, ['10.89.0.3', '10.89.0.4']],
    ['web', 'API.', 4, ['10.89.0.3', '10.89.0.4']],
    ['store', 'api', 4, ['10.89.1.3', '10.89.1.4']],
    ['api', 'api', 4, ['10.89.1.3', '10.89.1.4']],
    ['api', 'www', 4, ['10.89.0.2']],
    ['api', 'api.front', 4, ['10.89.0.3', '10.89.0.4']],
    ['api', 'constructor', 4, ['10.89.1.2']],
    ['web', 'api', 6, []],
    ['web', 'six', 6, ['fd00::6']],
    ['web', 'six', 0, []],
  ] as const)('asked by %s for %s (IPv%i) has %o', (asker, name, family, addresses) => {
    expect(findName(zone, asker, name, family)).toEqual({ kind: 'addresses', addresses });
  });

  test.each([
    ['web', 'store', 'unknown'],
    ['store', 'web', 'unknown'],
    ['nobody', 'web', 'stranger'],
    ['web', 'example.org', 'outside'],
    ['web', 'store.back', 'outside'],
    ['web', 'toString', 'outside'],
  ])('asked by %s for %s is %s', (asker, name, kind) => {
    expect(findName(zone, asker, name, 4)).toEqual({ kind });
  });

  test.each([
    ['web', '10.89.0.3', { kind: 'name', name: 'shop-api-1.front' }],
    ['web', '10.89.1.2', { kind: 'unknown' }],
    ['web', '9.9.9.9', { kind: 'outside' }],
    ['web', 'fd00:0::6', { kind: 'name', name: 'shop-six-1.front' }],
  ])('asked by %s for the address %s is found', (asker, address, finding) => {
    expect(findAddress(zone, asker, address)).toEqual(finding);
  });
});

test.each([
  ['2.0.89.10.in-addr.arpa', '10.89.0.2'],
  ['2.0.89.10.IN-ADDR.arpa.', '10.89.0.2'],
  [`6${'.0'.repeat(29)}.d.f.ip6.arpa`, 'fd00::6'],
  ['300.0.89.10.in-addr.arpa', undefined],
  ['0.89.10.in-addr.arpa', undefined],
  ['x.ip6.arpa', undefined],
  ['example.org', undefined],
])('the reverse name %s is the address %s', (name, address) => {
  expect(reverseAddress(name)).toBe(address);
});

test('replicas take turns', () => {
  expect([0, 1, 2, 3].map((turn) => rotate(['a', 'b', 'c'], turn).join(''))).toEqual(['abc', 'bca', 'cab', 'abc']);
  expect(rotate([], 5)).toEqual([]);
});

/** A core without sockets: questions go in by `ask`, the answer comes out, or undefined when there is none within a moment. */
function serverWithoutSockets() {
  let hear: (token: string, peer: Uint8Array, message: Uint8Array) => void = () => undefined;
  const waiting = new Map<number, (message: Uint8Array) => void>();
  const core: DnsCarrier = {
    openDns: async () => undefined,
    closeDns: async () => undefined,
    answerDns: (peer, message) => waiting.get(peer[0] as number)?.(message),
    onDnsQuery: (listener) => {
      hear = listener;
    },
  };
  const server = createNameServer(core, { resolvers: async () => [] });
  const ask = (token: string, message: Uint8Array): Promise<Uint8Array | undefined> =>
    new Promise((resolve) => {
      waiting.set(1, resolve);
      hear(token, Uint8Array.of(1), message);
      setImmediate(() => setImmediate(() => resolve(undefined)));
    });
  return { server, ask };
}

function query(name: string, type: string, more: object = {}): Uint8Array {
  return packet.encode({
    type: 'query',
    id: 4321,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type: type as 'A' }],
    ...more,
  });
}

describe('the name server', () => {
  const { server, ask } = serverWithoutSockets();
  server.setMembers(members);
  const decode = (message: Uint8Array | undefined) =>
    packet.decode(Buffer.from(message ?? [])) as packet.DecodedPacket & { rcode: string };

  test.each([
    ['web', 'api', 'A', 'NOERROR', ['10.89.0.3', '10.89.0.4']],
    ['web', 'WwW', 'A', 'NOERROR', ['10.89.0.2']],
    ['web', 'web', 'AAAA', 'NOERROR', []],
    ['web', 'web', 'MX', 'NOERROR', []],
    ['web', 'web', 'UNKNOWN_65', 'NOERROR', []],
    ['web', 'store', 'A', 'NXDOMAIN', []],
    ['web', '3.0.89.10.in-addr.arpa', 'PTR', 'NOERROR', ['shop-api-1.front']],
    ['web', 'example.org', 'A', 'NXDOMAIN', []],
    ['nobody', 'web', 'A', 'SERVFAIL', []],
  ])('answers %s asking for %s %s with %s', async (asker, name, type, rcode, data) => {
    const answer = decode(await ask(asker, query(name, type)));
    expect(answer).toMatchObject({ id: 4321, type: 'response', rcode, questions: [{ name }] });
    expect((answer.answers ?? []).map((record) => String((record as { data?: unknown }).data)).sort()).toEqual(data);
    expect((answer.answers ?? []).every((record) => (record as { ttl: number }).ttl <= 5)).toBe(true);
  });

  test('says "failed" for the world outside without a resolver, and "no such name" on internal networks', async () => {
    await server.open('web', '', { upstreams: [], internal: false });
    expect(decode(await ask('web', query('example.org', 'A'))).rcode).toBe('SERVFAIL');
    await server.open('web', '', { upstreams: ['192.0.2.1'], internal: true });
    expect(decode(await ask('web', query('example.org', 'A'))).rcode).toBe('NXDOMAIN');
    await server.close('web');
  });

  test('gives as many of a hundred replicas as fit, each sooner or later, and all with a large EDNS buffer', async () => {
    const many = serverWithoutSockets();
    const replicas = Array.from({ length: 100 }, (_, index) => ({
      ...member('many', { front: `10.89.0.${index + 1}` }),
      id: `${index}`,
    }));
    many.server.setMembers([...replicas, member('web', { front: '10.89.0.200' })]);
    const seen = new Set<string>();
    for (let turn = 0; turn < 100; turn++) {
      const message = await many.ask('web', query('many', 'A'));
      expect(message?.length).toBeLessThanOrEqual(512);
      for (const record of decode(message).answers ?? []) seen.add(String((record as { data?: unknown }).data));
    }
    expect(seen.size).toBe(100);
    const opt = {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 4096,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    };
    const whole = decode(await many.ask('web', query('many', 'A', { additionals: [opt] })));
    expect(whole.answers).toHaveLength(100);
    expect(whole.additionals).toMatchObject([{ type: 'OPT' }]);
  });

  test.each([
    ['a response', packet.encode({ type: 'response', id: 1, questions: [{ name: 'web', type: 'A' }] }), undefined],
    ['too short', Uint8Array.of(1, 2, 0, 0), undefined],
    ['no question', packet.encode({ type: 'query', id: 1, questions: [] }), 1],
    [
      'two questions',
      packet.encode({
        type: 'query',
        id: 1,
        questions: [
          { name: 'web', type: 'A' },
          { name: 'web', type: 'A' },
        ],
      }),
      1,
    ],
    ['an update', packet.encode({ type: 'query', id: 1, flags: 5 << 11, questions: [{ name: 'web', type: 'A' }] }), 4],
    ['class CHAOS', packet.encode({ type: 'query', id: 1, questions: [{ name: 'version.bind', type: 'TXT', class: 'CH' }] }), 5],
    ['a name that points at itself', Uint8Array.of(1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1), 1],
  ])('treats %s as it should', async (_title, message, code) => {
    const answer = await ask('web', message);
    expect(answer?.[3] === undefined ? undefined : answer[3] & 15).toBe(code);
    if (answer) expect([...answer.subarray(0, 2)]).toEqual([...message.subarray(0, 2)]);
  });

  test('survives any message', async () => {
    const { ask: askAny, server: any } = serverWithoutSockets();
    any.setMembers(members);
    const mutated = fc.tuple(
      fc.constantFrom(query('web', 'A'), query('3.0.89.10.in-addr.arpa', 'PTR')),
      fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 6 }),
    );
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      mutated.map(([text, changes]) => {
        const copy = Uint8Array.from(text);
        for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
        return copy;
      }),
    );
    await fc.assert(
      fc.asyncProperty(message, async (bytes) => {
        const answer = await askAny('web', bytes);
        if (answer) expect((answer[2] as number) & 0x80).toBe(0x80);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('resolvers', () => {
  test('come from resolv.conf in order, loopback ones included', () => {
    expect(
      parseResolvers(
        '# x\nnameserver 127.0.0.53\nsearch a\nnameserver\t2001:db8::1\nnameserver nonsense!\n;nameserver 9.9.9.9\n',
      ),
    ).toEqual([
      { address: '127.0.0.53', port: 53 },
      { address: '2001:db8::1', port: 53 },
    ]);
  });

  test.each([
    ['9.9.9.9:5353', { address: '9.9.9.9', port: 5353 }],
    ['[2001:db8::1]:54', { address: '2001:db8::1', port: 54 }],
    ['fe80::1%eth0', { address: 'fe80::1%eth0', port: 53 }],
    ['example.org', undefined],
    ['9.9.9.9:70000', undefined],
  ])('%s is %o', (text, upstream) => {
    expect(parseUpstream(text)).toEqual(upstream);
  });

  test('are believed only when id and question are ours', () => {
    const asked = query('Example.org', 'A');
    const right = packet.encode({ type: 'response', id: 4321, questions: [{ name: 'Example.org', type: 'A' }] });
    expect(answers(asked, right)).toBe(true);
    expect(answers(asked, withId(right, 4322))).toBe(false);
    expect(answers(asked, asked)).toBe(false);
    expect(answers(asked, packet.encode({ type: 'response', id: 4321, questions: [{ name: 'example.org', type: 'A' }] }))).toBe(
      false,
    );
    expect(answers(asked, packet.encode({ type: 'response', id: 4321, questions: [] }))).toBe(false);
    expect(answers(asked, packet.encode({ type: 'response', id: 4321, flags: 5, questions: [] }))).toBe(true);
  });
});

describe('listening sockets of the host', () => {
  const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
  test.each([
    [
      'tcp',
      '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1',
      [{ address: '127.0.0.1', port: 8080 }],
    ],
    ['tcp', '   0: 0100007F:1F90 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 4711 1', []],
    [
      'tcp',
      '   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1',
      [{ address: '::', port: 80 }],
    ],
    [
      'tcp',
      '   0: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1',
      [{ address: '127.0.0.1', port: 80 }],
    ],
    [
      'udp',
      '   0: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2',
      [{ address: '127.0.0.1', port: 53 }],
    ],
    ['udp', 'rubbish', []],
  ])('are read from /proc/net/%s', (protocol, line, expected) => {
    expect(parseListeners(header + line, protocol)).toEqual(expected.map((one) => ({ protocol, inode: '4711', ...one })));
  });

  test.each([
    ['0.0.0.0', '127.0.0.1', true],
    ['127.0.0.1', '0.0.0.0', true],
    ['127.0.0.1', '127.0.0.2', false],
    ['::', '127.0.0.1', true],
    ['', '10.0.0.1', true],
    ['0.0.0.0', '::1', false],
    ['::ffff:127.0.0.1', '127.0.0.1', true],
    ['0.0.0.0', '', true],
    ['::1', '0:0::1', true],
  ])('%s and %s meet: %s', (one, other, meet) => {
    expect(addressesMeet(one, other)).toBe(meet);
    expect(addressesMeet(other, one)).toBe(meet);
  });
});
