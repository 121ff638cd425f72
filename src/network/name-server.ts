/**
 * The project's name server. Every container finds it on 127.0.0.11:53 of its own network namespace; the token of a query is the
 * container's id, and so nobody can ask in another's name.
 */

import { readFile } from 'node:fs/promises';
import { forwardQuery, parseResolvers, parseUpstream, type Upstream } from './dns/forward.ts';
import {
  addressAnswer,
  Code,
  emptyAnswer,
  nameAnswer,
  type Question,
  readQuestion,
  refusal,
  truncatedAnswer,
} from './dns/message.ts';
import { buildZone, type Finding, findAddress, findName, reverseAddress, rotate, type Zone, type ZoneMember } from './names.ts';
import type { DnsCarrier } from './ports.ts';

/** nginx configurations depend on this address ("resolver 127.0.0.11"), as docker's users do. */
export const DNS_ADDRESS = '127.0.0.11';
const DNS_PORT = 53;
/** Questions under way outside, all containers together; more are answered with SERVFAIL at once. */
const MOST_FORWARDED = 500;
/** How long a cut answer is remembered: the client comes back over TCP at once. */
const RETRY_MS = 5000;
const HOST_RESOLVERS = '/etc/resolv.conf';

export interface NameServerOptions {
  /** For containers without their own; default: those of /etc/resolv.conf at that moment. */
  readonly resolvers?: () => Promise<readonly Upstream[]>;
}

/** How a container's questions about the world outside are treated. */
export interface AskerOptions {
  /** Its own resolvers (compose "dns"); none: the host's. */
  readonly upstreams: readonly string[];
  /** It is on networks without a way out only: such questions are answered with "no such name", and nothing leaks. */
  readonly internal: boolean;
}

export function createNameServer(core: DnsCarrier, options: NameServerOptions = {}): NameServer {
  return new NameServer(core, options);
}

/** Answers from the moment it is made. */
export class NameServer {
  private readonly core: DnsCarrier;
  private readonly resolvers: () => Promise<readonly Upstream[]>;
  private readonly truncated = new Map<string, number>();
  private readonly askers = new Map<string, AskerOptions>();
  private zone: Zone = buildZone([]);
  private turn = 0;
  private forwarded = 0;

  constructor(core: DnsCarrier, options: NameServerOptions) {
    this.core = core;
    this.resolvers = options.resolvers ?? hostResolvers;
    core.onDnsQuery((token, peer, message) => void this.answer(token, peer, message));
  }

  /** From now on these containers, and no others, are known by name. */
  setMembers(members: readonly ZoneMember[]): void {
    this.zone = buildZone(members);
  }

  /** Starts answering in the container's namespace. @throws CORE_FAILED when the address is taken there. */
  open(containerId: string, netnsPath: string, options: AskerOptions): Promise<void> {
    this.askers.set(containerId, options);
    return this.core.openDns(netnsPath, containerId, DNS_ADDRESS, DNS_PORT);
  }

  close(containerId: string): Promise<void> {
    this.askers.delete(containerId);
    return this.core.closeDns(containerId);
  }

  private async answer(askerId: string, peer: Uint8Array, message: Uint8Array): Promise<void> {
    const response = await this.respond(askerId, message).catch(() => refusal(message, Code.failed));
    if (response) this.core.answerDns(peer, response);
  }

  private async respond(askerId: string, message: Uint8Array): Promise<Uint8Array | undefined> {
    const reading = readQuestion(message);
    if (!reading) return undefined;
    if ('code' in reading) return refusal(message, reading.code);
    const { question } = reading;
    const finding = findAnswer(this.zone, askerId, question);
    switch (finding.kind) {
      case 'addresses':
        return addressAnswer(question, rotate(finding.addresses, this.turn++));
      case 'name':
        return nameAnswer(question, finding.name);
      case 'unknown':
        return emptyAnswer(question, Code.noSuchName);
      case 'stranger':
        return emptyAnswer(question, Code.failed);
      case 'outside':
        return await this.forward(askerId, question, message);
    }
  }

  private async forward(askerId: string, question: Question, message: Uint8Array): Promise<Uint8Array> {
    const asker = this.askers.get(askerId);
    if (!asker || asker.internal) return emptyAnswer(question, Code.noSuchName);
    if (this.forwarded >= MOST_FORWARDED) return emptyAnswer(question, Code.failed);
    this.forwarded++;
    try {
      const answer = await forwardQuery(message, await this.upstreamsOf(asker));
      return answer ? this.fit(askerId, question, answer) : emptyAnswer(question, Code.failed);
    } finally {
      this.forwarded--;
    }
  }

  private async upstreamsOf(asker: AskerOptions): Promise<readonly Upstream[]> {
    const own = asker.upstreams.map(parseUpstream).filter((upstream) => upstream !== undefined);
    return own.length > 0 ? own : this.resolvers();
  }

  /**
   * Queries over UDP and TCP reach us alike. So an answer too long for a datagram is cut the first time, which makes the client
   * come back over TCP, and given whole when the same container asks the same again soon.
   */
  private fit(askerId: string, question: Question, answer: Uint8Array): Uint8Array {
    if (answer.length <= question.limit) return answer;
    const now = Date.now();
    for (const [key, until] of this.truncated) if (until < now) this.truncated.delete(key);
    const key = `${askerId} ${question.type} ${question.name.toLowerCase()}`;
    if (this.truncated.delete(key)) return answer;
    this.truncated.set(key, now + RETRY_MS);
    return truncatedAnswer(question);
  }
}

const families = { A: 4, AAAA: 6 } as const;

function findAnswer(zone: Zone, askerId: string, question: Question): Finding {
  const address = question.type === 'PTR' ? reverseAddress(question.name) : undefined;
  if (address !== undefined) return findAddress(zone, askerId, address);
  const family = Object.hasOwn(families, question.type) ? families[question.type as keyof typeof families] : 0;
  return findName(zone, askerId, question.name, family);
}

/** Read each time: the host may have moved to another network meanwhile. */
async function hostResolvers(): Promise<Upstream[]> {
  const text = await readFile(HOST_RESOLVERS, 'utf8').catch(() => '');
  return parseResolvers(text);
}
