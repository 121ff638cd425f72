/** A container's life: started, stopped, gone. */

import { readFileSync, rmSync } from 'node:fs';
import { RequestFailed } from '../core/channel.ts';
import type { ShimStatus } from '../core/status.ts';
import { TscomposeError } from '../errors.ts';
import { lostStatus, neverStarted } from '../observe.ts';
import { signalNumber } from '../runtime/signals.ts';
import { readText } from '../state/files.ts';
import type { ContainerRecord } from '../state/record.ts';
import { connectContainer, disconnectContainer, networkNamespace, openNames } from './networking.ts';
import { launchFailure, prepareLaunch } from './launch.ts';
import { adoptShims, dismissShim, holdShim } from './shims.ts';
import { endShim } from './sweep.ts';
import { changeOf, evenWhenFull, type Live, pathsOf, recordOf, type World } from './world.ts';

/** The signal with which a container is stopped when nothing else is said. */
const SIGTERM = 15;
const SIGKILL = 9;
/** What a shim says when the container's folder has a shim already. */
const EWOULDBLOCK = 11;

/** Starts a container; resolves when its program is executing. What is running already is fine, and what is just being started as well. */
export function startContainer(world: World, id: string): Promise<void> {
  const begun = world.starts.get(id);
  if (begun) return begun;
  const start = prepareContainer(world, id, false)
    .then((live) => (live ? open(world, id, live) : undefined))
    .finally(() => world.starts.delete(id));
  world.starts.set(id, start);
  return start;
}

/** Starts a container whose program waits until somebody is attached to its shim. Resolves to the shim's socket. */
export async function startAttached(world: World, id: string): Promise<string> {
  const live = await prepareContainer(world, id, true);
  // Answered only once somebody is attached: a failure reaches whoever is, as the container's end.
  if (live) open(world, id, live).catch(() => undefined);
  return pathsOf(world, id).socket;
}

/** Stop signal, grace, SIGKILL. What does not run is fine. */
export async function stopContainer(world: World, id: string, graceMs?: number): Promise<void> {
  const record = recordOf(world, id);
  if (!record) return;
  await rememberStopped(world, record, true);
  const live = world.live.get(id);
  if (!live) return;
  const signal = signalNumber(record.spec.stopSignal ?? 'SIGTERM') ?? SIGTERM;
  const grace = cannotHear(live.status, signal) ? 0 : (graceMs ?? record.spec.stopGraceMs);
  await stopShim(live, signal, grace);
  world.changes.tell({ ...changeOf(record), action: 'stop' });
}

export async function killContainer(world: World, id: string, signal: string): Promise<void> {
  const record = recordOf(world, id);
  const live = world.live.get(id);
  if (!record || !live) return;
  const number = signalNumber(signal);
  if (number === undefined)
    throw new TscomposeError('VALUE_INVALID', `"${signal}" is no signal`, { hint: 'e.g. SIGTERM, HUP or 9' });
  if (number === SIGKILL) {
    await rememberStopped(world, record, true);
    await stopShim(live, SIGKILL, 0);
  } else {
    await live.shim.signal(number);
  }
  world.changes.tell({ ...changeOf(record), action: 'kill' });
}

/** A shim that is killed meanwhile has taken its container along, which is what was wanted. */
async function stopShim({ shim, ended }: Live, signal: number, graceMs: number): Promise<void> {
  await shim.stop(signal, graceMs).catch((error: unknown) => {
    if (error instanceof RequestFailed) throw error;
  });
  await ended;
}

export async function pauseContainer(world: World, id: string, paused: boolean): Promise<void> {
  await world.live.get(id)?.shim.pause(paused);
}

/**
 * Takes over what an earlier supervisor left: shims that live are followed again, what lost its shim is ended. Resolves to what was lost,
 * for whoever looks after restarts (`tellLost`).
 */
export async function adoptContainers(world: World): Promise<ContainerRecord[]> {
  const lost = await adoptShims(world, (record, last) => release(world, record, last));
  await Promise.all(lost.map((record) => endLost(world, record)));
  await Promise.all(
    [...world.live].map(async ([id, live]) => {
      const record = recordOf(world, id);
      if (!record) return;
      recallHealth(world, id);
      await world.ports.take(id, record.spec, record.ports).catch(() => undefined);
      if (record.attachments.length > 0) await openNames(world, record, networkNamespace(live.shimPid)).catch(() => undefined);
    }),
  );
  return lost;
}

/** A supervisor's death makes nobody unhealthy and nobody new: the last verdict stands until the next probe. */
function recallHealth(world: World, id: string): void {
  const verdict = readText(pathsOf(world, id).health)?.trim();
  if (verdict === 'healthy' || verdict === 'unhealthy') world.health.set(id, verdict);
}

