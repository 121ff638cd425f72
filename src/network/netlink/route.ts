/** rtnetlink messages as data (rtnetlink(7), linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h). Pure. */

import { bytesOf, familyOf, formatAddress, parseCidr } from '../ip.ts';
import {
  type Attribute,
  bytesAttribute,
  decodeAttributes,
  Flag,
  type Message,
  nested,
  type Received,
  readText,
  readU32,
  textAttribute,
  u8Attribute,
  u32,
  u32Attribute,
  viewOf,
} from './codec.ts';

export const RouteMessage = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
} as const;

const LinkAttribute = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  linkInfo: 18,
  netNsPid: 19,
  alias: 20,
  familySpec: 26,
  group: 27,
} as const;
const LinkInfo = { kind: 1, data: 2, portKind: 4, portData: 5 } as const;
const BridgePort = { hairpin: 4 } as const;
const VethInfo = { peer: 1 } as const;
const AddressAttribute = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
const RouteAttribute = { destination: 1, outInterface: 4, gateway: 5, table: 15 } as const;
const Family = { unspecified: 0, inet: 2, inet6: 10 } as const;
/** IFLA_INET_CONF numbers its parameters as linux/ip.h does. */
const InetConfig = { attribute: 1, routeLocalnet: 26 } as const;
const Inet6 = { addressGenerationMode: 8, none: 1 } as const;

const IFF_UP = 1;
const IFA_F_NODAD = 2;
const RT_TABLE_MAIN = 254;
const RT_TABLE_LOCAL = 255;
const RTPROT_STATIC = 4;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;

/** An IFLA_ADDRESS or another property a new or changed link gets. */
export interface LinkProperties {
  readonly name?: string;
  readonly alias?: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** Index of the bridge it becomes a port of. */
  readonly master?: number;
  /** Links of one group can be removed together. */
  readonly group?: number;
  readonly up?: boolean;
}

/** A link as the kernel lists it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly alias: string;
  /** "bridge", "veth", or "" for hardware. */
  readonly kind: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Index of its bridge; 0: none. */
  readonly master: number;
  /** With a veth: index of the other end, in its namespace. */
  readonly peer: number;
}

/** A new bridge; fails with EEXIST when a link of that name is there. */
export function newBridge(link: LinkProperties & { readonly name: string }): Message {
  const info = nested(LinkAttribute.linkInfo, [textAttribute(LinkInfo.kind, 'bridge')]);
  return linkMessage(RouteMessage.newLink, Flag.create | Flag.exclusive, 0, link, [info], `creating bridge ${link.name}`);
}

/**
 * A new pair: one end here, the other straight in the namespace of process `pid`. Both ends are down unless `up` of this one says
 * so.
 */
export function newVethPair(here: LinkProperties & { readonly name: string }, there: LinkProperties, pid: number): Message {
  const peer = nested(
    VethInfo.peer,
    [...propertyAttributes(there), u32Attribute(LinkAttribute.netNsPid, pid)],
    linkHeader(0, 0, 0),
  );
  const info = nested(LinkAttribute.linkInfo, [textAttribute(LinkInfo.kind, 'veth'), nested(LinkInfo.data, [peer])]);
  return linkMessage(RouteMessage.newLink, Flag.create | Flag.exclusive, 0, here, [info], `creating link ${here.name}`);
}

/** Changes a link found by index, or by name when the index is 0. */
export function setLink(index: number, link: LinkProperties): Message {
  return linkMessage(RouteMessage.newLink, 0, index, link, [], `configuring link ${link.name ?? index}`);
}

/**
 * Lets packets to and from 127.0.0.0/8 pass this bridge: a port published on the host's loopback is forwarded from 127.0.0.1 into
 * a container. The firewall's `raw` chain closes what this opens. As an attribute it also works where /proc/sys is read-only.
 */
export function allowLoopbackRouting(name: string): Message {
  const config = nested(InetConfig.attribute, [u32Attribute(InetConfig.routeLocalnet, 1)]);
  const spec = nested(LinkAttribute.familySpec, [nested(Family.inet, [config])]);
  return linkMessage(RouteMessage.newLink, 0, 0, { name }, [spec], `allowing loopback addresses on ${name}`);
}

