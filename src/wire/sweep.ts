/**
 * What earlier supervisors left because they ended between a deed and its record: shims, folders, cgroups, links and leases that carry
 * the project's name and belong to no container or network that is remembered.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connectShim } from '../core/shim-client.ts';
import { dropNetwork, freeAddress, type Leases } from '../network/addresses.ts';
import { cgroupDirectories } from '../runtime/cgroup.ts';
import { containerFolders } from '../state/paths.ts';
import { readLeases, recordsOf } from './leases.ts';
import type { World } from './world.ts';

/** Call it once what runs was adopted, and before anything is made. What cannot be removed now, the next supervisor finds again. */
export async function sweep(world: World): Promise<void> {
  await sweepContainers(world).catch(ignore);
  await Promise.all([sweepCgroups(world), sweepLinks(world), sweepLeases(world)].map((swept) => swept.catch(ignore)));
}

/** A shim without a record is ended with its container, for nobody could ever stop it. */
async function sweepContainers(world: World): Promise<void> {
  const known = new Set(world.store.record.containers.map(({ id }) => id.slice(0, 12)));
  const [running, lasting] = containerFolders(world.paths);
  const unknown = [...new Set([...namesIn(running), ...namesIn(lasting)])].filter(
    (name) => isContainer(name) && !known.has(name),
  );
  await Promise.all(
    unknown.map(async (name) => {
      await endShim(`${running}/${name}/shim.sock`);
      await world.core.removeCgroups(cgroupsNamed(world, name)).catch(ignore);
      await Promise.all([running, lasting].map((folder) => rm(`${folder}/${name}`, { recursive: true, force: true })));
    }),
  );
}

/** Ends whatever shim listens there, and its container. */
export async function endShim(socketPath: string): Promise<void> {
  const shim = await connectShim(socketPath).catch(ignore);
  await shim?.quit().catch(ignore);
  shim?.close();
}

/** What is in them has no shim any more: killed together with it, or before it was told of. */
async function sweepCgroups(world: World): Promise<void> {
  const live = new Set([...world.live.keys()].map((id) => id.slice(0, 12)));
  const folders = cgroupDirectories(world.cgroups, `/tscompose/${world.project}`);
  const left = folders.flatMap((folder) =>
    namesIn(folder)
      .filter((name) => isContainer(name) && !live.has(name))
      .map((name) => `${folder}/${name}`),
  );
  if (left.length === 0) return;
  endHomelessShims(world);
  await world.core.removeCgroups(left);
}

/** Shims whose folder was taken away from under them: nobody reaches them, and they would start again what is ended here. */
function endHomelessShims(world: World): void {
  const [running] = containerFolders(world.paths);
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    const folder = folderOfShim(pid);
    if (folder?.startsWith(`${running}/`) && folder.endsWith(' (deleted)')) process.kill(Number(pid), 'SIGKILL');
  }
}

/** proc_pid_cwd(5): the kernel appends " (deleted)". */
function folderOfShim(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('tscompose-shim') ? readlinkSync(`/proc/${pid}/cwd`) : undefined;
  } catch {
    return undefined;
  }
}

async function sweepLinks(world: World): Promise<void> {
  const networks = world.store.record.networks.filter(({ spec }) => !spec.external).map(({ spec }) => spec.name);
  await world.networks.removeOwned(world.project, { containerIds: world.live.keys(), networks });
}

/** Looks without the lock first: there is hardly ever anything to do. */
async function sweepLeases(world: World): Promise<void> {
  const change = (leases: Leases): Leases => withoutUnknown(world, leases);
  const leases = readLeases(world.roots);
  if (change(leases) !== leases) await world.changeLeases(change);
}

function withoutUnknown(world: World, before: Leases): Leases {
  const { networks, containers } = world.store.record;
  const remembered = new Set(networks.filter(({ spec }) => !spec.external).map(({ spec }) => spec.name));
  const known = new Set(containers.map(({ id }) => id));
  let leases = before;
  for (const [network, lease] of Object.entries(before.networks)) {
    if (lease.project !== world.project) continue;
    if (!remembered.has(network)) leases = dropNetwork(leases, network);
    else if (!isShared(world, network))
      for (const id of Object.keys(lease.leases)) if (!known.has(id)) leases = freeAddress(leases, network, id);
  }
  return leases;
}

/** Another project's containers are on it too, and one that is just being made has its address before its record. */
function isShared(world: World, network: string): boolean {
  return recordsOf(world.roots).some(({ networks }) => networks.some(({ spec }) => spec.external && spec.name === network));
}

function cgroupsNamed(world: World, name: string): readonly string[] {
  return cgroupDirectories(world.cgroups, `/tscompose/${world.project}/${name}`);
}

/** The first 12 digits of an id. */
function isContainer(name: string): boolean {
  return /^[0-9a-f]{12}$/.test(name);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function ignore(): undefined {
  return undefined;
}
