/**
 * Statements of nf_tables rules as data (linux/netfilter/nf_tables.h). Pure. A rule is a list of small expressions that pass
 * values through registers: load, compare, look up, act. Numbers of attributes are in network order.
 */

import { type Attribute, be32, be32Attribute, bytesAttribute, nested, textAttribute, u32 } from '../netlink/codec.ts';

/** One expression: its kind and its attributes. */
export interface Expression {
  readonly name: string;
  readonly attributes: readonly Attribute[];
}

/**
 * The 16 registers of 4 bytes. A value longer than 4 bytes takes the following ones too, so parts of a concatenation are loaded
 * side by side: an IPv4 address into 0, the protocol into 1, the port into 2.
 */
export function register(index: number): number {
  return NFT_REG32_00 + index;
}

const NFT_REG32_00 = 8;
const NFT_REG_VERDICT = 0;

const DataAttribute = { value: 1, verdict: 2 } as const;
const MetaKey = { inName: 6, outName: 7, family: 15, protocol: 16 } as const;
const PayloadBase = { network: 1, transport: 2 } as const;
const CompareOp = { equal: 0, notEqual: 1 } as const;
const CtKey = { state: 0, status: 2 } as const;
const Verdict = { drop: 0, accept: 1 } as const;
const Fib = { resultAddressType: 3, destination: 2 } as const;
const NatType = { destination: 1 } as const;

/** enum ip_conntrack_info as bits of `ct state`. */
const CT_ESTABLISHED_RELATED = 2 | 4;
/** IPS_DST_NAT */
const CT_STATUS_DNAT = 32;
const RTN_LOCAL = 2;
/** Bytes of an interface name in a register: IFNAMSIZ. */
export const INTERFACE_NAME_BYTES = 16;

const NFPROTO = { 4: 2, 6: 10 } as const;
const ADDRESS_BYTES = { 4: 4, 6: 16 } as const;
/** Offsets in the IP header (RFC 791, RFC 8200). */
const ADDRESS_OFFSET = { 4: { source: 12, destination: 16 }, 6: { source: 8, destination: 24 } } as const;

/** The packet is of this version of IP. An inet table sees both. */
export function ifFamily(family: 4 | 6): Expression[] {
  return [meta(MetaKey.family, 0), compare(0, CompareOp.equal, Uint8Array.of(NFPROTO[family]))];
}

/** The packet came in, or goes out, by a link of this name. */
export function ifLink(direction: 'in' | 'out', is: boolean, name: string): Expression[] {
  const op = is ? CompareOp.equal : CompareOp.notEqual;
  return [meta(direction === 'in' ? MetaKey.inName : MetaKey.outName, 0), compare(0, op, interfaceName(name))];
}

/** … by a link that is in the set. */
export function ifLinkIn(direction: 'in' | 'out', set: string, setId: number): Expression[] {
  return [meta(direction === 'in' ? MetaKey.inName : MetaKey.outName, 0), lookup({ set, setId, source: 0 })];
}

/** The source or destination lies, or does not lie, in a prefix. */
export function ifAddress(
  family: 4 | 6,
  which: 'source' | 'destination',
  prefix: { readonly bytes: Uint8Array; readonly mask: Uint8Array },
): Expression[] {
  return [...ifFamily(family), loadAddress(family, which, 0), bitwise(0, prefix.mask), compare(0, CompareOp.equal, prefix.bytes)];
}

/** The destination is an address of this host, loopback included. */
export function ifDestinationIsLocal(): Expression[] {
  const fib = {
    name: 'fib',
    attributes: [be32Attribute(1, register(0)), be32Attribute(2, Fib.resultAddressType), be32Attribute(3, Fib.destination)],
  };
  return [fib, compare(0, CompareOp.equal, u32(RTN_LOCAL))];
}

/** The connection is known, or belongs to a known one. */
export function ifEstablished(): Expression[] {
  return [conntrack(CtKey.state), bitwise(0, u32(CT_ESTABLISHED_RELATED)), compare(0, CompareOp.notEqual, u32(0))];
}

