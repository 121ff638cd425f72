/**
 * Who has which address on this host: subnets of networks, addresses of containers. Pure functions over the lease file's content;
 * whoever reads and writes that file holds the host's lock meanwhile.
 */

import { createHash } from 'node:crypto';
import { TscomposeError } from '../errors.ts';
import {
  bytesOf,
  canonicalAddress,
  type Cidr,
  contains,
  formatAddress,
  ipv4Number,
  ipv4Range,
  ipv4Text,
  isIpv4,
  overlaps,
  parseCidr,
} from './ip.ts';

/** The lease file. */
export interface Leases {
  readonly version: 1;
  /** By the network's full name. */
  readonly networks: Readonly<Record<string, NetworkLease>>;
}

export interface NetworkLease {
  readonly project: string;
  /** "10.89.0.0/24" */
  readonly subnet: string;
  readonly gateway: string;
  /** Automatic addresses come from here only. */
  readonly ipRange?: string;
  /** Never handed out. */
  readonly auxAddresses: readonly string[];
  /** Container id → address. */
  readonly leases: Readonly<Record<string, string>>;
  /** The next automatic address to try. */
  readonly next: string;
}

/** Automatic subnets: pools in the order they are tried, and the size of a piece. */
export interface PoolOptions {
  readonly pools: readonly string[];
  readonly prefix: number;
}

/** Private prefixes (RFC 1918) that home routers, clouds and VPNs use least come first. */
export const defaultPools: PoolOptions = {
  pools: ['10.89.0.0/16', '10.90.0.0/15', '10.92.0.0/14', '172.18.0.0/15', '172.20.0.0/14', '172.24.0.0/13', '192.168.192.0/18'],
  prefix: 24,
};

export const noLeases: Leases = { version: 1, networks: {} };

/** What a network asks for; everything absent is chosen. */
export interface SubnetRequest {
  /** Full name of the network. */
  readonly network: string;
  readonly project: string;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly auxAddresses?: readonly string[];
}

/**
 * Gives the network a subnet: the one asked for, or the first piece of the pools that meets none of `inUse` (prefixes of the
 * host's addresses and routes) nor another lease. What the network already has is kept when it is what is asked for.
 * @throws SUBNET_TAKEN, ADDRESSES_EXHAUSTED, VALUE_INVALID
 */
export function takeSubnet(
  leases: Leases,
  request: SubnetRequest,
  inUse: readonly string[],
  pools: PoolOptions = defaultPools,
): Leases {
  const held = leaseOf(leases, request.network);
  if (held && fitsRequest(held, request)) return leases;
  const others = Object.entries(leases.networks).filter(([name]) => name !== request.network);
  const taken: Taken[] = others.map(([name, lease]) => ({
    cidr: readCidr(lease.subnet),
    by: `network ${name} of project ${lease.project}`,
  }));
  const onHost = inUse.filter((text) => text !== held?.subnet).flatMap((text) => asTaken(text));
  const subnet = request.subnet === undefined ? freePiece([...taken, ...onHost], pools) : wantedSubnet(request, taken, onHost);
  return withLease(leases, request.network, newLease(request, subnet));
}

/** What `takeAddress` gives. */
export interface TakenAddress {
  readonly leases: Leases;
  readonly address: string;
  /** Bits of the subnet's prefix. */
  readonly prefix: number;
  readonly gateway: string;
}

/**
 * Gives a container an address on a network: the one it has, the one asked for, or the next free one. The search goes on where it
 * stopped last, so that an address just given back rests as long as others are free: neighbours still remember its old MAC
 * address.
 * @throws ADDRESS_TAKEN, ADDRESSES_EXHAUSTED, VALUE_INVALID, NETWORK_FAILED when the network has no subnet
 */
export function takeAddress(leases: Leases, network: string, containerId: string, wanted?: string): TakenAddress {
  const lease = leaseOf(leases, network);
  if (!lease) throw new TscomposeError('NETWORK_FAILED', `network ${network} has no subnet yet`);
  const subnet = readCidr(lease.subnet);
  const held = Object.hasOwn(lease.leases, containerId) ? lease.leases[containerId] : undefined;
  const done = (changed: Leases, address: string) => ({
    leases: changed,
    address,
    prefix: subnet.prefix,
    gateway: lease.gateway,
  });
  if (held !== undefined && (wanted === undefined || wanted === held)) return done(leases, held);
  const address = wanted === undefined ? nextFree(network, lease, subnet) : staticAddress(network, lease, subnet, wanted);
  const next = wanted === undefined ? ipv4Text(ipv4Number(address) + 1) : lease.next;
  return done(withLease(leases, network, { ...lease, next, leases: { ...lease.leases, [containerId]: address } }), address);
}

