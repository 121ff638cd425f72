/** Attaches a container to its networks: one batch in the host's namespace, one in the container's. */

import { TscomposeError } from '../errors.ts';
import { ipv4Range, ipv4Text, isAddress, parseCidr } from './ip.ts';
import { linkAlias } from './link-names.ts';
import type { Message } from './netlink/codec.ts';
import { Errno } from './netlink/errno.ts';
import { type Answer, networkFailure, type NetlinkQueue } from './netlink/queue.ts';
import {
  allowHairpin,
  getLink,
  type Link,
  newAddress,
  newDefaultRoute,
  newVethPair,
  readLink,
  setLink,
  withoutIpv6Address,
} from './netlink/route.ts';
import type { RemoveLinks } from './removal.ts';

export interface AttachRequest {
  readonly project: string;
  readonly containerId: string;
  /** "/proc/SHIMPID/ns/net" */
  readonly netnsPath: string;
  /** A process in that namespace: the shim. */
  readonly pid: number;
  readonly endpoints: readonly Endpoint[];
}

export interface Endpoint {
  /** Name of the network: "shop_default". */
  readonly network: string;
  readonly bridge: string;
  /** Name of the host's end: `hostLinkName(containerId, network)`. */
  readonly hostLink: string;
  /** Name in the container: "eth0". */
  readonly interfaceName: string;
  readonly ipv4: string;
  /** Bits of the subnet's prefix. */
  readonly prefix: number;
  readonly mac: string;
  /** Absent for internal networks: no default route. */
  readonly gateway?: string;
  readonly ipv6?: string;
  readonly prefix6?: number;
  readonly gateway6?: string;
  readonly mtu?: number;
  /** The default route goes by the highest; of equal ones by the first. */
  readonly gwPriority: number;
}

/**
 * Makes the links, addresses and the default route, and puts the namespace's loopback up. Run twice it completes what is missing.
 * When a step fails, the links made by this call are gone again. @throws NETWORK_FAILED, VALUE_INVALID
 */
export async function attachContainer(queue: NetlinkQueue, remove: RemoveLinks, request: AttachRequest): Promise<void> {
  checkRequest(request);
  const made: string[] = [];
  try {
    const bridges = await bridgeIndexes(queue, request.endpoints);
    const peers = await Promise.all(
      request.endpoints.map((endpoint) => makeLink({ queue, remove, request, bridges, made }, endpoint)),
    );
    await queue.mustSend(request.netnsPath, insideMessages(request, peers), [Errno.exists, Errno.familyNotSupported]);
  } catch (error) {
    await remove(made).catch(() => undefined);
    throw error;
  }
}

/** A bridge is named in requests by its index. */
async function bridgeIndexes(queue: NetlinkQueue, endpoints: readonly Endpoint[]): Promise<Map<string, number>> {
  const names = [...new Set(endpoints.map(({ bridge }) => bridge))];
  if (names.length === 0) return new Map();
  const answers = await queue.mustSend('', names.map(getLink));
  return new Map(names.map((name, index) => [name, linkIn(answers[index])?.index ?? 0]));
}

interface Making {
  readonly queue: NetlinkQueue;
  readonly remove: RemoveLinks;
  readonly request: AttachRequest;
  /** Index of each bridge by name. */
  readonly bridges: ReadonlyMap<string, number>;
  /** Host ends made so far. */
  readonly made: string[];
}

/** Resolves with the index of the container's end. */
async function makeLink({ queue, remove, request, bridges, made }: Making, endpoint: Endpoint): Promise<number> {
  const messages = outsideMessages(request, endpoint, bridges.get(endpoint.bridge) ?? 0);
  for (let attempt = 1; ; attempt++) {
    const answers = await queue.send('', messages);
    const [created, labelled, reflecting, , raised, found] = answers as [Answer, Answer, Answer, Answer, Answer, Answer];
    if (created.errno === 0) made.push(endpoint.hostLink);
    const peer = linkIn(found)?.peer ?? 0;
    const isUsable =
      created.errno === 0 || (created.errno === Errno.exists && (await isAttached(queue, request, endpoint, peer)));
    const failed = [labelled, reflecting, raised, found].find(({ errno }) => errno !== 0);
    if (isUsable && !failed && peer !== 0) return peer;
    if (created.errno !== Errno.exists || attempt > 1) throw networkFailure(created.errno === 0 ? (failed ?? found) : created);
    /* Left by an earlier life of this container, its far end in another namespace. */
    await remove([endpoint.hostLink]);
  }
}

