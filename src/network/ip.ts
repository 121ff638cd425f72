/** Addresses and prefixes. Pure. IPv4 arithmetic is done on unsigned 32-bit numbers. */

import ipaddr from 'ipaddr.js';

/** A prefix with its host bits cleared. */
export interface Cidr {
  readonly family: 4 | 6;
  /** Of the network: 4 or 16 of them. */
  readonly bytes: Uint8Array;
  readonly prefix: number;
  /** "10.89.0.0/24" */
  readonly text: string;
}

/** "10.1.2.3/24" → 10.1.2.0/24; undefined when it is none. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match?.[1] ?? '';
  if (!isAddress(address)) return undefined;
  const bytes = bytesOf(address);
  const prefix = Number(match?.[2]);
  if (prefix > bytes.length * 8) return undefined;
  const masked = bytes.map((byte, index) => byte & (0xff00 >> clamp(prefix - index * 8)));
  return { family: bytes.length === 4 ? 4 : 6, bytes: masked, prefix, text: `${formatAddress(masked)}/${prefix}` };
}

/** Four decimal parts, or any form of IPv6 without a zone. */
export function isAddress(text: string): boolean {
  return isIpv4(text) || (text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text));
}

/** Without leading zeros, which some readers take for octal. */
export function isIpv4(text: string): boolean {
  return /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text) && text.split('.').every((part) => Number(part) < 256);
}

/** Of a valid address. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** In network order. @throws when it is no address: check with `isAddress` first. */
export function bytesOf(address: string): Uint8Array {
  if (isIpv4(address)) return Uint8Array.from(address.split('.'), Number);
  return Uint8Array.from(ipaddr.IPv6.parse(address).toByteArray());
}

/** Bytes in network order → text; IPv6 in the form of RFC 5952. */
export function formatAddress(bytes: Uint8Array): string {
  return bytes.length === 4 ? bytes.join('.') : ipaddr.fromByteArray([...bytes]).toString();
}

/** One form for each address, so that text can be compared. */
export function canonicalAddress(address: string): string {
  return formatAddress(bytesOf(address));
}

/** Whether one of two prefixes contains the other. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  if (a.family !== b.family) return false;
  const prefix = Math.min(a.prefix, b.prefix);
  return a.bytes.every(
    (byte, index) => ((byte ^ (b.bytes[index] as number)) & (0xff00 >> clamp(prefix - index * 8)) & 255) === 0,
  );
}

export function contains(cidr: Cidr, address: string): boolean {
  const bytes = bytesOf(address);
  const width = bytes.length === 4 ? 4 : 6;
  return overlaps(cidr, { family: width, bytes, prefix: bytes.length * 8, text: address });
}

export function ipv4Number(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function ipv4Text(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
}

/** First and last address of an IPv4 prefix. */
export function ipv4Range(cidr: Cidr): { readonly first: number; readonly last: number } {
  const first = ipv4Number(cidr.bytes.join('.'));
  return { first, last: first + 2 ** (32 - cidr.prefix) - 1 };
}

/** The netmask in network order. */
export function maskBytes(cidr: Cidr): Uint8Array {
  return cidr.bytes.map((_byte, index) => 0xff00 >> clamp(cidr.prefix - index * 8));
}

/** Bits of the prefix that fall into one byte: 0…8. */
function clamp(bits: number): number {
  return Math.max(0, Math.min(8, bits));
}