/** The connection's destination was rewritten: it came through a published port. */
export function ifDestinationWasRewritten(): Expression[] {
  return [conntrack(CtKey.status), bitwise(0, u32(CT_STATUS_DNAT)), compare(0, CompareOp.notEqual, u32(0))];
}

/**
 * Looks up [destination address and] protocol and port in a map, and rewrites the destination to the address and port found
 * there. The rule ends when the map has no such entry.
 */
export function rewriteDestination(options: {
  readonly family: 4 | 6;
  readonly withAddress: boolean;
  readonly map: string;
  readonly mapId: number;
}): Expression[] {
  const { family, withAddress } = options;
  const words = ADDRESS_BYTES[family] / 4;
  const protocolAt = withAddress ? words : 0;
  return [
    ...(withAddress ? [loadAddress(family, 'destination', 0)] : []),
    meta(MetaKey.protocol, protocolAt),
    payload(PayloadBase.transport, 2, 2, protocolAt + 1),
    lookup({ set: options.map, setId: options.mapId, source: 0, destination: 0 }),
    {
      name: 'nat',
      attributes: [
        be32Attribute(1, NatType.destination),
        be32Attribute(2, NFPROTO[family]),
        be32Attribute(3, register(0)),
        be32Attribute(5, register(words)),
      ],
    },
  ];
}

/** The source becomes the address of the link the packet leaves by. */
export function masquerade(): Expression[] {
  return [{ name: 'masq', attributes: [] }];
}

export function verdict(what: 'accept' | 'drop'): Expression[] {
  const code = nested(DataAttribute.verdict, [be32Attribute(1, Verdict[what])]);
  return [{ name: 'immediate', attributes: [be32Attribute(1, NFT_REG_VERDICT), nested(2, [code])] }];
}

/** A name as the kernel compares it: padded with zeros to IFNAMSIZ. */
export function interfaceName(name: string): Uint8Array {
  const bytes = new Uint8Array(INTERFACE_NAME_BYTES);
  bytes.set(new TextEncoder().encode(name).subarray(0, INTERFACE_NAME_BYTES - 1));
  return bytes;
}

/** Wraps bytes as an NFTA_*_DATA attribute. */
export function dataValue(type: number, bytes: Uint8Array): Attribute {
  return nested(type, [bytesAttribute(DataAttribute.value, bytes)]);
}

/** NFTA_LIST_ELEM with the expression in it. */
export function encodeExpression(expression: Expression): Attribute {
  return nested(1, [textAttribute(1, expression.name), nested(2, expression.attributes)]);
}

function meta(key: number, to: number): Expression {
  return { name: 'meta', attributes: [be32Attribute(1, register(to)), be32Attribute(2, key)] };
}

function loadAddress(family: 4 | 6, which: 'source' | 'destination', to: number): Expression {
  return payload(PayloadBase.network, ADDRESS_OFFSET[family][which], ADDRESS_BYTES[family], to);
}

function payload(base: number, offset: number, length: number, to: number): Expression {
  return {
    name: 'payload',
    attributes: [be32Attribute(1, register(to)), be32Attribute(2, base), be32Attribute(3, offset), be32Attribute(4, length)],
  };
}

function compare(from: number, op: number, value: Uint8Array): Expression {
  return { name: 'cmp', attributes: [be32Attribute(1, register(from)), be32Attribute(2, op), dataValue(3, value)] };
}

function bitwise(at: number, mask: Uint8Array): Expression {
  return {
    name: 'bitwise',
    attributes: [
      be32Attribute(1, register(at)),
      be32Attribute(2, register(at)),
      be32Attribute(3, mask.length),
      dataValue(4, mask),
      dataValue(5, new Uint8Array(mask.length)),
    ],
  };
}

function conntrack(key: number): Expression {
  return { name: 'ct', attributes: [be32Attribute(1, register(0)), be32Attribute(2, key)] };
}

function lookup(options: {
  readonly set: string;
  readonly setId: number;
  readonly source: number;
  readonly destination?: number;
}): Expression {
  const attributes = [
    textAttribute(1, options.set),
    be32Attribute(2, register(options.source)),
    bytesAttribute(4, be32(options.setId)),
  ];
  if (options.destination !== undefined) attributes.push(be32Attribute(3, register(options.destination)));
  return { name: 'lookup', attributes };
}
