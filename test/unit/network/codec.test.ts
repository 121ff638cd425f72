import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  attributeList,
  attributeSize,
  be32Attribute,
  bytesAttribute,
  decodeAcknowledgement,
  decodeAttributes,
  decodeBatch,
  encodeBatch,
  type Message,
  nested,
  textAttribute,
  u32Attribute,
} from '../../../src/network/netlink/codec.ts';
import { describeErrno } from '../../../src/network/netlink/errno.ts';
import { networkFailure, sortAnswers } from '../../../src/network/netlink/queue.ts';
import {
  allowLoopbackRouting,
  deleteGroup,
  newAddress,
  newDefaultRoute,
  newVethPair,
  readAddress,
  readLink,
  readRoute,
} from '../../../src/network/netlink/route.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
const message = (attributes: Message['attributes']): Message => ({
  type: 16,
  flags: 0,
  header: new Uint8Array(16),
  attributes,
  purpose: 'testing',
});

describe('a batch', () => {
  test.each([
    [
      'a veth pair',
      newVethPair({ name: 'tsc0', master: 7 }, { name: 'eth0', mac: '02:42:0a:59:00:02' }, 4121),
      `7c000000 1000 0106 05000000 00000000  00000000000000000000000000000000
       0900 0300 7473633000 000000  0800 0a00 07000000
       4800 1280  0900 0100 7665746800 000000
       3800 0280  3400 0180  00000000000000000000000000000000
       0900 0300 6574683000 000000  0a00 0100 02420a590002 0000  0800 1300 19100000`,
    ],
    [
      'an address',
      newAddress({ link: 3, address: '10.89.0.2', prefix: 24, broadcast: '10.89.0.255' }),
      '30000000 1400 0106 05000000 00000000  02180000 03000000  0800 0200 0a590002  0800 0100 0a590002  0800 0400 0a5900ff',
    ],
    [
      'a default route',
      newDefaultRoute('10.89.0.1', 3),
      '2c000000 1800 0106 05000000 00000000  02000000 fe040001 00000000  0800 0500 0a590001  0800 0400 03000000',
    ],
    [
      'route_localnet',
      allowLoopbackRouting('br0'),
      `3c000000 1000 0100 05000000 00000000  00000000000000000000000000000000
       0800 0300 62723000  1400 1a80  1000 0280  0c00 0180  0800 1a00 01000000`,
    ],
    [
      'a group of links',
      deleteGroup(9),
      '28000000 1100 0100 05000000 00000000 00000000000000000000000000000000 0800 1b00 09000000',
    ],
  ])('has %s as the kernel reads it', (_title, what, expected) => {
    expect(hex(encodeBatch([what], 5))).toBe(expected.replace(/\s+/g, ''));
  });

  test('numbers its messages, and each comes back as it went', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }), { minLength: 1, maxLength: 8 }),
        (lists) => {
          const batch = encodeBatch(
            lists.map((list) => message(list.map((value, index) => bytesAttribute(index + 1, value)))),
            100,
          );
          const decoded = decodeBatch(batch);
          expect(decoded.map(({ sequence }) => sequence)).toEqual(lists.map((_list, index) => 100 + index));
          expect(decoded.map(({ body }) => attributeList(body.subarray(16)).map(([, value]) => [...value]))).toEqual(
            lists.map((list) => list.map((value) => [...value])),
          );
        },
      ),
    );
  });

  test('of any bytes is decoded or refused, never read beyond its end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        try {
          for (const { body } of decodeBatch(noise)) decodeAttributes(body);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CORE_FAILED' });
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('grows with what it holds', () => {
    const large = message([bytesAttribute(1, new Uint8Array(60_000).fill(7))]);
    const batch = encodeBatch([large, large, large], 1);
    expect(decodeBatch(batch).map(({ body }) => body.length)).toEqual([60_020, 60_020, 60_020]);
  });

  test('refuses an attribute whose length does not fit into 16 bits', () => {
    expect(() => encodeBatch([message([bytesAttribute(1, new Uint8Array(65_532))])], 1)).toThrow(
      /attribute 1 would take 65536 bytes/,
    );
  });
});

