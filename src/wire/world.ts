import type { Core } from '../core/core.ts';
import type { ShimClient } from '../core/shim-client.ts';
import type { ShimStatus } from '../core/status.ts';
import { TscomposeError } from '../errors.ts';
import type { ContainerChange } from '../events.ts';
import type { Health } from '../model/observed.ts';
import type { NameServer } from '../network/name-server.ts';
import type { Leases } from '../network/addresses.ts';
import type { Networks } from '../network/networks.ts';
import type { CgroupLayout } from '../runtime/cgroup-layout.ts';
import type { ContainerPaths, ProjectPaths, StateRoots } from '../state/paths.ts';
import { containerPaths } from '../state/paths.ts';
import type { ContainerRecord } from '../state/record.ts';
import type { RecordStore } from '../state/store.ts';
import type { PortKeeper } from './ports.ts';

/** What the parts of the real Machine share: the hands (core, networks), the memory (store) and what is known of what runs. */
export interface World {
  readonly roots: StateRoots;
  readonly project: string;
  readonly paths: ProjectPaths;
  readonly core: Core;
  readonly networks: Networks;
  readonly names: NameServer;
  readonly store: RecordStore;
  readonly cgroups: CgroupLayout;
  /** argv that brings a lost supervisor of this project back; every shim has it. */
  readonly supervisorCommand: readonly string[];
  /** Containers that have a shim we are connected to, by id. */
  readonly live: Map<string, Live>;
  /** Starts that are on their way: a command and a restart may want the same container at the same moment. */
  readonly starts: Map<string, Promise<void>>;
  /** The last status of containers without a shim. */
  readonly ended: Map<string, ShimStatus>;
  readonly health: Map<string, Health>;
  /** Values of secrets and configs that come from the caller's environment; in memory and in the run folder only. */
  readonly secretValues: Map<string, string>;
  readonly changes: Changes;
  /** Published ports of what runs. */
  readonly ports: PortKeeper;
  /** Waited for before the work of a start: a few containers at a time. */
  pace(): Promise<void>;
  /** Brings firewall and names up to date with what runs. */
  refresh(): Promise<void>;
  /** A container's cgroups in every hierarchy. */
  cgroupDirs(id: string): readonly string[];
  /** Changes the host's leases under the host's lock. */
  changeLeases(change: (leases: Leases) => Leases): Promise<void>;
}

/** A container with a shim. */
export interface Live {
  readonly shim: ShimClient;
  /** Process id of the shim; its network namespace is the container's. */
  readonly shimPid: number;
  status: ShimStatus;
  /** Resolves when the shim has gone and what it held for the container was given back. */
  readonly ended: Promise<void>;
}

export interface Changes {
  tell(change: ContainerChange): void;
  listen(listener: (change: ContainerChange) => void): () => void;
}

/** Everybody hears everything in the order in which it happened, also what a listener's own doing brings about. */
export function createChanges(): Changes {
  const listeners = new Set<(change: ContainerChange) => void>();
  const untold: ContainerChange[] = [];
  return {
    tell: (change) => {
      untold.push(change);
      if (untold.length > 1) return;
      for (; untold[0] !== undefined; untold.shift()) for (const listener of [...listeners]) listener(untold[0]);
    },
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The container's record. An unknown id is a bug or a container removed meanwhile: undefined. */
export function recordOf(world: World, id: string): ContainerRecord | undefined {
  return world.store.record.containers.find((container) => container.id === id);
}

/**
 * For what a teardown writes: a full disk must not keep anything from being stopped and removed. What the file still holds and is gone,
 * the next command finds missing and removes again.
 */
export async function evenWhenFull(written: Promise<void>): Promise<void> {
  await written.catch((error: unknown) => {
    if (!(error instanceof TscomposeError) || error.code !== 'STATE_UNWRITABLE') throw error;
  });
}

export function pathsOf(world: World, id: string): ContainerPaths {
  return containerPaths(world.paths, id);
}

/** What every change of a container tells of it. */
export function changeOf(record: ContainerRecord): Omit<ContainerChange, 'action'> {
  return {
    time: Date.now(),
    id: record.id,
    name: record.name,
    service: record.service,
    number: record.number,
    oneOff: record.oneOff,
  };
}
