import { readFileSync } from 'node:fs';
import path from 'node:path';
import { FieldWriter } from '../../../src/core/frames.ts';
import { Op, type OpName, type ProgramOp } from '../../../src/core/protocol.ts';

/** A vector of test/vectors/protocol.json: one a line, so that the C tests can read them with sscanf. */
export interface FrameVector {
  readonly kind: 'frame';
  readonly type: number;
  readonly id: number;
  /** "u32:5 u64:18446744073709551615 text:abc bytes:00ff" */
  readonly fields: string;
  readonly hex: string;
}

export interface ProgramVector {
  readonly kind: 'program';
  /** "OP FLAGS A B C D X Y Z;…": references in hexadecimal, "-" for an absent one, "." for an empty one. */
  readonly ops: string;
  readonly hex: string;
}

export function readVectors(): (FrameVector | ProgramVector)[] {
  return JSON.parse(readFileSync(path.join(import.meta.dirname, '../../vectors/protocol.json'), 'utf8'));
}

export function writeFields(fields: string): Uint8Array {
  const writer = new FieldWriter();
  for (const field of fields.split(' ').filter((text) => text !== '')) {
    const [kind, value = ''] = field.split(':');
    if (kind === 'u32') writer.u32(Number(value));
    else if (kind === 'u64') writer.u64(BigInt(value));
    else if (kind === 'text') writer.text(value);
    else if (kind === 'bytes') writer.bytes(Buffer.from(value, 'hex'));
    else throw new Error(`field ${field}`);
  }
  return writer.finish();
}

export function readOps(ops: string): ProgramOp[] {
  return ops.split(';').map((text) => {
    const [op, flags, a, b, c, d, x, y, z] = text.split(' ');
    const references = Object.entries({ a, b, c, d }).flatMap(([name, hex]) => {
      return hex === undefined || hex === '-' ? [] : [[name, Buffer.from(hex === '.' ? '' : hex, 'hex')]];
    });
    return {
      op: nameOf(Number(op)),
      flags: Number(flags),
      x: BigInt(x ?? 0),
      y: BigInt(y ?? 0),
      z: BigInt(z ?? 0),
      ...Object.fromEntries(references),
    };
  });
}

function nameOf(code: number): OpName {
  const found = Object.entries(Op).find(([, value]) => value === code);
  if (!found) throw new Error(`operation ${code}`);
  return found[0] as OpName;
}