function outsideMessages(request: AttachRequest, endpoint: Endpoint, bridge: number): Message[] {
  const mtu = endpoint.mtu === undefined ? {} : { mtu: endpoint.mtu };
  const alias = linkAlias({ project: request.project, network: endpoint.network, containerId: request.containerId });
  return [
    newVethPair(
      { name: endpoint.hostLink, master: bridge, ...mtu },
      { name: endpoint.interfaceName, mac: endpoint.mac, ...mtu },
      request.pid,
    ),
    setLink(0, { name: endpoint.hostLink, alias, master: bridge }),
    allowHairpin(endpoint.hostLink),
    withoutIpv6Address({ name: endpoint.hostLink }),
    /* Only now: a link that is up gives itself an IPv6 address. The last answer tells the index of the far end (IFLA_LINK). */
    setLink(0, { name: endpoint.hostLink, up: true }),
    getLink(endpoint.hostLink),
  ];
}

/** Whether the link's far end is in the container's namespace under its name and MAC address. */
async function isAttached(queue: NetlinkQueue, request: AttachRequest, endpoint: Endpoint, peer: number): Promise<boolean> {
  const [answer] = await queue.send(request.netnsPath, [getLink(endpoint.interfaceName)]);
  const link = linkIn(answer);
  return link !== undefined && link.index === peer && link.mac === endpoint.mac.toLowerCase();
}

function insideMessages(request: AttachRequest, peers: readonly number[]): Message[] {
  const loopback = { ...setLink(0, { name: 'lo', up: true }), purpose: 'putting the loopback link up' };
  const routed = routedEndpoint(request.endpoints);
  return [
    loopback,
    ...request.endpoints.flatMap((endpoint, index) => addressMessages(endpoint, peers[index] as number)),
    ...(routed ? routeMessages(routed, peers[request.endpoints.indexOf(routed)] as number) : []),
  ];
}

function addressMessages(endpoint: Endpoint, link: number): Message[] {
  const subnet = parseCidr(`${endpoint.ipv4}/${endpoint.prefix}`);
  const broadcast = subnet ? { broadcast: ipv4Text(ipv4Range(subnet).last) } : {};
  const messages = endpoint.ipv6 === undefined ? [withoutIpv6Address({ index: link })] : [];
  messages.push(setLink(link, { up: true }), newAddress({ link, address: endpoint.ipv4, prefix: endpoint.prefix, ...broadcast }));
  if (endpoint.ipv6 !== undefined) messages.push(newAddress({ link, address: endpoint.ipv6, prefix: endpoint.prefix6 ?? 64 }));
  return messages;
}

function routedEndpoint(endpoints: readonly Endpoint[]): Endpoint | undefined {
  const routable = endpoints.filter(({ gateway }) => gateway !== undefined);
  const highest = Math.max(...routable.map(({ gwPriority }) => gwPriority));
  return routable.find(({ gwPriority }) => gwPriority === highest);
}

function routeMessages(endpoint: Endpoint, link: number): Message[] {
  const gateways = [endpoint.gateway, endpoint.gateway6].filter((gateway) => gateway !== undefined);
  return gateways.map((gateway) => newDefaultRoute(gateway, link));
}

function linkIn(answer: Answer | undefined): Link | undefined {
  return answer?.messages.map(readLink).find((link) => link !== undefined);
}

function checkRequest(request: AttachRequest): void {
  const isName = (name: string) => /^[^\s/:]{1,15}$/.test(name) && name !== '.' && name !== '..';
  const names = new Set(request.endpoints.map(({ interfaceName }) => interfaceName));
  if (names.size !== request.endpoints.length || names.has('lo')) throw invalid(request, 'two interfaces have one name');
  for (const endpoint of request.endpoints) {
    if (!isName(endpoint.interfaceName)) throw invalid(request, `"${endpoint.interfaceName}" is no name of an interface`);
    if (!isName(endpoint.hostLink)) throw invalid(request, `"${endpoint.hostLink}" is no name of a link`);
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(endpoint.mac)) throw invalid(request, `"${endpoint.mac}" is no MAC address`);
    if (parseCidr(`${endpoint.ipv4}/${endpoint.prefix}`)?.family !== 4)
      throw invalid(request, `"${endpoint.ipv4}/${endpoint.prefix}" is no IPv4 address`);
    for (const address of [endpoint.gateway, endpoint.ipv6, endpoint.gateway6]) {
      if (address !== undefined && !isAddress(address)) throw invalid(request, `"${address}" is no address`);
    }
  }
}

function invalid(request: AttachRequest, message: string): TscomposeError {
  return new TscomposeError('VALUE_INVALID', `container ${request.containerId.slice(0, 12)}: ${message}`);
}
