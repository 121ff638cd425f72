/** Questions about the world outside, passed on to other resolvers from the host's network. */

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { familyOf } from '../ip.ts';
import { answers, Code, codeOf, isTruncated, withId } from './message.ts';

/** A resolver: "9.9.9.9" or "[2620:fe::fe]:53". */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

/** Milliseconds for one try of one resolver; a client gives up after 5 s (resolv.conf(5)). */
const TRY_MS = 1500;
/** How often the whole list is gone through. */
const ROUNDS = 2;

/** The answer of the first resolver that gives a usable one, fetched whole; undefined when none does. */
export async function forwardQuery(
  query: Uint8Array,
  upstreams: readonly Upstream[],
  tryMs: number = TRY_MS,
): Promise<Uint8Array | undefined> {
  let unusable: Uint8Array | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    for (const upstream of upstreams) {
      const answer = await askOne(query, upstream, tryMs).catch(() => undefined);
      if (answer && ![Code.failed, Code.refused, Code.notImplemented].includes(codeOf(answer) as 2)) return answer;
      unusable = answer ?? unusable;
    }
  }
  return unusable;
}

/** resolv.conf(5) → its resolvers, in order. Ones on a loopback address count: we ask from the host's own network. */
export function parseResolvers(text: string): Upstream[] {
  const found = Array.from(text.matchAll(/^nameserver[ \t]+(\S+)/gm), (match) => parseUpstream(match[1] as string));
  return found.filter((upstream) => upstream !== undefined);
}

/** "9.9.9.9", "9.9.9.9:5353", "2620:fe::fe", "[2620:fe::fe]:5353", "fe80::1%eth0"; undefined when it is none. */
export function parseUpstream(text: string): Upstream | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)|([^[\]]*:[^[\]]*:[^[\]]*))(?::(\d{1,5}))?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? match?.[3];
  const port = Number(match?.[4] ?? 53);
  return address === undefined || !/^[0-9a-f.:]+(%[\w.-]+)?$/i.test(address) || port > 65535 ? undefined : { address, port };
}

async function askOne(query: Uint8Array, upstream: Upstream, tryMs: number): Promise<Uint8Array> {
  const own = withId(query, randomInt(65536));
  const short = await askByDatagram(own, upstream, tryMs);
  const whole = isTruncated(short) ? await askByStream(own, upstream, tryMs).catch(() => short) : short;
  return withId(whole, ((query[0] as number) << 8) | (query[1] as number));
}

/** A socket of its own for every question: its port is one more thing a forger would have to guess (RFC 5452 9.2). */
async function askByDatagram(query: Uint8Array, upstream: Upstream, tryMs: number): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(tryMs);
  const socket = createSocket({ type: familyOf(upstream.address) === 4 ? 'udp4' : 'udp6' });
  try {
    socket.connect(upstream.port, upstream.address);
    await once(socket, 'connect', { signal });
    socket.send(query);
    for (;;) {
      const [answer] = (await once(socket, 'message', { signal })) as [Uint8Array];
      if (answers(query, answer)) return answer;
    }
  } finally {
    socket.on('error', () => undefined);
    socket.close();
  }
}

/** Two bytes of length, then the message (RFC 1035 4.2.2). */
async function askByStream(query: Uint8Array, upstream: Upstream, tryMs: number): Promise<Uint8Array> {
  const socket = connect({ host: upstream.address, port: upstream.port, signal: AbortSignal.timeout(tryMs) });
  try {
    socket.write(Buffer.concat([Buffer.of(query.length >> 8, query.length & 255), query]));
    let received = Buffer.alloc(0);
    for await (const piece of socket) {
      received = Buffer.concat([received, piece as Buffer]);
      const length = received.length < 2 ? Number.POSITIVE_INFINITY : received.readUInt16BE(0) + 2;
      if (received.length < length) continue;
      const answer = received.subarray(2, length);
      if (answers(query, answer)) return answer;
      break;
    }
    throw new Error('no usable answer over TCP');
  } finally {
    socket.destroy();
  }
}
