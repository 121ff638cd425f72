/** What of the network is there: links that carry our alias, and prefixes in use on this host. */

import { TscomposeError } from '../errors.ts';
import { ALIAS_ID_DIGITS, type LinkOwner, parseLinkAlias } from './link-names.ts';
import type { Message, Received } from './netlink/codec.ts';
import type { NetlinkQueue } from './netlink/queue.ts';
import { dumpAddresses, dumpLinks, dumpRoutes, readAddress, readLink, readRoute } from './netlink/route.ts';
import type { RemoveLinks } from './removal.ts';

export interface OwnedLink extends LinkOwner {
  readonly name: string;
  readonly index: number;
  readonly kind: 'bridge' | 'veth';
  readonly up: boolean;
}

/** Links of the project, or of all projects, known by their aliases; they outlive every crash of ours. */
export async function listOwnedLinks(queue: NetlinkQueue, project?: string): Promise<OwnedLink[]> {
  const links = (await dump(queue, dumpLinks())).map(readLink).filter((link) => link !== undefined);
  return links.flatMap(({ alias, name, index, kind, up }) => {
    const owner = parseLinkAlias(alias);
    if (!owner || (project !== undefined && owner.project !== project) || (kind !== 'bridge' && kind !== 'veth')) return [];
    return [{ ...owner, name, index, kind, up }];
  });
}

/** What `removeOwnedLinks` leaves alone. */
export interface KeptLinks {
  /** Ids of containers, whole or their first 12 digits. */
  readonly containerIds: Iterable<string>;
  /** Names of networks whose bridges stay. */
  readonly networks: Iterable<string>;
}

/** Removes the project's links that belong to nothing kept; returns their names. */
export async function removeOwnedLinks(
  queue: NetlinkQueue,
  remove: RemoveLinks,
  project: string,
  kept: KeptLinks,
): Promise<string[]> {
  const ids = new Set(Array.from(kept.containerIds, (id) => id.slice(0, ALIAS_ID_DIGITS)));
  const networks = new Set(kept.networks);
  const isKept = (link: OwnedLink) => (link.containerId === undefined ? networks.has(link.network) : ids.has(link.containerId));
  const lost = (await listOwnedLinks(queue, project)).filter((link) => !isKept(link));
  const names = lost.map(({ name }) => name);
  await remove(names);
  return names;
}

/**
 * Prefixes of all addresses and routes of the host but default routes, so that no network of ours shadows something reachable.
 */
export async function hostPrefixes(queue: NetlinkQueue): Promise<string[]> {
  const addresses = (await dump(queue, dumpAddresses())).flatMap((message) => readAddress(message)?.cidr ?? []);
  const routes = (await dump(queue, dumpRoutes())).flatMap((message) => readRoute(message) ?? []);
  return [...new Set([...addresses, ...routes])];
}

/**
 * The kernel says when a dump was disturbed by a change meanwhile (NLM_F_DUMP_INTR), and then it may lack entries: ask again.
 */
async function dump(queue: NetlinkQueue, message: Message): Promise<readonly Received[]> {
  for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
    const [answer] = await queue.mustSend('', [message]);
    const messages = answer?.messages ?? [];
    if (!messages.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0)) return messages;
  }
  throw new TscomposeError('NETWORK_FAILED', `${message.purpose}: the list kept changing`);
}

const DUMP_ATTEMPTS = 20;
const NLM_F_DUMP_INTR = 0x10;
