/** What this room needs from the world, as narrow as it can be; `core/core.ts` has these methods. */

/** Carries netlink messages into a network namespace and brings the kernel's answers back. */
export interface NetlinkCarrier {
  /**
   * Sends one batch in one sendmsg(2) on a socket of this namespace ("" is the host's) and resolves with every message the
   * kernel answered, in order. `protocol` is NETLINK_ROUTE (0) or NETLINK_NETFILTER (12).
   */
  netlink(netnsPath: string, protocol: number, batch: Uint8Array): Promise<Uint8Array>;
}

/** Sockets for DNS inside network namespaces: messages come out, answers go in. */
export interface DnsCarrier {
  /** Binds UDP and TCP `address:port` in the namespace; queries then arrive under `token`. */
  openDns(netnsPath: string, token: string, address: string, port: number): Promise<void>;
  closeDns(token: string): Promise<void>;
  /** `peer` is what came with the query. */
  answerDns(peer: Uint8Array, message: Uint8Array): void;
  onDnsQuery(listener: (token: string, peer: Uint8Array, message: Uint8Array) => void): void;
}

/** Kernel parameters of the host's network namespace, by their path below /proc/sys. */
export interface SysctlPort {
  readSysctl(path: string): Promise<string>;
  writeSysctl(path: string, value: string): Promise<void>;
}

/** All that `core` does for networks. */
export type NetworkCore = NetlinkCarrier & DnsCarrier;
