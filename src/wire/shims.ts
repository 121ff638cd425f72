/** Holding on to shims: connecting, following what they say, noticing their loss. */

import { setTimeout as sleep } from 'node:timers/promises';
import { connectShim, type ShimClient } from '../core/shim-client.ts';
import type { ShimStatus } from '../core/status.ts';
import type { ContainerChange } from '../events.ts';
import { lostStatus, readStatus, truthful } from '../observe.ts';
import type { ContainerRecord } from '../state/record.ts';
import { changeOf, type Live, pathsOf, type World } from './world.ts';

const ADOPT_ATTEMPTS = 50;
const ADOPT_PAUSE_MS = 100;

/** Connects to a container's shim and follows it until it goes. `onGone` runs once it has, whatever the reason. */
export async function holdShim(
  world: World,
  record: ContainerRecord,
  onGone: (last: ShimStatus) => Promise<void>,
): Promise<Live> {
  const shim = await connectShim(pathsOf(world, record.id).socket);
  return keep(world, record, shim, await shim.hello(true), onGone);
}

function keep(
  world: World,
  record: ContainerRecord,
  shim: ShimClient,
  status: ShimStatus,
  onGone: (last: ShimStatus) => Promise<void>,
): Live {
  const lost = new Promise<void>((resolve) => shim.onLost(() => resolve()));
  const live: Live = { shim, shimPid: status.shim, status, ended: lost.then(() => letGo(world, record, live, onGone)) };
  world.live.set(record.id, live);
  follow(world, record, live);
  return live;
}

/**
 * Finds the shims that outlived an earlier supervisor: whoever answers on a container's socket is one, whatever files say. Resolves to
 * the containers that had a shim and lost it.
 */
export async function adoptShims(
  world: World,
  onGone: (record: ContainerRecord, last: ShimStatus) => Promise<void>,
): Promise<ContainerRecord[]> {
  const adopted = world.store.record.containers.map(async (record): Promise<ContainerRecord[]> => {
    const status = readStatus(pathsOf(world, record.id).status);
    if (status?.state === 'exited') {
      world.ended.set(record.id, status);
      return [];
    }
    const found = await adoptShim(world, record, (last) => onGone(record, last));
    if (found || !status) return [];
    world.ended.set(record.id, lostStatus(status));
    return [record];
  });
  return (await Promise.all(adopted)).flat();
}

/** A shim that lives and does not answer at once is busy: whoever took it for dead would kill its container. */
async function adoptShim(world: World, record: ContainerRecord, onGone: (last: ShimStatus) => Promise<void>): Promise<boolean> {
  const { socket, status } = pathsOf(world, record.id);
  for (let attempt = 0; ; attempt++) {
    try {
      await adoptOrDismiss(world, record, await connectShim(socket), onGone);
      return true;
    } catch {
      const said = truthful(readStatus(status));
      if (said === undefined || said.state === 'exited' || attempt === ADOPT_ATTEMPTS) return false;
      await sleep(ADOPT_PAUSE_MS);
    }
  }
}

/**
 * A shim whose start the earlier supervisor did not get to was never told of as started, and half of what is around it may be missing:
 * it goes, and whoever wants the container starts it anew.
 */
async function adoptOrDismiss(
  world: World,
  record: ContainerRecord,
  shim: ShimClient,
  onGone: (last: ShimStatus) => Promise<void>,
): Promise<void> {
  const status = await shim.hello(true);
  if (status.state !== 'created') {
    keep(world, record, shim, status, onGone);
    return;
  }
  await shim.quit();
  shim.close();
  world.ended.set(record.id, { ...status, shim: 0 });
}

async function letGo(
  world: World,
  record: ContainerRecord,
  live: Live,
  onGone: (last: ShimStatus) => Promise<void>,
): Promise<void> {
  world.live.delete(record.id);
  world.ended.set(record.id, live.status);
  await onGone(live.status);
}

function follow(world: World, record: ContainerRecord, live: Live): void {
  live.shim.onStatus((status) => {
    const before = live.status;
    live.status = status;
    for (const change of changesBetween(before, status)) world.changes.tell({ ...changeOf(record), ...change });
  });
}

type Happened = Pick<ContainerChange, 'action' | 'exitCode' | 'restartInMs'>;

/** What happened between two words of a shim. */
export function changesBetween(before: ShimStatus, after: ShimStatus): Happened[] {
  const happened: Happened[] = [];
  const ended = isEnd(after) && (!isEnd(before) || before.finishedAt !== after.finishedAt);
  if (ended && after.oomKilled && !before.oomKilled) happened.push({ action: 'oom' });
  if (ended && before.state !== 'created') happened.push({ action: 'die', ...endOf(after) });
  if (after.state === 'running' && after.pid !== before.pid) happened.push({ action: 'start' });
  if (after.state === 'paused' && before.state === 'running') happened.push({ action: 'pause' });
  if (after.state === 'running' && before.state === 'paused') happened.push({ action: 'unpause' });
  return happened;
}

function isEnd(status: ShimStatus): boolean {
  return status.state === 'exited' || status.state === 'restarting';
}

function endOf(status: ShimStatus): Pick<ContainerChange, 'exitCode' | 'restartInMs'> {
  return {
    exitCode: status.exitCode ?? 255,
    ...(status.state === 'restarting' ? { restartInMs: Math.max(0, (status.nextRestartAt ?? 0) - Date.now()) } : {}),
  };
}

/** Ends a shim whatever its container does; one that is gone already is fine. */
export async function dismissShim(shim: ShimClient): Promise<void> {
  await shim.quit().catch(() => undefined);
}
