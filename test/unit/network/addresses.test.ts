import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  address6Of,
  dropNetwork,
  freeAddress,
  gateway6Of,
  leaseOf,
  type Leases,
  macOf,
  noLeases,
  parseLeases,
  subnet6Of,
  takeAddress,
  takeSubnet,
} from '../../../src/network/addresses.ts';
import {
  canonicalAddress,
  contains,
  ipv4Number,
  ipv4Text,
  isAddress,
  isIpv4,
  overlaps,
  parseCidr,
} from '../../../src/network/ip.ts';

const request = (network: string, more: object = {}) => ({ network, project: 'shop', ...more });
const withNetwork = (more: object = {}) => takeSubnet(noLeases, request('shop_front', more), []);
const subnets = (leases: Leases) => Object.values(leases.networks).map(({ subnet }) => subnet);

describe('a subnet', () => {
  test.each([
    ['the first of the pools', [], '10.89.0.0/24'],
    ['the next when an address of the host is in it', ['10.89.0.7/32', '10.89.1.0/25'], '10.89.2.0/24'],
    ['beyond a wide route', ['10.0.0.0/8'], '172.18.0.0/24'],
    ['beyond everything wide', ['10.0.0.0/8', '172.16.0.0/12'], '192.168.192.0/24'],
    ['undisturbed by default routes, IPv6 and rubbish', ['0.0.0.0/0', 'fd00::/8', 'x'], '10.89.0.0/24'],
  ])('is %s', (_title, inUse, expected) => {
    expect(subnets(takeSubnet(noLeases, request('a'), inUse))).toEqual([expected]);
  });

  test('is kept when asked again, though it is in use by then', () => {
    const once = withNetwork();
    expect(takeSubnet(once, request('shop_front'), ['10.89.0.1/24'])).toBe(once);
  });

  test('of the file changed gives another one, and its addresses are gone', () => {
    const taken = takeAddress(withNetwork(), 'shop_front', 'a').leases;
    const changed = takeSubnet(taken, request('shop_front', { subnet: '10.5.0.0/16' }), ['10.89.0.1/24', '10.89.0.0/24']);
    expect(leaseOf(changed, 'shop_front')).toMatchObject({ subnet: '10.5.0.0/16', gateway: '10.5.0.1', leases: {} });
  });

  test.each([
    [
      'of another network',
      { subnet: '10.89.0.128/25' },
      [],
      'SUBNET_TAKEN',
      /network shop_front of project shop \(10\.89\.0\.0\/24\)/,
    ],
    [
      'of an interface of the host',
      { subnet: '192.168.1.0/24' },
      ['192.168.1.5/24'],
      'SUBNET_TAKEN',
      /this host \(192\.168\.1\.0\/24\)/,
    ],
    ['that is none', { subnet: '10.1.2/24' }, [], 'VALUE_INVALID', /10\.1\.2\/24/],
    ['too small for anybody', { subnet: '10.1.2.0/31' }, [], 'VALUE_INVALID', /usable/],
    ['whose gateway is outside', { subnet: '10.1.2.0/24', gateway: '10.1.3.1' }, [], 'VALUE_INVALID', /10\.1\.3\.1/],
    ['whose gateway is the broadcast address', { subnet: '10.1.2.0/24', gateway: '10.1.2.255' }, [], 'VALUE_INVALID', /255/],
    ['whose range is outside', { subnet: '10.1.2.0/24', ipRange: '10.1.0.0/16' }, [], 'VALUE_INVALID', /ip_range/],
  ])('%s is refused', (_title, more, inUse, code, words) => {
    expect(() => takeSubnet(withNetwork(), request('other', more), inUse)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(words) }),
    );
  });

  test('may lie inside a wider route of the host', () => {
    expect(subnets(takeSubnet(noLeases, request('a', { subnet: '10.7.0.0/24' }), ['10.0.0.0/8']))).toEqual(['10.7.0.0/24']);
  });

  test('is missing when all pools are full', () => {
    expect(() => takeSubnet(noLeases, request('a'), ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'])).toThrow(
      expect.objectContaining({ code: 'ADDRESSES_EXHAUSTED' }),
    );
  });

  test('never meets another one nor what is in use', () => {
    const cidr = fc.tuple(
      fc.constantFrom('10.89', '10.90', '172.18', '172.31', '192.168'),
      fc.nat(255),
      fc.integer({ min: 14, max: 32 }),
    );
    fc.assert(
      fc.property(fc.array(cidr, { maxLength: 12 }), fc.integer({ min: 1, max: 12 }), (list, count) => {
        const inUse = list.map(([start, third, prefix]) => `${start}.${third}.0/${prefix}`);
        let leases = noLeases;
        for (let index = 0; index < count; index++) leases = takeSubnet(leases, request(`n${index}`), inUse);
        const given = subnets(leases).map((text) => parseCidr(text) as NonNullable<ReturnType<typeof parseCidr>>);
        const blocked = inUse.map((text) => parseCidr(text) as NonNullable<ReturnType<typeof parseCidr>>);
        given.forEach((one, index) => {
          expect([...given.slice(index + 1), ...blocked].filter((other) => overlaps(one, other))).toEqual([]);
        });
      }),
    );
  });
});

