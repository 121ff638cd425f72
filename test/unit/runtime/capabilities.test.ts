import { describe, expect, test } from 'vitest';
import {
  allCapabilities,
  boundingSetOf,
  capabilityMask,
  capabilityNames,
  defaultCapabilities,
  grantedCapabilities,
  ungrantableCapabilities,
} from '../../../src/runtime/capabilities.ts';

const short = (name: string): string => name.slice('CAP_'.length);

test("there are 41, and docker's fourteen are 0xa80425fb", () => {
  expect(allCapabilities).toHaveLength(41);
  expect(new Set(allCapabilities).size).toBe(41);
  expect(capabilityMask(defaultCapabilities)).toBe(0xa80425fbn);
  expect(capabilityMask(grantedCapabilities([], [], false))).toBe(0xa80425fbn);
});

describe.each(allCapabilities.map((name, bit) => [name, BigInt(bit)] as const))('%s', (name, bit) => {
  test('added to nothing, it alone is there', () => {
    expect(capabilityMask(grantedCapabilities([short(name).toLowerCase()], ['ALL'], false))).toBe(1n << bit);
  });

  test('dropped from everything, it alone is missing', () => {
    expect(capabilityMask(grantedCapabilities(['ALL'], [name], false))).toBe(((1n << 41n) - 1n) & ~(1n << bit));
  });
});

test.each([
  ['ALL dropped', [], ['ALL'], 0n],
  ['all dropped in small letters', [], ['all'], 0n],
  ['ALL added', ['ALL'], [], (1n << 41n) - 1n],
  ['ALL added and dropped', ['ALL'], ['ALL'], (1n << 41n) - 1n],
  ['a default one dropped', [], ['CHOWN'], 0xa80425fan],
  ['one that is not there dropped', [], ['SYS_ADMIN'], 0xa80425fbn],
  ['one added and dropped stays, as in docker', ['NET_ADMIN'], ['NET_ADMIN'], 0xa80425fbn | (1n << 12n)],
  ['one added twice', ['NET_ADMIN', 'CAP_NET_ADMIN'], [], 0xa80425fbn | (1n << 12n)],
])('%s', (_name, add, drop, mask) => {
  expect(capabilityMask(grantedCapabilities(add, drop, false))).toBe(mask);
});

test.each(['SYS_ADMINN', '', 'CAP_', '0', 'NET ADMIN', '__proto__'])('"%s" is no capability', (name) => {
  expect(() => grantedCapabilities([name], [], false)).toThrow(/is no capability/);
  expect(() => grantedCapabilities([], [name], true)).toThrow(/is no capability/);
});

test('masks and names are inverse', () => {
  for (const mask of [0n, 1n, 0xa80425fbn, (1n << 41n) - 1n]) expect(capabilityMask(capabilityNames(mask))).toBe(mask);
});

test('what our own bounding set lacks cannot be granted by name', () => {
  const available = boundingSetOf('Name:\tnode\nCapBnd:\t000001fffeffffff\nSeccomp:\t0\n');
  expect(ungrantableCapabilities(['sys_resource', 'NET_ADMIN'], available)).toEqual(['CAP_SYS_RESOURCE']);
  expect(ungrantableCapabilities(['ALL'], available)).toEqual([]);
  expect(boundingSetOf('no such line')).toBe((1n << 41n) - 1n);
});
