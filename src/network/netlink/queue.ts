/**
 * Requests of rtnetlink, gathered: what is asked for one namespace within one turn of the event loop, or while an earlier batch
 * is under way, travels as one batch. Fifty services that are attached at once cost a few batches, not hundreds of calls.
 */

import { TscomposeError } from '../../errors.ts';
import type { NetlinkCarrier } from '../ports.ts';
import {
  type Acknowledgement,
  Control,
  decodeAcknowledgement,
  decodeBatch,
  encodeBatch,
  Flag,
  type Message,
  type Received,
} from './codec.ts';
import { describeErrno } from './errno.ts';

export const NETLINK_ROUTE = 0;

/** What became of one message. */
export interface Answer {
  readonly purpose: string;
  /** 0: done. */
  readonly errno: number;
  /** The kernel's own words, often empty. */
  readonly text: string;
  /** What it answered beside the acknowledgement: links, addresses … */
  readonly messages: readonly Received[];
}

/**
 * The kernel answers a whole batch before we read the first answer, so all answers must fit into the socket's receive buffer (the
 * core asks for several MiB). In KiB of it: an error or an acknowledgement takes about 1, a link's description about 5.
 */
const BATCH_WEIGHT = 1500;
const LINK_WEIGHT = 5;
const RTM_GETLINK = 18;

interface Waiting {
  readonly messages: readonly Message[];
  readonly resolve: (answers: Answer[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  readonly waiting: Waiting[];
  running: boolean;
}

export class NetlinkQueue {
  private readonly carrier: NetlinkCarrier;
  private readonly lanes = new Map<string, Lane>();
  private sequence = 1;

  constructor(carrier: NetlinkCarrier) {
    this.carrier = carrier;
  }

  /**
   * Runs messages in order in the namespace at `netnsPath` ("" is the host's); a message that fails does not stop those after it.
   * Dumps must be alone in their request: a socket carries one dump at a time.
   * @throws CORE_FAILED when the batch could not be carried at all; failures of single messages are in the answers.
   */
  send(netnsPath: string, messages: readonly Message[]): Promise<Answer[]> {
    return new Promise((resolve, reject) => {
      const lane = this.lane(netnsPath);
      lane.waiting.push({ messages, resolve, reject });
      if (lane.running) return;
      lane.running = true;
      setImmediate(() => this.drain(netnsPath, lane));
    });
  }

  /** As `send`, but the first failure whose errno is not in `tolerated` throws NETWORK_FAILED. */
  async mustSend(netnsPath: string, messages: readonly Message[], tolerated: readonly number[] = []): Promise<Answer[]> {
    const answers = await this.send(netnsPath, messages);
    const failed = answers.find((answer) => answer.errno !== 0 && !tolerated.includes(answer.errno));
    if (failed) throw networkFailure(failed);
    return answers;
  }

  private lane(netnsPath: string): Lane {
    const lane = this.lanes.get(netnsPath) ?? { waiting: [], running: false };
    this.lanes.set(netnsPath, lane);
    return lane;
  }

  private async drain(netnsPath: string, lane: Lane): Promise<void> {
    while (lane.waiting.length > 0) await this.carry(netnsPath, takeBatch(lane.waiting));
    lane.running = false;
    this.lanes.delete(netnsPath);
  }

  private async carry(netnsPath: string, batch: readonly Waiting[]): Promise<void> {
    const messages = batch.flatMap((request) => withAcknowledgement(request.messages));
    const first = this.takeSequence(messages.length);
    try {
      const bytes = await this.carrier.netlink(netnsPath, NETLINK_ROUTE, encodeBatch(messages, first));
      const answers = sortAnswers(messages, first, decodeBatch(bytes));
      let offset = 0;
      for (const request of batch) {
        request.resolve(answers.slice(offset, offset + request.messages.length));
        offset += request.messages.length;
      }
    } catch (error) {
      for (const request of batch) request.reject(error);
    }
  }

  private takeSequence(count: number): number {
    if (this.sequence + count > 0x7fffffff) this.sequence = 1;
    const first = this.sequence;
    this.sequence += count;
    return first;
  }
}

/** The error a user sees for a message the kernel refused. */
export function networkFailure(failed: Pick<Answer, 'purpose' | 'errno' | 'text'>): TscomposeError {
  const words = failed.text ? `${failed.text}, ${describeErrno(failed.errno)}` : describeErrno(failed.errno);
  return new TscomposeError('NETWORK_FAILED', `${failed.purpose}: ${words}`);
}

/** Pairs received messages with the requests by sequence number. */
export function sortAnswers(messages: readonly Message[], first: number, received: readonly Received[]): Answer[] {
  const found = messages.map(() => ({ acknowledgement: { errno: 0, text: '' } as Acknowledgement, messages: [] as Received[] }));
  for (const message of received) {
    const slot = found[message.sequence - first];
    if (!slot) continue;
    if (message.type === Control.error || message.type === Control.done) slot.acknowledgement = decodeAcknowledgement(message);
    else slot.messages.push(message);
  }
  return messages.map(({ purpose }, index) => {
    const slot = found[index] as (typeof found)[number];
    return { purpose, ...slot.acknowledgement, messages: slot.messages };
  });
}

function takeBatch(waiting: Waiting[]): Waiting[] {
  const isDump = (request: Waiting) =>
    request.messages.some(({ flags }) => (flags & Flag.dump) === Flag.dump && (flags & Flag.create) === 0);
  const batch: Waiting[] = [];
  let weight = 0;
  while (waiting.length > 0) {
    const next = waiting[0] as Waiting;
    const added = next.messages.reduce((sum, { type }) => sum + (type === RTM_GETLINK ? LINK_WEIGHT : 1), 0);
    const fits = weight + added <= BATCH_WEIGHT && !isDump(next);
    if (batch.length > 0 && !fits) break;
    batch.push(next);
    waiting.shift();
    weight += added;
    if (isDump(next)) break;
  }
  return batch;
}

/** Errors come unasked; the acknowledgement of the last message says that all before it were done. */
function withAcknowledgement(messages: readonly Message[]): Message[] {
  return messages.map((message, index) =>
    index === messages.length - 1 ? { ...message, flags: message.flags | Flag.ack } : message,
  );
}