/** Gives the container's address back; nothing happens when it has none. */
export function freeAddress(leases: Leases, network: string, containerId: string): Leases {
  const lease = leaseOf(leases, network);
  if (!lease || !Object.hasOwn(lease.leases, containerId)) return leases;
  const left = Object.entries(lease.leases).filter(([id]) => id !== containerId);
  return withLease(leases, network, { ...lease, leases: Object.fromEntries(left) });
}

/** Gives the subnet back with all its addresses. */
export function dropNetwork(leases: Leases, network: string): Leases {
  return { ...leases, networks: Object.fromEntries(Object.entries(leases.networks).filter(([name]) => name !== network)) };
}

export function leaseOf(leases: Leases, network: string): NetworkLease | undefined {
  return Object.hasOwn(leases.networks, network) ? leases.networks[network] : undefined;
}

/** The lease file's text → leases; undefined when it is damaged, so that the caller sets it aside. */
export function parseLeases(text: string): Leases | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isLeases(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** 02:42 and the four bytes of the address: locally administered, and the same after every restart. */
export function macOf(address: string): string {
  return Array.from(Uint8Array.of(2, 0x42, ...bytesOf(address)), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** A /64 of a network's own below fd00::/8 (RFC 4193), from its name, so that nothing has to be remembered. */
export function subnet6Of(network: string): string {
  const digest = createHash('sha256').update(network).digest();
  const bytes = new Uint8Array(16);
  bytes.set([0xfd, ...digest.subarray(0, 7)]);
  return `${formatAddress(bytes)}/64`;
}

/** The IPv6 twin of a container's address: the four bytes at the end of the prefix. The gateway's is prefix::1. */
export function address6Of(subnet6: string, address: string): string {
  const bytes = Uint8Array.from(readCidr(subnet6).bytes);
  bytes.set(bytesOf(address), 12);
  return formatAddress(bytes);
}

export function gateway6Of(subnet6: string): string {
  const bytes = Uint8Array.from(readCidr(subnet6).bytes);
  bytes[15] = (bytes[15] as number) | 1;
  return formatAddress(bytes);
}

interface Taken {
  readonly cidr: Cidr;
  readonly by: string;
}

function fitsRequest(held: NetworkLease, request: SubnetRequest): boolean {
  const sameSubnet = request.subnet === undefined || parseCidr(request.subnet)?.text === held.subnet;
  const sameGateway = request.gateway === undefined || request.gateway === held.gateway;
  const sameAux = [...(request.auxAddresses ?? [])].sort().join() === [...held.auxAddresses].sort().join();
  return held.project === request.project && sameSubnet && sameGateway && sameAux && request.ipRange === held.ipRange;
}

function asTaken(text: string): Taken[] {
  const cidr = parseCidr(text);
  return cidr && cidr.prefix > 0 ? [{ cidr, by: 'an address or route of this host' }] : [];
}

function freePiece(taken: readonly Taken[], pools: PoolOptions): Cidr {
  const size = 2 ** (32 - pools.prefix);
  for (const pool of pools.pools.map(readCidr)) {
    const { first, last } = ipv4Range(pool);
    for (let start = first; start + size - 1 <= last; start += size) {
      const piece = readCidr(`${ipv4Text(start)}/${pools.prefix}`);
      const obstacle = taken.find(({ cidr }) => overlaps(cidr, piece));
      if (!obstacle) return piece;
      start = beyond(obstacle.cidr, start, size);
    }
  }
  throw new TscomposeError('ADDRESSES_EXHAUSTED', 'no private subnet is free on this host', {
    hint: 'remove unused networks, or name a subnet under "ipam"',
  });
}

/** The last piece that touches the obstacle, so that a large one is passed in one step. */
function beyond(obstacle: Cidr, start: number, size: number): number {
  const { last } = ipv4Range(obstacle);
  return last < start + size ? start : start + Math.floor((last - start) / size) * size;
}

/**
 * Another network's subnet is never shared. A route or address of the host is a conflict, too, except one that is wider: a subnet
 * inside a routed private range (a VPN's 10.0.0.0/8) is what somebody may have chosen on purpose.
 */
function wantedSubnet(request: SubnetRequest, taken: readonly Taken[], onHost: readonly Taken[]): Cidr {
  const subnet = parseCidr(request.subnet ?? '');
  if (subnet?.family !== 4 || subnet.prefix > 30 || subnet.prefix < 8)
    throw invalid(`"${request.subnet}" is no usable IPv4 subnet`);
  const obstacle =
    taken.find(({ cidr }) => overlaps(cidr, subnet)) ??
    onHost.find(({ cidr }) => overlaps(cidr, subnet) && cidr.prefix >= subnet.prefix);
  if (!obstacle) return subnet;
  throw new TscomposeError(
    'SUBNET_TAKEN',
    `subnet ${subnet.text} of network ${request.network} meets ${obstacle.by} (${obstacle.cidr.text})`,
    {
      hint: 'choose another subnet under "ipam", or leave it out to have one chosen',
    },
  );
}

function newLease(request: SubnetRequest, subnet: Cidr): NetworkLease {
  const { first } = ipv4Range(subnet);
  const gateway = request.gateway ?? ipv4Text(first + 1);
  const auxAddresses = request.auxAddresses ?? [];
  for (const address of [gateway, ...auxAddresses]) checkHost(subnet, address);
  const range = request.ipRange === undefined ? subnet : checkRange(subnet, request.ipRange);
  const lease = {
    project: request.project,
    subnet: subnet.text,
    gateway,
    auxAddresses,
    leases: {},
    next: ipv4Text(ipv4Range(range).first),
  };
  return request.ipRange === undefined ? lease : { ...lease, ipRange: request.ipRange };
}

function checkRange(subnet: Cidr, text: string): Cidr {
  const range = parseCidr(text);
  if (range && range.prefix >= subnet.prefix && overlaps(range, subnet)) return range;
  throw invalid(`ip_range "${text}" is no part of subnet ${subnet.text}`);
}

/** Neither outside, nor the network's own address, nor the broadcast address. */
function checkHost(subnet: Cidr, address: string): void {
  const { first, last } = ipv4Range(subnet);
  const isHost = isIpv4(address) && contains(subnet, address) && ![first, last].includes(ipv4Number(address));
  if (!isHost) throw invalid(`"${address}" is no address for a host in ${subnet.text}`);
}

function staticAddress(network: string, lease: NetworkLease, subnet: Cidr, wanted: string): string {
  checkHost(subnet, wanted);
  if (!takenAddresses(lease).has(wanted)) return canonicalAddress(wanted);
  throw new TscomposeError('ADDRESS_TAKEN', `address ${wanted} on network ${network} is in use`, {
    hint: 'choose another ipv4_address, or leave it out to have one chosen',
  });
}

function nextFree(network: string, lease: NetworkLease, subnet: Cidr): string {
  const whole = ipv4Range(subnet);
  const range = lease.ipRange === undefined ? whole : ipv4Range(readCidr(lease.ipRange));
  const first = Math.max(range.first, whole.first + 1);
  const last = Math.min(range.last, whole.last - 1);
  const taken = takenAddresses(lease);
  const hint = isIpv4(lease.next) ? ipv4Number(lease.next) : first;
  const start = hint < first || hint > last ? first : hint;
  for (let step = 0; step <= last - first; step++) {
    const address = ipv4Text(first + ((start - first + step) % (last - first + 1)));
    if (!taken.has(address)) return address;
  }
  throw new TscomposeError(
    'ADDRESSES_EXHAUSTED',
    `network ${network} has no free address left in ${lease.ipRange ?? lease.subnet}`,
    {
      hint: 'give the network a larger subnet under "ipam"',
    },
  );
}

function takenAddresses(lease: NetworkLease): Set<string> {
  return new Set([lease.gateway, ...lease.auxAddresses, ...Object.values(lease.leases)]);
}

function withLease(leases: Leases, network: string, lease: NetworkLease): Leases {
  return { ...leases, networks: { ...leases.networks, [network]: lease } };
}

function isLeases(value: unknown): value is Leases {
  if (!isRecord(value) || value['version'] !== 1 || !isRecord(value['networks'])) return false;
  return Object.values(value['networks']).every(isNetworkLease);
}

function isNetworkLease(value: unknown): boolean {
  if (!isRecord(value) || typeof value['project'] !== 'string' || typeof value['next'] !== 'string') return false;
  const { subnet, gateway, ipRange, auxAddresses, leases } = value;
  const isSubnet = (text: unknown) => typeof text === 'string' && parseCidr(text)?.family === 4;
  const isHost = (text: unknown) => typeof text === 'string' && isIpv4(text);
  return (
    isSubnet(subnet) &&
    isHost(gateway) &&
    (ipRange === undefined || isSubnet(ipRange)) &&
    Array.isArray(auxAddresses) &&
    auxAddresses.every(isHost) &&
    isRecord(leases) &&
    Object.values(leases).every(isHost)
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (!cidr) throw invalid(`"${text}" is no subnet`);
  return cidr;
}

function invalid(message: string): TscomposeError {
  return new TscomposeError('VALUE_INVALID', message);
}
