/**
 * Netlink messages to bytes and back (RFC 3549, netlink(7)). Pure. All integers of the message header and of rtnetlink are in
 * the machine's order, which is little-endian on every machine we run on; nf_tables brings its own big-endian ones.
 */

import { TscomposeError } from '../../errors.ts';

/**
 * One attribute: its number and either bytes, or further attributes (with a fixed header before them where the kernel has one).
 */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array | readonly Attribute[];
  readonly header?: Uint8Array;
}

/** A message before it has a sequence number. `header` is the family's own fixed part (ifinfomsg, nfgenmsg …). */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly header: Uint8Array;
  readonly attributes: readonly Attribute[];
  /** In words, for errors: "creating bridge br-tsc…". */
  readonly purpose: string;
}

/** A message as the kernel sent it. */
export interface Received {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** NLM_F_*: linux/netlink.h. */
export const Flag = {
  request: 1,
  multi: 2,
  ack: 4,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
  capped: 0x100,
  ackTlvs: 0x200,
} as const;

/** Message types below every family's own. */
export const Control = { noop: 1, error: 2, done: 3, overrun: 4 } as const;

const HEADER_BYTES = 16;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
/** nla_len is 16 bits wide. */
export const ATTRIBUTE_MAX = 0xffff;

/** A batch: each message gets the sequence number `firstSequence` + its index. */
export function encodeBatch(messages: readonly Message[], firstSequence: number): Uint8Array {
  const writer = new Writer();
  messages.forEach((message, index) => {
    encodeMessage(writer, message, firstSequence + index);
  });
  return writer.finish();
}

/** Splits what the kernel answered. @throws CORE_FAILED when lengths do not fit. */
export function decodeBatch(bytes: Uint8Array): Received[] {
  const view = viewOf(bytes);
  const messages: Received[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const length = offset + HEADER_BYTES <= bytes.length ? view.getUint32(offset, true) : 0;
    if (length < HEADER_BYTES || offset + length > bytes.length) throw malformed('a netlink message is cut off');
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      body: bytes.subarray(offset + HEADER_BYTES, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

/** An NLMSG_ERROR (or an NLMSG_DONE that carries one): errno 0 is success; `text` is the kernel's extended acknowledgement. */
export interface Acknowledgement {
  readonly errno: number;
  readonly text: string;
}

/** Reads struct nlmsgerr and its extended attributes (NLMSGERR_ATTR_MSG). */
export function decodeAcknowledgement(message: Received): Acknowledgement {
  if (message.body.length < 4) return { errno: 0, text: '' };
  const errno = 0 - viewOf(message.body).getInt32(0, true);
  return { errno, text: extendedText(message) };
}

/**
 * Attributes by number, flags of the number taken off; of a repeated one the last. @throws CORE_FAILED when lengths do not fit.
 */
export function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  return new Map(attributeList(bytes));
}

/** Attributes in order, for lists in which one number repeats. */
export function attributeList(bytes: Uint8Array): [number, Uint8Array][] {
  const view = viewOf(bytes);
  const found: [number, Uint8Array][] = [];
  let offset = 0;
  while (offset + 4 <= bytes.length) {
    const length = view.getUint16(offset, true);
    if (length < 4 || offset + length > bytes.length) throw malformed('a netlink attribute is cut off');
    found.push([view.getUint16(offset + 2, true) & TYPE_MASK, bytes.subarray(offset + 4, offset + length)]);
    offset += align(length);
  }
  return found;
}

/** Bytes one attribute takes, padding included. */
export function attributeSize(attribute: Attribute): number {
  const header = align(attribute.header?.length ?? 0);
  if (attribute.value instanceof Uint8Array) return 4 + header + align(attribute.value.length);
  return attribute.value.reduce((sum, inner) => sum + attributeSize(inner), 4 + header);
}

export function bytesAttribute(type: number, value: Uint8Array): Attribute {
  return { type, value };
}

export function u8Attribute(type: number, value: number): Attribute {
  return { type, value: Uint8Array.of(value) };
}

export function u32Attribute(type: number, value: number): Attribute {
  return { type, value: u32(value) };
}

/** Big-endian, as nf_tables wants its numbers. */
export function be32Attribute(type: number, value: number): Attribute {
  return { type, value: be32(value) };
}

/** NUL-terminated text. */
export function textAttribute(type: number, value: string): Attribute {
  return { type, value: textBytes(value) };
}

export function nested(type: number, value: readonly Attribute[], header?: Uint8Array): Attribute {
  return header ? { type, value, header } : { type, value };
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value >>> 0, true);
  return bytes;
}

export function be32(value: number): Uint8Array {
  return Uint8Array.of((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

export function textBytes(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

/** Text up to its NUL. */
export function readText(bytes: Uint8Array | undefined): string {
  if (!bytes) return '';
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** A 32-bit number in the machine's order; 0 when the attribute is absent or short. */
export function readU32(bytes: Uint8Array | undefined): number {
  return bytes && bytes.length >= 4 ? viewOf(bytes).getUint32(0, true) : 0;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function encodeMessage(writer: Writer, message: Message, sequence: number): void {
  const start = writer.length;
  const header = writer.room(HEADER_BYTES);
  writer.put(message.header);
  for (const attribute of message.attributes) encodeAttribute(writer, attribute);
  const view = writer.view;
  view.setUint32(header, writer.length - start, true);
  view.setUint16(header + 4, message.type, true);
  view.setUint16(header + 6, message.flags | Flag.request, true);
  view.setUint32(header + 8, sequence >>> 0, true);
}

function encodeAttribute(writer: Writer, attribute: Attribute): void {
  const start = writer.room(4);
  if (attribute.header) writer.put(attribute.header);
  const { value } = attribute;
  let length: number;
  if (value instanceof Uint8Array) {
    length = writer.length - start + value.length;
    writer.put(value);
  } else {
    for (const inner of value) encodeAttribute(writer, inner);
    length = writer.length - start;
  }
  if (length > ATTRIBUTE_MAX) throw malformed(`netlink attribute ${attribute.type} would take ${length} bytes`);
  writer.view.setUint16(start, length, true);
  writer.view.setUint16(start + 2, value instanceof Uint8Array ? attribute.type : attribute.type | NESTED, true);
}

/** After the errno comes the request: whole, or its header only when the socket has NETLINK_CAP_ACK. Then the attributes. */
function extendedText(message: Received): string {
  if ((message.flags & Flag.ackTlvs) === 0) return '';
  if (message.type === Control.done) return readText(decodeAttributes(message.body.subarray(4)).get(1));
  if (message.body.length < 4 + HEADER_BYTES) return '';
  const request = (message.flags & Flag.capped) !== 0 ? HEADER_BYTES : align(viewOf(message.body).getUint32(4, true));
  return readText(decodeAttributes(message.body.subarray(4 + request)).get(1));
}

/** A growing buffer whose every part starts on a multiple of four. */
class Writer {
  length = 0;
  view: DataView;
  private bytes: Uint8Array;

  constructor() {
    this.bytes = new Uint8Array(1024);
    this.view = viewOf(this.bytes);
  }

  /** Leaves zeroed room and returns where it starts. */
  room(size: number): number {
    const start = this.length;
    this.length += align(size);
    if (this.length > this.bytes.length) this.grow();
    return start;
  }

  put(value: Uint8Array): void {
    const start = this.room(value.length);
    this.bytes.set(value, start);
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private grow(): void {
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(this.length)));
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = viewOf(larger);
  }
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function malformed(message: string): TscomposeError {
  return new TscomposeError('CORE_FAILED', message);
}