test('sizes of attributes are known before they are written', () => {
  const tree = nested(1, [textAttribute(2, 'abcde'), be32Attribute(3, 1), nested(4, [u32Attribute(5, 6)], new Uint8Array(6))]);
  expect(encodeBatch([message([tree])], 1).length).toBe(16 + 16 + attributeSize(tree));
});

describe('an acknowledgement', () => {
  test.each([
    ['success', '24000000 0200 0001 05000000 00000000 00000000 28000000 1000 0506 05000000 00000000', 0, ''],
    [
      'a refusal with words, the request cut off (NLM_F_CAPPED)',
      '34000000 0200 0003 05000000 00000000 efffffff 28000000 1000 0506 05000000 00000000 0d00 0100 6e6f206c696e6b3100 000000',
      17,
      'no link1',
    ],
    [
      'a refusal with words behind the whole request',
      '38000000 0200 0002 05000000 00000000 eaffffff 14000000 1000 0506 05000000 00000000 00000000 0d00 0100 6e6f206c696e6b3200 000000',
      22,
      'no link2',
    ],
  ])('tells %s', (_title, text, errno, words) => {
    const [received] = decodeBatch(bytes(text));
    expect(decodeAcknowledgement(received as NonNullable<typeof received>)).toEqual({ errno, text: words });
  });

  test('finds its request by number, and strangers are ignored', () => {
    const requests = [message([]), message([])];
    const replies = decodeBatch(
      bytes('14000000 0200 0000 0b000000 00000000 edffffff 14000000 0200 0000 63000000 00000000 ffffffff'),
    );
    expect(sortAnswers(requests, 10, replies).map(({ errno }) => errno)).toEqual([0, 19]);
  });

  test('becomes an error in words', () => {
    expect(networkFailure({ purpose: 'creating link x', errno: 17, text: '' })).toMatchObject({
      code: 'NETWORK_FAILED',
      message: 'creating link x: object exists already (EEXIST)',
    });
    expect(networkFailure({ purpose: 'creating link x', errno: 22, text: 'Invalid name' }).message).toBe(
      'creating link x: Invalid name, invalid argument (EINVAL)',
    );
    expect(describeErrno(4095)).toBe('error 4095');
  });
});

describe('what the kernel tells', () => {
  const received = (type: number, body: string) => ({ type, flags: 0, sequence: 1, body: bytes(body) });

  test('a link', () => {
    const link = readLink(
      received(
        16,
        `00000100 05000000 01000000 00000000  0900 0300 7473633000 000000  0800 0a00 02000000  0800 0500 07000000
      0800 1400 61626300  0a00 0100 02420a590002 0000  1000 1280 0900 0100 7665746800 000000`,
      ),
    );
    expect(link).toEqual({
      index: 5,
      name: 'tsc0',
      alias: 'abc',
      kind: 'veth',
      mac: '02:42:0a:59:00:02',
      mtu: 0,
      up: true,
      master: 2,
      peer: 7,
    });
  });

  test.each([
    ['an address', readAddress(received(20, '02180000 03000000 0800 0200 0a590002')), { link: 3, cidr: '10.89.0.2/24' }],
    [
      'an IPv6 address',
      readAddress(received(20, '0a400000 01000000 1400 0100 fd000000000000000000000000000001')),
      { link: 1, cidr: 'fd00::1/64' },
    ],
    ['a route', readRoute(received(24, '02180000 fe000001 00000000 0800 0100 0a590000')), '10.89.0.0/24'],
    ['a default route', readRoute(received(24, '02000000 fe000001 00000000 0800 0500 0a590001')), undefined],
    ['a route to ourselves', readRoute(received(24, '02200000 ff000002 00000000 0800 0100 0a590001')), undefined],
    ['something else', readAddress(received(16, '02180000 03000000')), undefined],
  ])('%s', (_title, read, expected) => {
    expect(read).toEqual(expected);
  });
});
