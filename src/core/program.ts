/** The launch program's binary form (native/protocol.h). Pure. */
import { TscomposeError } from '../errors.ts';
import {
  Op,
  type OpName,
  PROGRAM_HEADER_BYTES,
  PROGRAM_MAGIC,
  PROGRAM_RECORD_BYTES,
  PROTOCOL_VERSION,
  type ProgramOp,
} from './protocol.ts';

/** Encodes the operations in their order. Equal references are stored once. @throws CORE_FAILED for a NUL inside a text. */
export function encodeProgram(ops: readonly ProgramOp[]): Uint8Array {
  const dataAt = PROGRAM_HEADER_BYTES + ops.length * PROGRAM_RECORD_BYTES;
  const data = new DataArea(dataAt);
  const records = ops.map((op) => ({ op, references: referenceNames.map((name) => data.place(op[name])) }));
  const bytes = new Uint8Array(dataAt + data.length);
  const view = new DataView(bytes.buffer);
  writeHeader(view, bytes.length, ops.length, dataAt);
  records.forEach(({ op, references }, index) => {
    writeRecord(view, PROGRAM_HEADER_BYTES + index * PROGRAM_RECORD_BYTES, op, references);
  });
  data.copyTo(bytes);
  return bytes;
}

/** A decoded record: references are bytes; absent ones and zero numbers are left out. */
export interface DecodedOp {
  readonly op: OpName;
  readonly flags?: number;
  readonly a?: Uint8Array;
  readonly b?: Uint8Array;
  readonly c?: Uint8Array;
  readonly d?: Uint8Array;
  readonly x?: bigint;
  readonly y?: bigint;
  readonly z?: bigint;
}

/** Decodes a program to print or to compare it. @throws CORE_FAILED for a blob that is none. */
export function decodeProgram(blob: Uint8Array): DecodedOp[] {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  if (
    blob.length < PROGRAM_HEADER_BYTES ||
    view.getUint32(0, true) !== PROGRAM_MAGIC ||
    view.getUint32(8, true) !== blob.length
  ) {
    throw new TscomposeError('CORE_FAILED', 'these bytes are not a launch program');
  }
  const count = view.getUint32(12, true);
  const records = view.getUint32(16, true);
  if (records + count * PROGRAM_RECORD_BYTES > blob.length)
    throw new TscomposeError('CORE_FAILED', 'the launch program is cut off');
  return Array.from({ length: count }, (_, index) => readRecord(blob, view, records + index * PROGRAM_RECORD_BYTES));
}

const referenceNames = ['a', 'b', 'c', 'd'] as const;
const numberNames = ['x', 'y', 'z'] as const;
const encoder = new TextEncoder();
const operationNames = new Map<number, OpName>(Object.entries(Op).map(([name, code]) => [code, name as OpName]));

/** Bytes behind the records: u32 length, the bytes, one NUL; the next one starts at a multiple of 8, so that filters lie aligned behind 4 bytes of length. */
class DataArea {
  readonly #base: number;
  readonly #known = new Map<string, number>();
  readonly #parts: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  length = 0;

  constructor(base: number) {
    this.#base = base;
  }

  place(value: string | Uint8Array | undefined): number {
    if (value === undefined) return 0;
    if (typeof value !== 'string') return this.#add(value);
    if (value.includes('\0') && !value.endsWith('\0')) throw new TscomposeError('CORE_FAILED', `"${value}" contains a NUL byte`);
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const reference = this.#add(encoder.encode(value));
    this.#known.set(value, reference);
    return reference;
  }

  copyTo(blob: Uint8Array): void {
    const view = new DataView(blob.buffer, blob.byteOffset);
    for (const { at, bytes } of this.#parts) {
      view.setUint32(at, bytes.length, true);
      blob.set(bytes, at + 4);
    }
  }

  #add(bytes: Uint8Array): number {
    const at = this.#base + this.length;
    this.#parts.push({ at, bytes });
    this.length += Math.ceil((4 + bytes.length + 1) / 8) * 8;
    return at;
  }
}

function writeHeader(view: DataView, total: number, count: number, dataAt: number): void {
  [PROGRAM_MAGIC, PROTOCOL_VERSION, total, count, PROGRAM_HEADER_BYTES, dataAt].forEach((value, index) => {
    view.setUint32(index * 4, value, true);
  });
}

function writeRecord(view: DataView, at: number, op: ProgramOp, references: readonly number[]): void {
  view.setUint16(at, Op[op.op], true);
  view.setUint16(at + 2, op.flags ?? 0, true);
  references.forEach((reference, index) => {
    view.setUint32(at + 8 + index * 4, reference, true);
  });
  numberNames.forEach((name, index) => {
    writeNumber(view, at + 24 + index * 8, op[name] ?? 0);
  });
}

/** Most numbers are zero or small, and making a bigint of each of them takes longer than everything else here. */
function writeNumber(view: DataView, at: number, value: number | bigint): void {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff) view.setUint32(at, value, true);
  else view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
}

function readRecord(blob: Uint8Array, view: DataView, at: number): DecodedOp {
  const op = operationNames.get(view.getUint16(at, true));
  if (op === undefined) throw new TscomposeError('CORE_FAILED', `operation ${view.getUint16(at, true)} is unknown`);
  const flags = view.getUint16(at + 2, true);
  const references = referenceNames.map((name, index) => [
    name,
    readReference(blob, view, view.getUint32(at + 8 + index * 4, true)),
  ]);
  const numbers = numberNames.map((name, index) => [name, view.getBigUint64(at + 24 + index * 8, true)]);
  const present = [...references, ...numbers].filter(([, value]) => value !== undefined && value !== 0n);
  return { op, ...(flags === 0 ? {} : { flags }), ...Object.fromEntries(present) };
}

function readReference(blob: Uint8Array, view: DataView, reference: number): Uint8Array | undefined {
  if (reference === 0) return undefined;
  if (reference + 4 > blob.length || reference + 4 + view.getUint32(reference, true) >= blob.length) {
    throw new TscomposeError('CORE_FAILED', 'the launch program has a reference beyond its end');
  }
  return blob.subarray(reference + 4, reference + 4 + view.getUint32(reference, true));
}