/**
 * Lets the bridge send a frame out by the port it came in by. Where bridge-nf-call-iptables is on, a container that connects to
 * its own published port is rewritten within the bridge and would not be answered otherwise. The link must be a port already.
 */
export function allowHairpin(name: string): Message {
  const port = nested(LinkInfo.portData, [u8Attribute(BridgePort.hairpin, 1)]);
  const info = nested(LinkAttribute.linkInfo, [textAttribute(LinkInfo.portKind, 'bridge'), port]);
  return linkMessage(RouteMessage.newLink, 0, 0, { name }, [info], `configuring bridge port ${name}`);
}

/** No link-local IPv6 address by itself: without it nobody reaches the host's IPv6 listeners through an IPv4-only bridge. */
export function withoutIpv6Address(link: { readonly name?: string; readonly index?: number }): Message {
  const spec = nested(LinkAttribute.familySpec, [nested(Family.inet6, [u8Attribute(Inet6.addressGenerationMode, Inet6.none)])]);
  const named = link.name === undefined ? {} : { name: link.name };
  return linkMessage(RouteMessage.newLink, 0, link.index ?? 0, named, [spec], `keeping IPv6 off ${link.name ?? link.index}`);
}

/** Removes all links of a group; ENODEV when it has none. Removing one end of a veth pair removes both. */
export function deleteGroup(group: number): Message {
  return linkMessage(RouteMessage.deleteLink, 0, 0, { group }, [], 'removing links');
}

export function getLink(name: string): Message {
  return linkMessage(RouteMessage.getLink, 0, 0, { name }, [], `looking up link ${name}`);
}

export function dumpLinks(): Message {
  return linkMessage(RouteMessage.getLink, Flag.dump, 0, {}, [], 'listing links');
}

export interface AddressProperties {
  /** Index of the link. */
  readonly link: number;
  readonly address: string;
  /** Bits of the prefix. */
  readonly prefix: number;
  readonly broadcast?: string;
}

/**
 * A new address; EEXIST when the link has it already. IPv6 ones skip duplicate address detection: we handed them out ourselves.
 */
export function newAddress(wanted: AddressProperties): Message {
  const family = familyOf(wanted.address);
  const bytes = bytesOf(wanted.address);
  const header = new Uint8Array(8);
  header.set([family === 4 ? Family.inet : Family.inet6, wanted.prefix, 0, 0]);
  viewOf(header).setUint32(4, wanted.link, true);
  const attributes = [bytesAttribute(AddressAttribute.local, bytes), bytesAttribute(AddressAttribute.address, bytes)];
  if (wanted.broadcast) attributes.push(bytesAttribute(AddressAttribute.broadcast, bytesOf(wanted.broadcast)));
  if (family === 6) attributes.push(u32Attribute(AddressAttribute.flags, IFA_F_NODAD));
  return {
    type: RouteMessage.newAddress,
    flags: Flag.create | Flag.exclusive,
    header,
    attributes,
    purpose: `adding address ${wanted.address}/${wanted.prefix}`,
  };
}

export function dumpAddresses(): Message {
  return {
    type: RouteMessage.getAddress,
    flags: Flag.dump,
    header: new Uint8Array(8),
    attributes: [],
    purpose: 'listing addresses',
  };
}

/** A default route; EEXIST when there is one already. */
export function newDefaultRoute(gateway: string, link: number): Message {
  const attributes = [bytesAttribute(RouteAttribute.gateway, bytesOf(gateway)), u32Attribute(RouteAttribute.outInterface, link)];
  const header = new Uint8Array(12);
  header.set([familyOf(gateway) === 4 ? Family.inet : Family.inet6, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST]);
  return {
    type: RouteMessage.newRoute,
    flags: Flag.create | Flag.exclusive,
    header,
    attributes,
    purpose: `adding the default route via ${gateway}`,
  };
}

/**
 * Takes answers for ::1 from a bridge: connections from the host's loopback to a published port come back that way, and IPv6
 * wants a route of the very link. What claims to be for ::1 on the wire is dropped before (RFC 4291 2.5.3).
 */
export function newLoopbackRoute(link: number): Message {
  const header = new Uint8Array(12);
  header.set([Family.inet6, 128, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, 0, RTN_LOCAL]);
  const attributes = [
    bytesAttribute(RouteAttribute.destination, bytesOf('::1')),
    u32Attribute(RouteAttribute.outInterface, link),
  ];
  return {
    type: RouteMessage.newRoute,
    flags: Flag.create | Flag.exclusive,
    header,
    attributes,
    purpose: 'adding a route for ::1',
  };
}

