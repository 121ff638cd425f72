/** What is there, as far as files and /proc tell: for commands that only look, and for the machine itself. */

import { existsSync } from 'node:fs';
import { parseStatus, type ShimStatus } from './core/status.ts';
import type { Health, Observed, ObservedContainer } from './model/observed.ts';
import { readText } from './state/files.ts';
import { containerPaths, projectPaths, type StateRoots, volumePath } from './state/paths.ts';
import type { ContainerRecord, NetworkRecord, VolumeRecord } from './state/record.ts';
import { readRecord } from './state/store.ts';

/** A project as its files show it; empty when nothing is remembered of it. Needs no supervisor. */
export function readObserved(roots: StateRoots, project: string): Observed {
  const paths = projectPaths(roots, project);
  const record = readRecord(roots, project);
  if (!record) return { project, containers: [], networks: [], volumes: [] };
  return {
    project,
    containers: record.containers.map((container) => {
      const files = containerPaths(paths, container.id);
      const status = truthful(readStatus(files.status));
      return observedContainer(container, status, readHealth(files.health, status));
    }),
    networks: record.networks.map(observedNetwork),
    volumes: record.volumes.map((volume) => observedVolume(volume, roots)),
  };
}

/** The status file of a shim; undefined when the container was never started since the last boot, or the file is damaged. */
export function readStatus(path: string): ShimStatus | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  try {
    return parseStatus(text);
  } catch {
    return undefined;
  }
}

/** A shim that died without a word leaves a status that says "running": believed only as long as its process is the same one. */
export function truthful(status: ShimStatus | undefined): ShimStatus | undefined {
  if (status === undefined || status.state === 'exited' || neverStarted(status) || isShimAlive(status)) return status;
  return lostStatus(status);
}

/** A shim that was dismissed before it started anything says so as its last word. */
export function neverStarted(status: ShimStatus): boolean {
  return status.state === 'created' && status.shim === 0;
}

/** Of a container whose shim was killed: what its program's end was, nobody knows any more. */
export function lostStatus(status: ShimStatus): ShimStatus {
  return { ...status, state: 'exited', pid: 0, exitCode: 137, finishedAt: Date.now(), error: 'its shim was killed' };
}

function isShimAlive(status: ShimStatus): boolean {
  if (status.bootId !== '' && status.bootId !== readText('/proc/sys/kernel/random/boot_id')?.trim()) return false;
  return readText(`/proc/${status.shim}/comm`)?.startsWith('tscompose-shim') === true;
}

function readHealth(path: string, status: ShimStatus | undefined): Health | undefined {
  if (status?.state !== 'running') return undefined;
  const text = readText(path)?.trim();
  return text === 'healthy' || text === 'unhealthy' || text === 'starting' ? text : undefined;
}

/** A record and what its shim last said, as one thing. */
export function observedContainer(
  record: ContainerRecord,
  status: ShimStatus | undefined,
  health: Health | undefined,
): ObservedContainer {
  const base = {
    id: record.id,
    name: record.name,
    service: record.service,
    number: record.number,
    oneOff: record.oneOff,
    fingerprint: record.fingerprint,
    image: record.spec.image,
    spec: record.spec,
    createdAt: record.createdAt,
    labels: record.labels,
    attachments: record.attachments,
    ports: record.ports,
    stoppedByUser: record.stoppedByUser,
  };
  if (!status) return { ...base, ...neverRan(record) };
  return {
    ...base,
    state: status.state,
    health: healthOf(record, status, health),
    pid: status.pid,
    oomKilled: status.oomKilled,
    restarts: status.restarts,
    ...(status.exitCode === undefined ? {} : { exitCode: status.exitCode }),
    ...(status.startedAt ? { startedAt: status.startedAt } : {}),
    ...(status.finishedAt ? { finishedAt: status.finishedAt } : {}),
    ...(status.error ? { error: status.error } : {}),
  };
}

/** Without a status file it was never started, or ran before the last boot: the record knows which. */
function neverRan(
  record: ContainerRecord,
): Pick<ObservedContainer, 'state' | 'health' | 'pid' | 'oomKilled' | 'restarts' | 'exitCode'> {
  const base = { health: 'none', pid: 0, oomKilled: false, restarts: 0 } as const;
  return record.everStarted ? { ...base, state: 'exited', exitCode: 255 } : { ...base, state: 'created' };
}

function healthOf(record: ContainerRecord, status: ShimStatus, health: Health | undefined): Health {
  if (!record.spec.healthcheck || status.state !== 'running') return 'none';
  return health ?? 'starting';
}

export function observedNetwork(network: NetworkRecord): Observed['networks'][number] {
  return {
    key: network.spec.key,
    name: network.spec.name,
    fingerprint: network.fingerprint,
    external: network.spec.external,
    present: existsSync(`/sys/class/net/${network.bridge}`),
  };
}

export function observedVolume(volume: VolumeRecord, roots: StateRoots): Observed['volumes'][number] {
  return {
    key: volume.spec.key,
    name: volume.spec.name,
    fingerprint: volume.fingerprint,
    external: volume.spec.external,
    present: existsSync(volumePath(roots, volume.spec.name)),
  };
}
