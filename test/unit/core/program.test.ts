import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeProgram, encodeProgram } from '../../../src/core/program.ts';
import { Op, type OpName, type ProgramOp } from '../../../src/core/protocol.ts';
import { readOps, readVectors } from './vectors.ts';

const programs = readVectors().filter((vector) => vector.kind === 'program');

const reference = fc.option(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.string().filter((text) => !text.includes('\0')),
  ),
  { nil: undefined },
);
const number = fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const anyOp = fc.record({
  op: fc.constantFrom(...(Object.keys(Op) as OpName[])),
  flags: fc.nat(127),
  a: reference,
  b: reference,
  c: reference,
  d: reference,
  x: number,
  y: number,
  z: number,
});

describe('a launch program', () => {
  test.each(programs)('$ops is as the C side reads it', ({ ops, hex }) => {
    expect(Buffer.from(encodeProgram(readOps(ops))).toString('hex')).toBe(hex);
  });

  test('there are vectors', () => expect(programs.length).toBeGreaterThan(1));

  test('decodes to what was encoded', () => {
    fc.assert(
      fc.property(fc.array(anyOp, { maxLength: 12 }), (ops) => {
        expect(decodeProgram(encodeProgram(ops as ProgramOp[])).map(plain)).toEqual(ops.map((op) => plain(op as ProgramOp)));
      }),
    );
  });

  test('references are aligned to 8 bytes and end in a NUL', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (a, b) => {
        const blob = encodeProgram([{ op: 'writeFile', a, b }]);
        const view = new DataView(blob.buffer, blob.byteOffset);
        const references: readonly [number, Uint8Array][] = [
          [view.getUint32(32 + 8, true), a],
          [view.getUint32(32 + 12, true), b],
        ];
        for (const [at, bytes] of references) {
          expect(at % 8).toBe(0);
          expect(view.getUint32(at, true)).toBe(bytes.length);
          expect(blob[at + 4 + bytes.length]).toBe(0);
        }
      }),
    );
  });

  test('equal texts are stored once', () => {
    const long = 'x'.repeat(1000);
    const once = encodeProgram([{ op: 'mkdir', b: long }]).length;
    expect(
      encodeProgram([
        { op: 'mkdir', b: long },
        { op: 'mkdir', b: long },
      ]).length,
    ).toBe(once + 48);
  });

  test('minus one is all ones', () => {
    expect(decodeProgram(encodeProgram([{ op: 'oomScore', x: -1 }]))).toEqual([{ op: 'oomScore', x: 2n ** 64n - 1n }]);
  });

  test('a text with a NUL inside is refused', () => expect(() => encodeProgram([{ op: 'mkdir', b: 'a\0b' }])).toThrow('NUL'));

  const damaged: readonly [string, number, number, string][] = [
    ['another magic', 0, 1, 'not a launch program'],
    ['another length', 8, 1000, 'not a launch program'],
    ['more records than there are', 12, 1000, 'cut off'],
    ['an unknown operation', 32, 999, 'unknown'],
    ['a reference beyond the end', 32 + 12, 100_000, 'beyond its end'],
  ];
  test.each(damaged)('%s is refused', (_name, at, value, words) => {
    const blob = Buffer.from(encodeProgram([{ op: 'mkdir', b: 'abc' }]));
    blob.writeUInt32LE(value, at);
    expect(() => decodeProgram(blob)).toThrow(words);
  });
});

function plain(op: ProgramOp): unknown[] {
  const text = (value: string | Uint8Array | undefined): string | undefined =>
    value === undefined ? undefined : Buffer.from(value as string).toString('hex');
  return [
    op.op,
    op.flags ?? 0,
    text(op.a),
    text(op.b),
    text(op.c),
    text(op.d),
    BigInt(op.x ?? 0),
    BigInt(op.y ?? 0),
    BigInt(op.z ?? 0),
  ];
}
