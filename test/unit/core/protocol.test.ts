import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import * as protocol from '../../../src/core/protocol.ts';

const header = readFileSync(path.join(import.meta.dirname, '../../../native/protocol.h'), 'utf8');

/** OP_NO_NEW_PRIVS → noNewPrivs, for the names behind a prefix. */
function numbersInHeader(prefix: string, pattern: RegExp): Record<string, number> {
  return Object.fromEntries(
    [...header.matchAll(pattern)].map(([, name = '', value = '']) => [
      camel(name.slice(prefix.length)),
      Number(value.replace(/u$/, '')),
    ]),
  );
}

function camel(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

const enumRow = (prefix: string): RegExp => new RegExp(`\\b(${prefix}[A-Z_]+) = (\\d+)[, ]`, 'g');

describe('protocol.ts has the numbers of protocol.h', () => {
  const tables: readonly [string, string, Readonly<Record<string, number>>][] = [
    ['requests and events of serve', 'SERVE_', { ...protocol.ServeRequest, ...protocol.ServeEvent }],
    ['requests and events of a shim', 'SHIM_', { ...protocol.ShimRequest, ...protocol.ShimEvent }],
    ['sync operations', 'SYNC_', protocol.SyncOp],
  ];
  test.each(tables)('%s', (_name, prefix, table) => {
    expect(numbersInHeader(prefix, enumRow(prefix))).toEqual(table);
  });

  test('operations; only reserved ones are missing', () => {
    const inHeader = numbersInHeader('OP_', enumRow('OP_'));
    const missing = Object.keys(inHeader).filter((name) => !(name in protocol.Op));
    expect(inHeader).toMatchObject(protocol.Op);
    for (const name of missing) expect(header).toMatch(new RegExp(`= ${inHeader[name]}, /\\* reserved`));
  });

  test('flags of operations', () => {
    expect(numbersInHeader('OP_', /#define (OP_[A-Z_]+) (\d+)u/g)).toMatchObject(protocol.OpFlag);
  });

  test('bounds', () => {
    expect(header).toContain(`#define PROTOCOL_VERSION ${protocol.PROTOCOL_VERSION}u`);
    expect(header).toContain(`#define PROGRAM_MAGIC 0x${protocol.PROGRAM_MAGIC.toString(16)}u`);
    expect(header).toContain('#define FRAME_MAX (16u * 1024 * 1024)');
    expect(protocol.FRAME_MAX).toBe(16 * 1024 * 1024);
  });
});