describe('an address', () => {
  test('comes after the gateway, is kept, and goes back', () => {
    const first = takeAddress(withNetwork(), 'shop_front', 'a');
    expect(first).toMatchObject({ address: '10.89.0.2', prefix: 24, gateway: '10.89.0.1' });
    expect(takeAddress(first.leases, 'shop_front', 'a')).toEqual(first);
    expect(freeAddress(first.leases, 'shop_front', 'a').networks['shop_front']?.leases).toEqual({});
    expect(freeAddress(first.leases, 'shop_front', 'nobody')).toBe(first.leases);
    expect(dropNetwork(first.leases, 'shop_front')).toEqual(noLeases);
  });

  test('just given back rests while others are free', () => {
    const one = takeAddress(withNetwork({ subnet: '10.1.0.0/29' }), 'shop_front', 'a');
    const again = takeAddress(freeAddress(one.leases, 'shop_front', 'a'), 'shop_front', 'b');
    expect([one.address, again.address]).toEqual(['10.1.0.2', '10.1.0.3']);
  });

  test.each([
    ['static', {}, '10.89.0.77', '10.89.0.77'],
    ['from the range', { ipRange: '10.89.0.64/28', subnet: '10.89.0.0/24' }, undefined, '10.89.0.64'],
    ['not an auxiliary one', { auxAddresses: ['10.89.0.2', '10.89.0.3'] }, undefined, '10.89.0.4'],
    ['beside a gateway of the file', { subnet: '10.89.0.0/24', gateway: '10.89.0.2' }, undefined, '10.89.0.1'],
  ])('can be %s', (_title, network, wanted, expected) => {
    expect(takeAddress(withNetwork(network), 'shop_front', 'a', wanted).address).toBe(expected);
  });

  test.each([
    ['of the gateway', '10.89.0.1', 'ADDRESS_TAKEN'],
    ['of another container', '10.89.0.2', 'ADDRESS_TAKEN'],
    ['outside', '10.90.0.2', 'VALUE_INVALID'],
    ['of the network itself', '10.89.0.0', 'VALUE_INVALID'],
    ['in octal', '10.89.0.012', 'VALUE_INVALID'],
  ])('%s is refused', (_title, wanted, code) => {
    const leases = takeAddress(withNetwork(), 'shop_front', 'other').leases;
    expect(() => takeAddress(leases, 'shop_front', 'a', wanted)).toThrow(expect.objectContaining({ code }));
  });

  test('static or automatic, taken and given back in any order, belongs to one container and is a host of the subnet', () => {
    const action = fc.record({
      id: fc.constantFrom('a', 'b', 'c', 'd', 'e', '__proto__', 'f', 'g'),
      take: fc.boolean(),
      wanted: fc.option(fc.integer({ min: 0, max: 7 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        let leases = withNetwork({ subnet: '10.1.0.0/29', auxAddresses: ['10.1.0.4'] });
        for (const { id, take, wanted } of actions) {
          try {
            leases = take
              ? takeAddress(leases, 'shop_front', id, wanted === undefined ? undefined : `10.1.0.${wanted}`).leases
              : freeAddress(leases, 'shop_front', id);
          } catch (error) {
            expect(['ADDRESS_TAKEN', 'ADDRESSES_EXHAUSTED', 'VALUE_INVALID']).toContain((error as { code: string }).code);
          }
          const held = Object.values(leaseOf(leases, 'shop_front')?.leases ?? {});
          expect(new Set(held).size).toBe(held.length);
          expect(held.every((address) => ['10.1.0.2', '10.1.0.3', '10.1.0.5', '10.1.0.6'].includes(address))).toBe(true);
          expect(parseLeases(JSON.stringify(leases))).toEqual(leases);
        }
      }),
    );
  });

  test('is there for every container until the subnet is full', () => {
    let leases = withNetwork({ subnet: '10.1.0.0/28' });
    const given = Array.from({ length: 13 }, (_, index) => {
      const taken = takeAddress(leases, 'shop_front', `c${index}`);
      leases = taken.leases;
      return taken.address;
    });
    expect(new Set(given).size).toBe(13);
    expect(() => takeAddress(leases, 'shop_front', 'more')).toThrow(expect.objectContaining({ code: 'ADDRESSES_EXHAUSTED' }));
    expect(takeAddress(freeAddress(leases, 'shop_front', 'c4'), 'shop_front', 'more').address).toBe(given[4]);
  });
});

test.each([
  ['not JSON', '{'],
  ['another version', '{"version":2,"networks":{}}'],
  ['a list', '[]'],
  [
    'a broken subnet',
    '{"version":1,"networks":{"a":{"project":"p","subnet":"x","gateway":"10.0.0.1","auxAddresses":[],"leases":{},"next":"10.0.0.2"}}}',
  ],
  [
    'a broken lease',
    '{"version":1,"networks":{"a":{"project":"p","subnet":"10.0.0.0/24","gateway":"10.0.0.1","auxAddresses":[],"leases":{"a":7},"next":"x"}}}',
  ],
])('a lease file that is %s is recognised as damaged', (_title, text) => {
  expect(parseLeases(text)).toBeUndefined();
});

test('MAC and IPv6 addresses follow from the name and the IPv4 address', () => {
  expect(macOf('10.89.0.2')).toBe('02:42:0a:59:00:02');
  const subnet6 = subnet6Of('shop_front');
  expect(subnet6).toMatch(/^fd.*::\/64$/);
  expect(subnet6Of('shop_front')).toBe(subnet6);
  expect(subnet6Of('shop_back')).not.toBe(subnet6);
  const cidr = parseCidr(subnet6) as NonNullable<ReturnType<typeof parseCidr>>;
  expect(contains(cidr, address6Of(subnet6, '10.89.0.2'))).toBe(true);
  expect(address6Of('fd00:1::/64', '10.89.0.2')).toBe('fd00:1::a59:2');
  expect(gateway6Of('fd00:1::/64')).toBe('fd00:1::1');
});

describe('prefixes', () => {
  test.each([
    ['10.1.2.3/24', '10.1.2.0/24'],
    ['10.1.2.3/0', '0.0.0.0/0'],
    ['255.255.255.255/9', '255.128.0.0/9'],
    ['fd00:1:2:3:4::5/64', 'fd00:1:2:3::/64'],
    ['10.1.2.3/33', undefined],
    ['10.1.2.3', undefined],
    ['10.1.2.256/24', undefined],
    ['::1/129', undefined],
    ['fe80::1%eth0/64', undefined],
  ])('%s is %s', (text, expected) => {
    expect(parseCidr(text)?.text).toBe(expected);
  });

  test('addresses survive the way to a number and back', () => {
    fc.assert(fc.property(fc.ipV4(), (text) => ipv4Text(ipv4Number(text)) === text));
    fc.assert(
      fc.property(fc.ipV6(), (text) => isAddress(text) && canonicalAddress(canonicalAddress(text)) === canonicalAddress(text)),
    );
  });

  test.each([
    ['0127.0.0.1', false],
    ['1.2.3', false],
    ['0x7f.0.0.1', false],
    ['1.2.3.4', true],
    ['1.2.3.4 ', false],
  ])('"%s" is an address: %s', (text, is) => {
    expect(isIpv4(text)).toBe(is);
  });
});
