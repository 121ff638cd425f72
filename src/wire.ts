/** The one place where the effect rooms meet: they become the Machine that apply and supervise see. */

import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { basename } from 'node:path';
import type { CreateContainer, ProbeResult } from './apply/machine.ts';
import { startCore } from './core/core.ts';
import { findNative } from './core/native.ts';
import { TscomposeError } from './errors.ts';
import type { Health, Observed, ObservedContainer } from './model/observed.ts';
import type { Project, Service } from './model/project.ts';
import { createNameServer } from './network/name-server.ts';
import { Networks } from './network/networks.ts';
import { findPortHolder } from './network/holders.ts';
import { observedContainer, observedNetwork, observedVolume } from './observe.ts';
import { readHostCgroups } from './runtime/cgroup-host.ts';
import { cgroupDirectories, containerCgroupPath } from './runtime/cgroup.ts';
import { makeFolder, writeWholeVolatile } from './state/files.ts';
import { type ProjectPaths, projectPaths, type StateRoots, supervisorCommand, volumePath } from './state/paths.ts';
import type { ContainerRecord } from './state/record.ts';
import { openRecord } from './state/store.ts';
import { ensureVolume, removeVolume } from './storage/volumes.ts';
import type { SyncOperation } from './supervise/control.ts';
import type { SupervisedMachine } from './supervise/commands.ts';
import { createNetwork, removeNetwork } from './wire/attachments.ts';
import { createContainer, removeContainer } from './wire/containers.ts';
import { checkGrants, recallValues, rememberProject } from './wire/grants.ts';
import { checkLaunch } from './wire/launch.ts';
import { createLeaseKeeper } from './wire/leases.ts';
import {
  adoptContainers,
  killContainer,
  pauseContainer,
  startAttached,
  startContainer,
  stopContainer,
  tellLost,
} from './wire/lifecycle.ts';
import { createRefresh, hostSysctls } from './wire/networking.ts';
import { createPacer } from './wire/pacer.ts';
import { createPortKeeper } from './wire/ports.ts';
import { sweep } from './wire/sweep.ts';
import { probeContainer, syncContainer } from './wire/inside.ts';
import { changeOf, createChanges, evenWhenFull, pathsOf, recordOf, type World } from './wire/world.ts';

/** The real machine, as a supervisor holds it. */
export interface ProjectMachine extends SupervisedMachine {
  /** A container runs, is paused, or will be started again. */
  hasLive(): boolean;
  /** Nothing of the project is left. */
  isEmpty(): boolean;
  /** Tells of the containers that had lost their shim before this machine was opened. */
  tellLost(): void;
  /** Once, when the native program has ended: this machine can do nothing any more. */
  onCoreLost(listener: (reason: Error) => void): void;
  /** Ends this machine; with nothing left of the project, its folders go too, and the lock last of all. */
  close(): Promise<void>;
}

/** Opens a project's machine. The caller holds the project's lock; the working directory becomes the project's run folder. */
export async function openMachine(roots: StateRoots, project: string, supervisorProgram: string): Promise<ProjectMachine> {
  const paths = projectPaths(roots, project);
  makeFolder(paths.run);
  process.chdir(paths.run);
  const core = await startCore(findNative());
  const networks = new Networks(core, hostSysctls);
  const cgroups = readHostCgroups();
  const world: World = {
    roots,
    project,
    paths,
    core,
    networks,
    cgroups,
    names: createNameServer(core),
    store: openRecord(paths, project),
    supervisorCommand: supervisorCommand(
      { native: findNative(), node: process.execPath, program: supervisorProgram },
      paths,
      project,
    ),
    live: new Map(),
    starts: new Map(),
    ended: new Map(),
    health: new Map(),
    secretValues: new Map(),
    changes: createChanges(),
    ports: createPortKeeper(findPortHolder),
    changeLeases: createLeaseKeeper({ roots, core }),
    pace: createPacer(8),
    refresh: createRefresh(() => world),
    cgroupDirs: (id) => cgroupDirectories(cgroups, containerCgroupPath(project, id, recordOf(world, id)?.spec.cgroupParent)),
  };
  recallValues(world);
  const lost = await adoptContainers(world);
  await sweep(world);
  await world.refresh();
  return machineOver(world, lost);
}

