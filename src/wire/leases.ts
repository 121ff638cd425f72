/** Subnets and addresses of the whole host: one file, changed only under one lock, by whichever supervisor needs it. */

import { type Leases, noLeases, parseLeases, takeAddress, takeSubnet } from '../network/addresses.ts';
import { readText, setAside, writeWhole } from '../state/files.ts';
import { hostLock, leasesPath, type StateRoots } from '../state/paths.ts';
import type { NetworkRecord, ProjectRecord } from '../state/record.ts';
import { listProjects, readRecord } from '../state/store.ts';
import type { World } from './world.ts';

type Change = (leases: Leases) => Leases;

interface Waiting {
  readonly change: Change;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Changes the host's leases. Changes asked for at the same moment share one turn under the lock and one write; each may fail
 * alone without spoiling the others.
 */
export function createLeaseKeeper(world: Pick<World, 'roots' | 'core'>): (change: Change) => Promise<void> {
  let waiting: Waiting[] = [];
  const turn = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    try {
      const unlock = await world.core.lock(hostLock(world.roots));
      try {
        await changeAll(world.roots, batch);
      } finally {
        await unlock();
      }
    } catch (error) {
      // Those that are settled already do not mind.
      for (const one of batch) one.reject(error);
    }
  };
  let last: Promise<void> = Promise.resolve();
  return (change) =>
    new Promise((resolve, reject) => {
      waiting.push({ change, resolve, reject });
      if (waiting.length === 1) last = last.then(turn, turn).catch(() => undefined);
    });
}

async function changeAll(roots: StateRoots, batch: readonly Waiting[]): Promise<void> {
  const before = readLeases(roots);
  let leases = before;
  const done: Waiting[] = [];
  for (const one of batch) {
    try {
      leases = one.change(leases);
      done.push(one);
    } catch (error) {
      one.reject(error);
    }
  }
  try {
    if (leases !== before) await writeWhole(leasesPath(roots), JSON.stringify(leases));
    for (const one of done) one.resolve();
  } catch (error) {
    for (const one of done) one.reject(error);
  }
}

/** The host's leases. A damaged file is set aside, and as one that is missing made again from the records, which hold the same. */
export function readLeases(roots: StateRoots): Leases {
  const text = readText(leasesPath(roots));
  const leases = text === undefined ? undefined : parseLeases(text);
  if (text !== undefined && !leases) setAside(leasesPath(roots));
  return leases ?? leasesOf(recordsOf(roots));
}

/** Of every project of this host. */
export function recordsOf(roots: StateRoots): ProjectRecord[] {
  return listProjects(roots).flatMap((project) => readRecord(roots, project) ?? []);
}

/** What records say of subnets and addresses, as leases: own networks first, then everybody's places on them. Pure. */
export function leasesOf(records: readonly ProjectRecord[]): Leases {
  let leases = noLeases;
  const take = (change: (leases: Leases) => Leases): void => {
    try {
      leases = change(leases);
    } catch {
      // Two records that contradict each other: the first one has it.
    }
  };
  for (const { project, networks } of records)
    for (const network of networks.filter(({ spec }) => !spec.external))
      take((before) => takeSubnet(before, wishOf(project, network), []));
  for (const { id, attachments } of records.flatMap(({ containers }) => containers))
    for (const { network, ipv4 } of attachments) take((before) => takeAddress(before, network, id, ipv4).leases);
  return leases;
}

function wishOf(project: string, { spec, subnet, gateway }: NetworkRecord): Parameters<typeof takeSubnet>[1] {
  const [pool] = spec.ipam;
  return {
    network: spec.name,
    project,
    subnet,
    gateway,
    ...(pool?.ipRange === undefined ? {} : { ipRange: pool.ipRange }),
    auxAddresses: Object.values(pool?.auxAddresses ?? {}),
  };
}