export function dumpRoutes(): Message {
  return { type: RouteMessage.getRoute, flags: Flag.dump, header: new Uint8Array(12), attributes: [], purpose: 'listing routes' };
}

/** RTM_NEWLINK → Link; undefined for any other message. */
export function readLink(message: Received): Link | undefined {
  if (message.type !== RouteMessage.newLink || message.body.length < 16) return undefined;
  const view = viewOf(message.body);
  const attributes = decodeAttributes(message.body.subarray(16));
  const info = decodeAttributes(attributes.get(LinkAttribute.linkInfo) ?? new Uint8Array());
  return {
    index: view.getInt32(4, true),
    name: readText(attributes.get(LinkAttribute.name)),
    alias: readText(attributes.get(LinkAttribute.alias)),
    kind: readText(info.get(LinkInfo.kind)),
    mac: [...(attributes.get(LinkAttribute.address) ?? [])].map((byte) => byte.toString(16).padStart(2, '0')).join(':'),
    mtu: readU32(attributes.get(LinkAttribute.mtu)),
    up: (view.getUint32(8, true) & IFF_UP) !== 0,
    master: readU32(attributes.get(LinkAttribute.master)),
    peer: readU32(attributes.get(LinkAttribute.link)),
  };
}

/** RTM_NEWADDR → "10.0.0.1/24" and its link; undefined for any other message. */
export function readAddress(message: Received): { readonly link: number; readonly cidr: string } | undefined {
  if (message.type !== RouteMessage.newAddress || message.body.length < 8) return undefined;
  const attributes = decodeAttributes(message.body.subarray(8));
  const bytes = attributes.get(AddressAttribute.local) ?? attributes.get(AddressAttribute.address);
  if (!bytes) return undefined;
  return { link: viewOf(message.body).getUint32(4, true), cidr: `${formatAddress(bytes)}/${message.body[1]}` };
}

/** RTM_NEWROUTE → its destination; undefined for default routes, the table of local addresses, and other messages. */
export function readRoute(message: Received): string | undefined {
  if (message.type !== RouteMessage.newRoute || message.body.length < 12) return undefined;
  const attributes = decodeAttributes(message.body.subarray(12));
  const table = readU32(attributes.get(RouteAttribute.table)) || (message.body[4] as number);
  const destination = attributes.get(RouteAttribute.destination);
  const prefix = message.body[1] as number;
  if (table === RT_TABLE_LOCAL || !destination || prefix === 0) return undefined;
  return parseCidr(`${formatAddress(destination)}/${prefix}`)?.text;
}

function linkMessage(
  type: number,
  flags: number,
  index: number,
  link: LinkProperties,
  more: readonly Attribute[],
  purpose: string,
): Message {
  const up = link.up === undefined ? 0 : IFF_UP;
  return {
    type,
    flags,
    header: linkHeader(index, link.up ? IFF_UP : 0, up),
    attributes: [...propertyAttributes(link), ...more],
    purpose,
  };
}

/** struct ifinfomsg. */
function linkHeader(index: number, flags: number, change: number): Uint8Array {
  const header = new Uint8Array(16);
  header.set(u32(index), 4);
  header.set(u32(flags), 8);
  header.set(u32(change), 12);
  return header;
}

function propertyAttributes(link: LinkProperties): Attribute[] {
  const attributes: Attribute[] = [];
  if (link.name !== undefined) attributes.push(textAttribute(LinkAttribute.name, link.name));
  if (link.alias !== undefined) attributes.push(textAttribute(LinkAttribute.alias, link.alias));
  if (link.mac !== undefined) attributes.push(bytesAttribute(LinkAttribute.address, macBytes(link.mac)));
  if (link.mtu !== undefined) attributes.push(u32Attribute(LinkAttribute.mtu, link.mtu));
  if (link.master !== undefined) attributes.push(u32Attribute(LinkAttribute.master, link.master));
  if (link.group !== undefined) attributes.push(u32Attribute(LinkAttribute.group, link.group));
  return attributes;
}

function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (part) => Number.parseInt(part, 16));
}
