/** Who is called what, and who may know. Pure: a container sees the names of containers on the networks it shares with them. */

import { canonicalAddress, familyOf } from './ip.ts';

/** A container as the name server knows it. */
export interface ZoneMember {
  readonly id: string;
  /** Container name, for the way back from an address: "shop-api-1". */
  readonly name: string;
  readonly attachments: readonly ZonePlace[];
}

/** Where a container is found on one network. */
export interface ZonePlace {
  readonly network: string;
  readonly ipv4: string;
  readonly ipv6?: string;
  /** Every name it answers to: service, container name, short id, aliases. Case does not matter (RFC 4343). */
  readonly aliases: readonly string[];
}

/** An index over the members; build it anew on every change. */
export interface Zone {
  readonly members: ReadonlyMap<string, ZoneMember>;
  /** Network → name → addresses. */
  readonly networks: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;
  /** Address → where and who. */
  readonly owners: ReadonlyMap<string, readonly { readonly network: string; readonly name: string }[]>;
}

export function buildZone(members: readonly ZoneMember[]): Zone {
  const networks = new Map<string, Map<string, string[]>>();
  const owners = new Map<string, { network: string; name: string }[]>();
  for (const member of members) {
    for (const place of member.attachments) {
      const names = entry(networks, place.network, () => new Map<string, string[]>());
      const addresses = [place.ipv4, ...(place.ipv6 === undefined ? [] : [place.ipv6])];
      for (const name of new Set(place.aliases.map(canonicalName))) entry(names, name, () => []).push(...addresses);
      for (const address of addresses)
        entry(owners, canonicalAddress(address), () => []).push({ network: place.network, name: member.name });
    }
  }
  return { members: new Map(members.map((member) => [member.id, member])), networks, owners };
}

/**
 * Local answers (perhaps none, for a name without an address of that family); no such name for this asker; not ours at all; or
 * the asker is not known yet, and should ask again: a container may run a moment before the zone knows it.
 */
export type Finding =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'stranger' }
  | { readonly kind: 'outside' };

/**
 * Looks a question up for the container that asks. `family` 0 stands for types that are no addresses (MX, HTTPS …): a name of the
 * project exists, but has none of them. The first network, by name, that knows the name answers alone, so that a connection stays
 * on one network.
 */
export function findName(zone: Zone, askerId: string, name: string, family: 0 | 4 | 6): Finding {
  const asker = zone.members.get(askerId);
  if (!asker) return { kind: 'stranger' };
  const wanted = canonicalName(name);
  for (const network of networksOf(asker)) {
    const names = zone.networks.get(network);
    const suffix = `.${network.toLowerCase()}`;
    const addresses = names?.get(wanted) ?? (wanted.endsWith(suffix) ? names?.get(wanted.slice(0, -suffix.length)) : undefined);
    if (addresses) return { kind: 'addresses', addresses: addresses.filter((address) => familyOf(address) === family) };
  }
  const isHidden = [...zone.networks.values()].some((names) => names.has(wanted));
  return { kind: isHidden ? 'unknown' : 'outside' };
}

/** Address → "container.network". */
export function findAddress(zone: Zone, askerId: string, address: string): Finding {
  const asker = zone.members.get(askerId);
  if (!asker) return { kind: 'stranger' };
  const owners = zone.owners.get(canonicalAddress(address));
  if (!owners) return { kind: 'outside' };
  const networks = networksOf(asker);
  const owner = owners.find(({ network }) => networks.includes(network));
  return owner ? { kind: 'name', name: `${owner.name}.${owner.network}` } : { kind: 'unknown' };
}

/** "2.0.89.10.in-addr.arpa" → "10.89.0.2", and the same for ip6.arpa; undefined for other names. RFC 1035 3.5, RFC 3596 2.5. */
export function reverseAddress(name: string): string | undefined {
  const labels = canonicalName(name).split('.').reverse();
  if (labels.shift() !== 'arpa') return undefined;
  const kind = labels.shift();
  if (
    kind === 'in-addr' &&
    labels.length === 4 &&
    labels.every((label) => /^(0|[1-9]\d{0,2})$/.test(label) && Number(label) < 256)
  )
    return labels.join('.');
  if (kind !== 'ip6' || labels.length !== 32 || !labels.every((label) => /^[0-9a-f]$/.test(label))) return undefined;
  return canonicalAddress((labels.join('').match(/.{4}/g) ?? []).join(':'));
}

/** The same list from another start, so that replicas take turns. */
export function rotate<T>(list: readonly T[], turn: number): T[] {
  const start = list.length === 0 ? 0 : turn % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

function canonicalName(name: string): string {
  return name.replace(/\.$/, '').toLowerCase();
}

function networksOf(member: ZoneMember): string[] {
  return member.attachments.map(({ network }) => network).sort();
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