function machineOver(world: World, lost: readonly ContainerRecord[]): ProjectMachine {
  return {
    now: () => performance.now(),
    sleep,
    observe: async () => observe(world),
    inspect: (id) => inspect(world, id),
    onChange: (listener) => world.changes.listen(listener),
    preflight: (project, services, replaced) => preflight(world, project, services, replaced),

    createNetwork: (network, fingerprint) => createNetwork(world, network, fingerprint),
    removeNetwork: async (name) => {
      await removeNetwork(world, name);
      await world.refresh();
    },
    createVolume: async (volume, fingerprint) => {
      ensureVolume(volumePath(world.roots, volume.name), volume);
      const { record } = world.store;
      record.volumes = [...record.volumes.filter(({ spec }) => spec.name !== volume.name), { spec: volume, fingerprint }];
      await world.store.save();
    },
    removeVolume: async (name) => {
      const { record } = world.store;
      if (record.volumes.some(({ spec }) => spec.name === name && !spec.external)) removeVolume(volumePath(world.roots, name));
      record.volumes = record.volumes.filter(({ spec }) => spec.name !== name);
      await evenWhenFull(world.store.save());
    },

    createContainer: (request: CreateContainer) => createContainer(world, request),
    startContainer: (id) => startContainer(world, id),
    stopContainer: (id, graceMs) => stopContainer(world, id, graceMs),
    killContainer: (id, signal) => killContainer(world, id, signal),
    pauseContainer: (id) => pauseContainer(world, id, true),
    unpauseContainer: (id) => pauseContainer(world, id, false),
    removeContainer: (id, volumes) => removeContainer(world, id, volumes),

    probe: (id, command, timeoutMs): Promise<ProbeResult> => probeContainer(world, id, command, timeoutMs),
    setHealth: (id, health) => setHealth(world, id, health),

    remember: (project, values) => rememberProject(world, project, values),
    definition: () => world.store.record.definition,
    forgetForeseen: () => world.ports.forget(),
    startAttached: (id) => startAttached(world, id),
    sync: (id, operations: readonly SyncOperation[]) => syncContainer(world, id, operations),
    hasLive: () => world.live.size > 0,
    isEmpty: () => isEmpty(world),
    tellLost: () => {
      for (const record of lost) tellLost(world, record);
    },
    onCoreLost: (listener) => world.core.onLost(listener),
    close: () => close(world),
  };
}

function observe(world: World): Observed {
  const { record } = world.store;
  return {
    project: world.project,
    containers: record.containers.flatMap((container) => inspect(world, container.id) ?? []),
    networks: record.networks.map(observedNetwork),
    volumes: record.volumes.map((volume) => observedVolume(volume, world.roots)),
  };
}

function inspect(world: World, id: string): ObservedContainer | undefined {
  const record = recordOf(world, id);
  if (!record) return undefined;
  return observedContainer(record, world.live.get(id)?.status ?? world.ended.get(id), world.health.get(id));
}

/** All that can be known before anything is touched. */
async function preflight(
  world: World,
  project: Project,
  services: readonly Service[],
  replaced: readonly string[],
): Promise<void> {
  for (const service of services) {
    checkGrants(project, service, world.secretValues);
    await checkLaunch(world, project, service);
  }
  await world.ports.foresee(services, replaced);
}

/** In a file as well, for those who look without a supervisor. */
function setHealth(world: World, id: string, health: Exclude<Health, 'none'>): void {
  const record = recordOf(world, id);
  if (!record || !world.live.has(id) || world.health.get(id) === health) return;
  world.health.set(id, health);
  try {
    writeWholeVolatile(pathsOf(world, id).health, `${health}\n`);
  } catch {
    // A full disk makes nobody unhealthy, and those who look without a supervisor see the verdict before.
  }
  world.changes.tell({ ...changeOf(record), action: 'health', health });
}

/** With the last thing of a project go its cgroups, and with the last project the one above them. */
async function close(world: World): Promise<void> {
  if (isEmpty(world)) {
    await world.core.removeCgroups(cgroupDirectories(world.cgroups, `/tscompose/${world.project}`)).catch(() => undefined);
    await Promise.all(cgroupDirectories(world.cgroups, '/tscompose').map((folder) => rmdir(folder).catch(() => undefined)));
  }
  await world.core.close();
  if (isEmpty(world)) removeFolders(world.paths);
}

/**
 * The lock last: as soon as it is gone the project's next supervisor may begin, and from then on everything here is that one's.
 */
function removeFolders({ run, data, lock }: ProjectPaths): void {
  rmSync(data, { recursive: true, force: true });
  for (const name of readdirSync(run)) if (name !== basename(lock)) rmSync(`${run}/${name}`, { recursive: true, force: true });
  rmSync(lock, { force: true });
  try {
    rmdirSync(run);
  } catch {
    // The next one has begun.
  }
}

function isEmpty({ store: { record } }: World): boolean {
  return record.containers.length === 0 && record.networks.length === 0 && record.volumes.length === 0;
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopped = (): void => {
      clearTimeout(timer);
      reject(signal?.reason ?? new TscomposeError('INTERRUPTED', 'interrupted'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stopped);
      resolve();
    }, ms);
    if (signal?.aborted) stopped();
    else signal?.addEventListener('abort', stopped, { once: true });
  });
}