/** Makes the shim and everything around the program, up to the gate. undefined: it runs already. */
async function prepareContainer(world: World, id: string, waitAttach: boolean): Promise<Live | undefined> {
  const record = recordOf(world, id);
  if (!record) throw new TscomposeError('NO_SUCH_CONTAINER', `there is no container ${id.slice(0, 12)}`);
  if (world.live.has(id)) return undefined;
  try {
    record.ports = await world.ports.take(id, record.spec, record.ports);
    await world.pace();
    const launch = await prepareLaunch(world, record, waitAttach);
    record.everStarted = true;
    record.stoppedByUser = false;
    // Remembered before its program executes; the shim is looked for under the container's id in any case.
    const [live] = await Promise.all([spawn(world, record, launch), world.store.save()]);
    return live;
  } catch (error) {
    await giveUp(world, record);
    throw launchFailure(record, error);
  }
}

/** Makes the shim, lets it work up to the gate, and gives it its network meanwhile. */
async function spawn(world: World, record: ContainerRecord, launch: Awaited<ReturnType<typeof prepareLaunch>>): Promise<Live> {
  await world.core.spawnShim(launch).catch(async (error: unknown) => {
    if (!(error instanceof RequestFailed) || error.errno !== EWOULDBLOCK) throw error;
    // A shim that an earlier supervisor forked just before its own end, and that did not listen yet when we looked for it.
    await endShim(pathsOf(world, record.id).socket);
    await world.core.spawnShim(launch);
  });
  const live = await holdShim(world, record, (last) => release(world, record, last));
  await Promise.all([live.shim.prepare(), connectContainer(world, record, live.shimPid)]);
  await world.refresh();
  return live;
}

async function open(world: World, id: string, live: Live): Promise<void> {
  const record = recordOf(world, id) as ContainerRecord;
  try {
    await live.shim.start();
  } catch (error) {
    await giveUp(world, record);
    throw launchFailure(record, error);
  }
}

/** Undoes a start that failed; what it left in the status file stays, so that `ps` tells why. */
async function giveUp(world: World, record: ContainerRecord): Promise<void> {
  const live = world.live.get(record.id);
  if (live) {
    await dismissShim(live.shim);
    await live.ended;
  } else {
    await release(world, record, undefined);
  }
}

/** A shim has ended: what it held for its container goes too. */
async function release(world: World, record: ContainerRecord, last: ShimStatus | undefined): Promise<void> {
  world.ports.release(record.id);
  world.health.delete(record.id);
  rmSync(pathsOf(world, record.id).health, { force: true });
  const isLost = last !== undefined && last.state !== 'exited' && !neverStarted(last);
  if (isLost) await endLost(world, record);
  await disconnectContainer(world, record).catch(() => undefined);
  await world.refresh().catch(() => undefined);
  // Last, for it may be started again at once.
  if (isLost) tellLost(world, record);
}

/**
 * A container whose shim was killed has lost its output and its exit status: nothing can bring them back, so what is left of it is
 * ended, and whether it is started again its policy says.
 */
async function endLost(world: World, record: ContainerRecord): Promise<void> {
  await world.core.removeCgroups(world.cgroupDirs(record.id)).catch(() => undefined);
  const last = world.ended.get(record.id);
  if (last) world.ended.set(record.id, lostStatus(last));
}

/** Says that a container's shim was lost. */
export function tellLost(world: World, record: ContainerRecord): void {
  world.changes.tell({ ...changeOf(record), action: 'die', exitCode: 128 + SIGKILL, lost: true });
}

async function rememberStopped(world: World, record: ContainerRecord, stopped: boolean): Promise<void> {
  if (record.stoppedByUser === stopped) return;
  record.stoppedByUser = stopped;
  await evenWhenFull(world.store.save());
}

/**
 * The kernel drops a signal to PID 1 of a pid namespace when it has no handler for it (pid_namespaces(7)), so the grace would be
 * waited in vain: a shell in front of a program is the usual case. A blocked signal may be read by signalfd or sigwait.
 */
function cannotHear(status: ShimStatus, signal: number): boolean {
  if (status.pid === 0) return false;
  try {
    const text = readFileSync(`/proc/${status.pid}/status`, 'utf8');
    const isInit = /^NSpid:.*\s1$/m.test(text);
    return isInit && !inMask(text, 'SigCgt', signal) && !inMask(text, 'SigBlk', signal);
  } catch {
    return false;
  }
}

function inMask(status: string, name: string, signal: number): boolean {
  const mask = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
  return mask === undefined || (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n;
}
