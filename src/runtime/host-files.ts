import { existsSync, readdirSync, statSync } from 'node:fs';
import { isErrno, TscomposeError } from '../errors.ts';
import type { Service } from '../model/project.ts';
import type { DeviceNode } from './devices.ts';

/** Which of these paths are no directories, so that their mount points are made as files. What is absent is left out. */
export function findFileSources(paths: Iterable<string>): ReadonlySet<string> {
  const files = new Set<string>();
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat && !stat.isDirectory()) files.add(path);
  }
  return files;
}

/**
 * Each processor's thermal_throttle folder, whose counters tell what the neighbours do (GHSA-6fw5-f8r9-fgfm); most virtual
 * machines have none.
 */
export function findThrottlePaths(): readonly string[] {
  const processors = readdirSync('/sys/devices/system/cpu').filter((name) => /^cpu\d+$/.test(name));
  const paths = processors.map((name) => `/sys/devices/system/cpu/${name}/thermal_throttle`);
  return paths.filter((path) => existsSync(path));
}

/**
 * The host's nodes behind a service's `devices`; all of /dev for a privileged one. @throws BIND_SOURCE_MISSING, VALUE_INVALID
 */
export function findDeviceNodes(service: Service): readonly DeviceNode[] {
  if (service.privileged) return nodesBelow('/dev');
  return service.devices.flatMap((device) => namedNodes(device.source, service.name));
}

function namedNodes(path: string, service: string): readonly DeviceNode[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new TscomposeError('BIND_SOURCE_MISSING', `device ${path} does not exist`, { service, path });
  const nodes = stat.isDirectory() ? nodesBelow(path) : nodeAt(path);
  if (nodes.length > 0) return nodes;
  throw new TscomposeError('VALUE_INVALID', `${path} is no device`, {
    service,
    path,
    hint: 'use "volumes" to give a file or folder',
  });
}

/** Not those of terminals, shared memory and message queues, which a container has its own of: docker's list. */
const ownFolders = ['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev'];
const ownNodes = ['/dev/console', '/dev/ptmx'];

function nodesBelow(folder: string): readonly DeviceNode[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return ownFolders.includes(entry.name) ? [] : nodesBelow(path);
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
    return ownNodes.includes(path) ? [] : nodeAt(path);
  });
}

/** A device may go while we look. */
function nodeAt(path: string): readonly DeviceNode[] {
  try {
    const stat = statSync(path);
    if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return [];
    const [major, minor] = [majorOf(stat.rdev), minorOf(stat.rdev)];
    return [
      { path, type: stat.isBlockDevice() ? 'b' : 'c', major, minor, mode: stat.mode & 0o777, uid: stat.uid, gid: stat.gid },
    ];
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENXIO')) return [];
    throw error;
  }
}

/** makedev(3), glibc's layout of 64 bits. */
function majorOf(device: number): number {
  const wide = BigInt(device);
  return Number(((wide >> 8n) & 0xfffn) | ((wide >> 32n) & 0xfffff000n));
}

function minorOf(device: number): number {
  const wide = BigInt(device);
  return Number((wide & 0xffn) | ((wide >> 12n) & 0xffffff00n));
}
