/**
 * Who listens on a port of this host. A published port's packets are rewritten before any listener sees them, so a program of the
 * host would silently be cut off; a look-up here turns that into an error that names it.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { canonicalAddress, formatAddress, isIpv4 } from './ip.ts';

/** A listening socket of the host. */
export interface Listener {
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

const TCP_LISTEN = '0A';
const UDP_UNCONNECTED = '07';

/**
 * The holder in words: "process 4121 (nginx)", "project shop"; undefined when no listener is found, "another process" when it is
 * not ours to see whose it is. `hostIp` "0.0.0.0" or "" is every address.
 */
export function findPortHolder(protocol: string, hostIp: string, port: number): string | undefined {
  const texts = [protocol, `${protocol}6`].map((table) => read(`/proc/net/${table}`));
  const listeners = texts.flatMap((text) => parseListeners(text, protocol));
  const listener = listeners.find((one) => one.port === port && addressesMeet(one.address, hostIp));
  return listener && holderOf(listener.inode);
}

/**
 * /proc/net/{tcp,tcp6,udp,udp6} → sockets that listen (proc_pid_net(5)). Addresses stand there as 32-bit words in the machine's
 * order.
 */
export function parseListeners(text: string, protocol: string): Listener[] {
  const listening = protocol === 'udp' ? UDP_UNCONNECTED : TCP_LISTEN;
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local ?? '');
      if (!match || inode === undefined || state !== listening) return [];
      return [{ protocol, address: wordsToAddress(match[1] as string), port: Number.parseInt(match[2] as string, 16), inode }];
    });
}

/** Whether two sockets could not both have one port: their addresses are equal, or one of them is "every". */
export function addressesMeet(one: string, other: string): boolean {
  const [a, b] = [plainAddress(one), plainAddress(other)];
  /* "::" of a listener takes IPv4 connections as well, unless it asked for IPv6 only, which /proc does not tell. */
  const isEvery = (address: string, against: string) =>
    address === '' || address === '::' || (address === '0.0.0.0' && (against === '' || isIpv4(against)));
  return a === b || isEvery(a, b) || isEvery(b, a);
}

function holderOf(inode: string): string {
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    if (list(`/proc/${pid}/fd`).some((fd) => link(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`)) return describeProcess(pid);
  }
  return 'another process';
}

/** A supervisor of ours holds the ports its project publishes; its project says more than its number. */
function describeProcess(pid: string): string {
  const [, program = '', project] = read(`/proc/${pid}/cmdline`).split('\0');
  if (/\/supervisor\.[jt]s$/.test(program) && project) return `project ${project}`;
  return `process ${pid} (${read(`/proc/${pid}/comm`).trim() || 'unknown'})`;
}

/* Processes come and go while we look: what cannot be read is not there. */
function read(path: string): string {
  return attempt(() => readFileSync(path, 'utf8'), '');
}

function list(path: string): string[] {
  return attempt(() => readdirSync(path), []);
}

function link(path: string): string {
  return attempt(() => readlinkSync(path), '');
}

function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

function wordsToAddress(hex: string): string {
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  for (let word = 0; word < bytes.length; word += 4) bytes.subarray(word, word + 4).reverse();
  return plainAddress(formatAddress(bytes));
}

/** One spelling for each address; IPv4 in IPv6's clothes is IPv4 (RFC 4291 2.5.5.2). */
function plainAddress(address: string): string {
  if (address === '') return '';
  const canonical = canonicalAddress(address);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (!mapped) return canonical;
  const [high, low] = [Number.parseInt(mapped[1] as string, 16), Number.parseInt(mapped[2] as string, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
