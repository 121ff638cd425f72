import { describe, expect, test } from 'vitest';
import { type FirewallInput, firewallRules, projectOfTable, tableName } from '../../../src/network/firewall.ts';
import { bridgeName, hostLinkName, linkAlias, parseLinkAlias } from '../../../src/network/link-names.ts';
import { attributeList, decodeBatch, encodeBatch } from '../../../src/network/netlink/codec.ts';
import { replaceTable } from '../../../src/network/nft/messages.ts';
import { concatenate, typeBytes, typeNumber } from '../../../src/network/nft/ruleset.ts';

const front = { bridge: 'br-front', subnet: '10.89.0.0/24', internal: false };
const vault = { bridge: 'br-vault', subnet: '10.89.2.0/24', internal: true };
const web = { hostIp: '', published: 8080, protocol: 'tcp', containerIp: '10.89.0.2', target: 80 } as const;
const rules = (input: Partial<FirewallInput>) => firewallRules('shop', { networks: [front, vault], ports: [web], ...input });
const keys = (input: Partial<FirewallInput>) =>
  Object.fromEntries(
    rules(input).sets.map(({ name, elements }) => [
      name,
      elements.map(({ key, data }) => `${key.join('.')}${data ? ` → ${data.join('.')}` : ''}`),
    ]),
  );

describe('a table', () => {
  test.each([
    ['on every address', {}, 'pub4', '6.0.0.0.31.144.0.0 → 10.89.0.2.0.80.0.0'],
    ['on 0.0.0.0', { hostIp: '0.0.0.0' }, 'pub4', '6.0.0.0.31.144.0.0 → 10.89.0.2.0.80.0.0'],
    [
      'on one address, udp',
      { hostIp: '127.0.0.1', protocol: 'udp' },
      'pub4a',
      '127.0.0.1.17.0.0.0.31.144.0.0 → 10.89.0.2.0.80.0.0',
    ],
    ['to IPv6', { containerIp: 'fd00::2' }, 'pub6', '6.0.0.0.31.144.0.0 → 253.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.80.0.0'],
    [
      'to IPv6 on one address',
      { containerIp: 'fd00::2', hostIp: '::1' },
      'pub6a',
      '0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.6.0.0.0.31.144.0.0 → 253.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.80.0.0',
    ],
  ] as const)('has a port published %s in its map', (_title, more, map, expected) => {
    const maps = keys({ ports: [{ ...web, ...more }] });
    expect(maps[map]).toEqual([expected]);
    expect(
      Object.entries(maps).filter(([name, elements]) => name.startsWith('pub') && name !== map && elements.length > 0),
    ).toEqual([]);
  });

  test('has no rule for a port: five thousand cost elements only', () => {
    const many = Array.from({ length: 5000 }, (_, index) => ({ ...web, published: 10_000 + index }));
    const count = (input: Partial<FirewallInput>) => rules(input).chains.reduce((sum, chain) => sum + chain.rules.length, 0);
    expect(count({ ports: many })).toBe(count({ ports: [] }));
    const messages = decodeBatch(encodeBatch(replaceTable(rules({ ports: many })), 1));
    const lists = messages
      .filter(({ type }) => type === 0xa0c)
      .map(({ body }) => attributeList(body.subarray(4)).find(([type]) => type === 3)?.[1] ?? new Uint8Array());
    expect(lists.length).toBeGreaterThan(2);
    expect(Math.max(...lists.map(({ length }) => length))).toBeLessThan(65_532);
    expect(lists.reduce((sum, list) => sum + attributeList(list).length, 0)).toBe(5000 + 3);
  });

  test('is replaced in one transaction: add, delete, add', () => {
    const messages = replaceTable(rules({}));
    expect(messages.slice(0, 4).map(({ type }) => type)).toEqual([16, 0xa00, 0xa02, 0xa00]);
    expect(messages.at(-1)?.type).toBe(17);
    expect(messages.filter(({ flags }) => (flags & 4) !== 0)).toHaveLength(1);
  });

  test.each([
    ['the same port twice', { ports: [web, { ...web, hostIp: '0.0.0.0' }] }, 'CONFLICT', /8080\/tcp is published twice/],
    ['port 0', { ports: [{ ...web, published: 0 }] }, 'VALUE_INVALID', /0:80/],
    ['port 65536', { ports: [{ ...web, target: 65_536 }] }, 'VALUE_INVALID', /65536/],
    ['no address', { ports: [{ ...web, containerIp: 'x' }] }, 'VALUE_INVALID', /"x"/],
    ['IPv6 to IPv4', { ports: [{ ...web, hostIp: '::1' }] }, 'VALUE_INVALID', /::1/],
    ['no subnet', { networks: [{ ...front, subnet: '10.89.0.0' }] }, 'VALUE_INVALID', /10\.89\.0\.0/],
    ['a long link', { networks: [{ ...front, bridge: 'sixteen-letters-' }] }, 'VALUE_INVALID', /sixteen/],
  ] as const)('with %s is refused', (_title, input, code, words) => {
    expect(() => rules(input)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(words) }));
  });

  test.each([
    ['shop', 'tscompose-shop'],
    ['a'.repeat(245), `tscompose-${'a'.repeat(245)}`],
  ])('is named after its project', (project, table) => {
    expect(tableName(project)).toBe(table);
    expect(projectOfTable(table)).toBe(project);
  });

  test.each(['a'.repeat(246), 'sh op', '', '-x'])('cannot be named after "%s"', (project) => {
    expect(() => tableName(project)).toThrow(expect.objectContaining({ code: 'NAME_INVALID' }));
  });

  test('of somebody else is nobody of ours', () => {
    expect(projectOfTable('filter')).toBeUndefined();
  });
});

