/** Containers as things that are kept: made, remembered, removed. Nothing here runs one. */

import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { CreateContainer } from '../apply/machine.ts';
import { makeVolume, removeVolume } from '../storage/volumes.ts';
import { makeFolder } from '../state/files.ts';
import { volumePath } from '../state/paths.ts';
import type { ContainerRecord } from '../state/record.ts';
import type { Service, StringMap } from '../model/project.ts';
import { dropLeases, leaseAddresses } from './attachments.ts';
import { changeOf, evenWhenFull, pathsOf, recordOf, type World } from './world.ts';

/** Lays a container down: its record, its addresses, its folders, its anonymous volumes. Resolves to its id. */
export async function createContainer(world: World, request: CreateContainer): Promise<string> {
  const id = randomBytes(32).toString('hex');
  const attachments = await leaseAddresses(world, id, request);
  const record: ContainerRecord = {
    id,
    name: request.name,
    service: request.service.name,
    number: request.number,
    oneOff: request.oneOff,
    fingerprint: request.fingerprint,
    spec: request.service,
    labels: labelsOf(world, request),
    createdAt: Date.now(),
    attachments,
    ports: [],
    anonymousVolumes: anonymousVolumes(world, request),
    stoppedByUser: false,
    everStarted: false,
  };
  const { data, upper, work } = pathsOf(world, id);
  for (const folder of [data, upper, work]) makeFolder(folder);
  for (const name of Object.values(record.anonymousVolumes)) makeVolume(volumePath(world.roots, name));
  world.store.record.containers.push(record);
  await world.store.save();
  world.changes.tell({ ...changeOf(record), action: 'create' });
  return id;
}

/** Forgets a container that does not run, and removes its folders; its anonymous volumes too when asked. */
export async function removeContainer(world: World, id: string, volumes: boolean): Promise<void> {
  const record = recordOf(world, id);
  if (!record) return;
  const { run, data } = pathsOf(world, id);
  // The record goes last: until then a crash leaves something that the next command removes again.
  await Promise.all([run, data].map((folder) => rm(folder, { recursive: true, force: true })));
  if (volumes) for (const name of volumesOfItsOwn(world, record)) removeVolume(volumePath(world.roots, name));
  await evenWhenFull(dropLeases(world, record));
  world.store.record.containers = world.store.record.containers.filter((container) => container.id !== id);
  world.ended.delete(id);
  world.health.delete(id);
  await evenWhenFull(world.store.save());
  world.changes.tell({ ...changeOf(record), action: 'destroy' });
}

/** An anonymous volume that a successor took over is the successor's. */
function volumesOfItsOwn(world: World, record: ContainerRecord): string[] {
  const others = world.store.record.containers.filter((container) => container.id !== record.id);
  const taken = new Set(others.flatMap((container) => Object.values(container.anonymousVolumes)));
  return Object.values(record.anonymousVolumes).filter((name) => !taken.has(name));
}

/** Target → volume: those of the container it replaces where the target is the same, fresh ones elsewhere. */
function anonymousVolumes(world: World, request: CreateContainer): StringMap {
  const former = request.replaces === undefined ? undefined : recordOf(world, request.replaces)?.anonymousVolumes;
  const volumes: Record<string, string> = Object.create(null);
  for (const mount of request.service.mounts) {
    if (mount.type !== 'volume' || mount.source !== undefined) continue;
    volumes[mount.target] = former?.[mount.target] ?? randomBytes(32).toString('hex');
  }
  return volumes;
}

/** Other tools look for docker compose's labels, so containers carry them. */
function labelsOf(world: World, request: CreateContainer): StringMap {
  const { record } = world.store;
  return {
    ...request.service.labels,
    'com.docker.compose.project': world.project,
    'com.docker.compose.service': request.service.name,
    'com.docker.compose.container-number': String(request.number),
    'com.docker.compose.oneoff': request.oneOff ? 'True' : 'False',
    'com.docker.compose.config-hash': request.fingerprint,
    'com.docker.compose.project.working_dir': record.workingDir,
    'com.docker.compose.project.config_files': record.configFiles.join(','),
    'com.docker.compose.depends_on': dependsOnLabel(request.service),
    'com.docker.compose.image': request.service.image,
  };
}

function dependsOnLabel(service: Service): string {
  return service.dependsOn.map(({ service: name, condition, restart }) => `${name}:${condition}:${restart}`).join(',');
}
