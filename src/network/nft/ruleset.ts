/** A table of nf_tables as data: what `nft list table` would show. Pure. */

import type { Expression } from './expressions.ts';

export interface Ruleset {
  /** In the inet family; at most 255 bytes. */
  readonly table: string;
  /** Shown by `nft list`. */
  readonly comment: string;
  readonly sets: readonly SetDefinition[];
  readonly chains: readonly Chain[];
}

/** A set, or with `data` a map. */
export interface SetDefinition {
  readonly name: string;
  /** Distinguishes the sets of one transaction. */
  readonly id: number;
  /** One type, or the parts of a concatenation. */
  readonly key: readonly DataType[];
  readonly data?: readonly DataType[];
  readonly elements: readonly SetElement[];
}

/** Parts of a concatenation already padded to four bytes each. */
export interface SetElement {
  readonly key: Uint8Array;
  readonly data?: Uint8Array;
}

export interface Chain {
  readonly name: string;
  readonly type: 'filter' | 'nat';
  readonly hook: Hook;
  /** Lower runs earlier: -300 before connection tracking, -100 destination NAT, 0 filter, 100 source NAT. */
  readonly priority: number;
  readonly rules: readonly (readonly Expression[])[];
}

export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** Number by which nft prints the type (the kernel only looks at lengths), and bytes. nftables: include/datatype.h. */
export const dataTypes = {
  ipv4_addr: { number: 7, bytes: 4 },
  ipv6_addr: { number: 8, bytes: 16 },
  inet_proto: { number: 12, bytes: 1 },
  inet_service: { number: 13, bytes: 2 },
  ifname: { number: 41, bytes: 16 },
} as const;

export type DataType = keyof typeof dataTypes;

/** The number of a type or of a concatenation: six bits a part, the first one highest. */
export function typeNumber(types: readonly DataType[]): number {
  return types.reduce((number, type) => number * 64 + dataTypes[type].number, 0);
}

/** Bytes of a value; the parts of a concatenation are padded to four each. */
export function typeBytes(types: readonly DataType[]): number {
  const only = types[0];
  if (types.length === 1 && only) return dataTypes[only].bytes;
  return types.reduce((sum, type) => sum + Math.ceil(dataTypes[type].bytes / 4) * 4, 0);
}

/** Puts parts side by side, each padded to four bytes. */
export function concatenate(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + Math.ceil(part.length / 4) * 4, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += Math.ceil(part.length / 4) * 4;
  }
  return bytes;
}
