/** Subnets and addresses of the whole host: one file, changed only under one lock, by whichever supervisor needs it. */

import { type Leases, noLeases, parseLeases } from '../network/addresses.ts';
import { readText, setAside, writeWhole } from '../state/files.ts';
import { hostLock, leasesPath } from '../state/paths.ts';
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
    const unlock = await world.core.lock(hostLock(world.roots)).catch((error: unknown) => {
      for (const one of batch) one.reject(error);
      throw error;
    });
    try {
      await changeAll(leasesPath(world.roots), batch);
    } finally {
      await unlock();
    }
  };
  let last: Promise<void> = Promise.resolve();
  return (change) =>
    new Promise((resolve, reject) => {
      waiting.push({ change, resolve, reject });
      if (waiting.length === 1) last = last.then(turn, turn).catch(() => undefined);
    });
}

async function changeAll(path: string, batch: readonly Waiting[]): Promise<void> {
  let leases = readLeases(path);
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
    await writeWhole(path, JSON.stringify(leases));
    for (const one of done) one.resolve();
  } catch (error) {
    for (const one of done) one.reject(error);
  }
}

/** A damaged file is set aside: what runs keeps its addresses, which every record holds as well. */
function readLeases(path: string): Leases {
  const text = readText(path);
  if (text === undefined) return noLeases;
  const leases = parseLeases(text);
  if (!leases) setAside(path);
  return leases ?? noLeases;
}