test('types of concatenations are numbered and padded as nft prints them', () => {
  expect(typeNumber(['inet_proto', 'inet_service'])).toBe((12 << 6) | 13);
  expect(typeBytes(['inet_proto', 'inet_service'])).toBe(8);
  expect(typeBytes(['inet_service'])).toBe(2);
  expect([...concatenate(Uint8Array.of(6), Uint8Array.of(1, 2))]).toEqual([6, 0, 0, 0, 1, 2, 0, 0]);
});

describe('names of links', () => {
  test('are at most 15 bytes, and 1,000 networks and containers have 2,000 of them', () => {
    const names = Array.from({ length: 1000 }, (_, index) => [
      bridgeName(`shop_${index}`),
      hostLinkName(`${index}`, 'shop_front'),
    ]).flat();
    expect(new Set(names).size).toBe(2000);
    expect(names.every((name) => /^(br-tsc[0-9a-f]{9}|tsc[0-9a-f]{12})$/.test(name))).toBe(true);
  });

  test.each([
    [{ project: 'shop', network: 'shop_front' }, 'tscompose:shop:shop_front'],
    [{ project: 'shop', network: 'shop_front', containerId: 'abcdef0123456789' }, 'tscompose:shop:shop_front:abcdef012345'],
  ])('tell their owner', (owner, alias) => {
    expect(linkAlias(owner)).toBe(alias);
    expect(parseLinkAlias(alias)).toEqual({ ...owner, ...('containerId' in owner ? { containerId: 'abcdef012345' } : {}) });
  });

  test.each(['', 'tscompose', 'tscompose:shop', 'other:shop:front', 'tscompose:a:b:c:d', 'tscompose::b'])(
    '"%s" is of somebody else',
    (alias) => {
      expect(parseLinkAlias(alias)).toBeUndefined();
    },
  );

  test.each([
    { project: 'a:b', network: 'c' },
    { project: 'a', network: 'n'.repeat(255) },
    { project: '', network: 'n' },
  ])('%o cannot be told', (owner) => {
    expect(() => linkAlias(owner)).toThrow(expect.objectContaining({ code: 'NAME_INVALID' }));
  });
});
