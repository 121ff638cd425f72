import type { Service, StringMap } from './project.ts';

/** A snapshot of what is there, read from the project's state and checked against the kernel. */
export interface Observed {
  readonly project: string;
  readonly containers: readonly ObservedContainer[];
  readonly networks: readonly ObservedNetwork[];
  readonly volumes: readonly ObservedVolume[];
}

/**
 * created: laid down, never started · running · paused · restarting: dead, its shim will start it again ·
 * exited: dead and staying so.
 */
export type ContainerState = 'created' | 'running' | 'paused' | 'restarting' | 'exited';

export type Health = 'none' | 'starting' | 'healthy' | 'unhealthy';

export interface ObservedContainer {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** "shop-api-1" */
  readonly name: string;
  readonly service: string;
  /** Counts from 1. */
  readonly number: number;
  /** Made by `run`. */
  readonly oneOff: boolean;
  readonly fingerprint: string;
  readonly image: string;
  readonly spec: Service;
  readonly state: ContainerState;
  readonly health: Health;
  /** Of init, in the host's pid namespace; 0 when not running. */
  readonly pid: number;
  /** Of the last end; undefined while it never ended. 128+n after signal n. */
  readonly exitCode?: number;
  readonly oomKilled: boolean;
  readonly restarts: number;
  /** Stopped by a command, so `unless-stopped` leaves it down. */
  readonly stoppedByUser: boolean;
  /** Milliseconds since the epoch; undefined: not yet. */
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  /** Why the last start failed, in words. */
  readonly error?: string;
  readonly labels: StringMap;
  readonly attachments: readonly Attachment[];
  readonly ports: readonly PublishedPort[];
}

/** One veth of a container. */
export interface Attachment {
  /** Name of the network: "shop_default". */
  readonly network: string;
  readonly ipv4: string;
  /** Bits of the prefix. */
  readonly prefix: number;
  readonly gateway: string;
  readonly mac: string;
  /** Names it answers to on this network. */
  readonly aliases: readonly string[];
  /** Name of the host's end. */
  readonly hostLink: string;
  /** Name inside the container: "eth0". */
  readonly interfaceName: string;
}

export interface PublishedPort {
  readonly target: number;
  readonly published: number;
  /** "0.0.0.0" is every address. */
  readonly hostIp: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
}

export interface ObservedNetwork {
  readonly key: string;
  readonly name: string;
  readonly fingerprint: string;
  readonly external: boolean;
  /** The bridge is there. */
  readonly present: boolean;
}

export interface ObservedVolume {
  readonly key: string;
  readonly name: string;
  readonly fingerprint: string;
  readonly external: boolean;
  readonly present: boolean;
}
