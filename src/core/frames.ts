/** Frames and fields of native/protocol.h in memory. Pure. */
import { TscomposeError } from '../errors.ts';
import { FRAME_HEADER_BYTES, FRAME_MAX } from './protocol.ts';

export interface Frame {
  readonly type: number;
  /** 0: an event, or a request without reply. */
  readonly id: number;
  readonly payload: Uint8Array;
}

/** A frame's bytes. @throws CORE_FAILED when the payload is larger than FRAME_MAX. */
export function encodeFrame(type: number, id: number, payload: Uint8Array): Uint8Array {
  if (payload.length > FRAME_MAX) throw new TscomposeError('CORE_FAILED', `a message of ${payload.length} bytes is too long`);
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length, true);
  view.setUint32(4, id, true);
  view.setUint16(8, type, true);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** Cuts a stream into frames, wherever the chunks begin and end. */
export class FrameDecoder {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  /** Bytes that must be there before it is worth looking again. */
  #wanted = FRAME_HEADER_BYTES;

  /** The frames that this chunk completes. Payloads are views; copy what is kept. @throws CORE_FAILED for a length beyond FRAME_MAX. */
  push(chunk: Uint8Array): Frame[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const frames: Frame[] = [];
    if (this.#length < this.#wanted) return frames;
    const bytes = this.#chunks.length === 1 ? chunk : join(this.#chunks, this.#length);
    const rest = this.#cut(bytes, frames);
    this.#chunks.splice(0, this.#chunks.length, rest);
    this.#length = rest.length;
    return frames;
  }

  #cut(bytes: Uint8Array, frames: Frame[]): Uint8Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    for (;;) {
      const left = bytes.length - at;
      this.#wanted = FRAME_HEADER_BYTES;
      if (left < FRAME_HEADER_BYTES) break;
      const length = view.getUint32(at, true);
      if (length > FRAME_MAX) throw new TscomposeError('CORE_FAILED', `a message of ${length} bytes was announced`);
      this.#wanted = FRAME_HEADER_BYTES + length;
      if (left < this.#wanted) break;
      const payload = bytes.subarray(at + FRAME_HEADER_BYTES, at + this.#wanted);
      frames.push({ type: view.getUint16(at + 8, true), id: view.getUint32(at + 4, true), payload });
      at += this.#wanted;
    }
    return bytes.subarray(at);
  }
}

/** Writes fields one after another. */
export class FieldWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  u32(value: number): this {
    const at = this.#grow(4);
    new DataView(this.#bytes.buffer).setUint32(at, value, true);
    return this;
  }

  u64(value: number | bigint): this {
    const at = this.#grow(8);
    new DataView(this.#bytes.buffer).setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.u32(value.length);
    return this.raw(value);
  }

  /** Bytes without their count. */
  raw(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  text(value: string): this {
    return this.bytes(encoder.encode(value));
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }
}

/** Reads fields in the order in which they were written. @throws CORE_FAILED when the payload is shorter than that. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** A view of the payload, no copy. */
  bytes(): Uint8Array {
    const length = this.u32();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  text(): string {
    return decoder.decode(this.bytes());
  }

  get isDone(): boolean {
    return this.#at === this.#bytes.length;
  }

  #take(count: number): number {
    const at = this.#at;
    if (this.#bytes.length - at < count) throw new TscomposeError('CORE_FAILED', 'a message is shorter than its fields');
    this.#at += count;
    return at;
  }
}

/** A block: NUL-terminated strings one after another, as argv and environments travel. @throws CORE_FAILED for a NUL inside a string. */
export function block(strings: readonly string[]): Uint8Array {
  if (strings.some((text) => text.includes('\0'))) throw new TscomposeError('CORE_FAILED', 'a string contains a NUL byte');
  return encoder.encode(strings.map((text) => `${text}\0`).join(''));
}

/** The strings of a block. */
export function unblock(bytes: Uint8Array): string[] {
  return decoder.decode(bytes).split('\0').slice(0, -1);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
