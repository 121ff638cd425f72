/**
 * DNS messages (RFC 1035, RFC 6891): reading questions of containers, building our answers. Pure; the wire format is
 * dns-packet's.
 */

import packet, { type Answer } from 'dns-packet';
import { familyOf } from '../ip.ts';

export interface Question {
  readonly id: number;
  readonly name: string;
  /** "A", "AAAA", "PTR" … */
  readonly type: string;
  readonly recursionDesired: boolean;
  /** Bytes of answer the asker takes in one datagram. */
  readonly limit: number;
  readonly hasExtension: boolean;
}

/** RCODEs. */
export const Code = { ok: 0, malformed: 1, failed: 2, noSuchName: 3, notImplemented: 4, refused: 5 } as const;

/** What a message asks, or how to answer what is no proper question: a code, or not at all (undefined). */
export type Reading = { readonly question: Question } | { readonly code: number } | undefined;

/** Without EDNS a datagram has at most 512 bytes (RFC 1035 2.3.4). */
const PLAIN_LIMIT = 512;
const HEADER_BYTES = 12;
const RECURSION_DESIRED = 0x100;
const RECURSION_AVAILABLE = 0x80;
const TRUNCATED = 0x200;
const OWN_LIMIT = 1232;

/**
 * Seconds a client may remember our answers. Containers that are replaced get other addresses at once, and nginx and the JVM keep
 * a name for as long as we say; asking us again costs a datagram on the loopback link.
 */
export const TTL_SECONDS = 1;

export function readQuestion(message: Uint8Array): Reading {
  /* A response is never answered: two servers could talk for ever. */
  if (message.length < HEADER_BYTES || ((message[2] as number) & 0x80) !== 0) return undefined;
  if (((message[2] as number) & 0x78) !== 0) return { code: Code.notImplemented };
  try {
    const decoded = packet.decode(Buffer.from(message));
    const question = decoded.questions?.[0];
    if (!question || decoded.questions?.length !== 1) return { code: Code.malformed };
    if (question.class !== 'IN' && question.class !== 'ANY') return { code: Code.refused };
    const extension = decoded.additionals?.find(({ type }) => type === 'OPT') as { udpPayloadSize?: number } | undefined;
    return {
      question: {
        id: decoded.id ?? 0,
        name: question.name,
        type: question.type,
        recursionDesired: ((decoded.flags ?? 0) & RECURSION_DESIRED) !== 0,
        limit: Math.max(PLAIN_LIMIT, extension?.udpPayloadSize ?? 0),
        hasExtension: extension !== undefined,
      },
    };
  } catch {
    return { code: Code.malformed };
  }
}

/** A bare header with a code, for what could not be read. */
export function refusal(message: Uint8Array, code: number): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.set(message.subarray(0, 2));
  header.writeUInt16BE(0x8000 | ((((message[2] as number) << 8) & (0x7800 | RECURSION_DESIRED)) | RECURSION_AVAILABLE | code), 2);
  return header;
}

/** An answer without records. */
export function emptyAnswer(question: Question, code: number): Uint8Array {
  return encode(question, code, []);
}

/**
 * Addresses, as many as fit: with the list turned a little further each time, the asker meets all of them sooner or later, and
 * needs no second try over TCP.
 */
export function addressAnswer(question: Question, addresses: readonly string[]): Uint8Array {
  const records = addresses.map((address) => ({
    name: question.name,
    type: familyOf(address) === 4 ? 'A' : 'AAAA',
    class: 'IN',
    ttl: TTL_SECONDS,
    data: address,
  })) as Answer[];
  const fixed = encode(question, Code.ok, []).length;
  const size = packet.encode({ type: 'response', answers: records.slice(0, 1) }).length - HEADER_BYTES;
  return encode(question, Code.ok, records.slice(0, Math.max(1, Math.floor((question.limit - fixed) / Math.max(size, 1)))));
}

export function nameAnswer(question: Question, name: string): Uint8Array {
  return encode(question, Code.ok, [{ name: question.name, type: 'PTR', class: 'IN', ttl: TTL_SECONDS, data: name }]);
}

/** Only the question, marked as cut: the asker comes back over TCP. */
export function truncatedAnswer(question: Question): Uint8Array {
  const message = Buffer.from(encode(question, Code.ok, []));
  message.writeUInt16BE(message.readUInt16BE(2) | TRUNCATED, 2);
  return message;
}

export function isTruncated(message: Uint8Array): boolean {
  return message.length > 2 && ((message[2] as number) & 2) !== 0;
}

export function codeOf(message: Uint8Array): number {
  return (message[3] ?? 0) & 15;
}

/** The same message under another id. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const copy = Uint8Array.from(message);
  copy.set([id >> 8, id & 255]);
  return copy;
}

/**
 * Whether `answer` is a response to `query`: the id and the question section are the same (RFC 5452 4.2, 9.1). Letters' case is
 * compared, too, so what the asker mixed in stays a proof.
 */
export function answers(query: Uint8Array, answer: Uint8Array): boolean {
  const end = endOfQuestion(query);
  if (end === undefined || answer.length < HEADER_BYTES || ((answer[2] as number) & 0x80) === 0) return false;
  if (answer[0] !== query[0] || answer[1] !== query[1]) return false;
  /* A server that could not read the query may leave the question out. */
  if (answer[4] === 0 && answer[5] === 0) return codeOf(answer) !== Code.ok;
  return Buffer.compare(query.subarray(HEADER_BYTES, end), answer.subarray(HEADER_BYTES, end)) === 0;
}

/** Offset behind the first question; undefined when it is cut off. Names in questions are not compressed. */
function endOfQuestion(message: Uint8Array): number | undefined {
  let offset = HEADER_BYTES;
  while (offset < message.length && message[offset] !== 0) offset += 1 + (message[offset] as number);
  return offset + 5 <= message.length ? offset + 5 : undefined;
}

function encode(question: Question, code: number, records: Answer[]): Uint8Array {
  return packet.encode({
    type: 'response',
    id: question.id,
    flags: (question.recursionDesired ? RECURSION_DESIRED : 0) | RECURSION_AVAILABLE | code,
    questions: [{ name: question.name, type: question.type as 'A', class: 'IN' }],
    answers: records,
    additionals: question.hasExtension
      ? [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: OWN_LIMIT,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  });
}
