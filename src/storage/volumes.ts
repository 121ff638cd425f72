import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync, type Stats } from 'node:fs';
import { cp, lchown, chmod } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TscomposeError } from '../errors.ts';
import type { VolumeSpec } from '../model/project.ts';

/** Makes a named volume's folder at `path`. @throws EXTERNAL_MISSING when the file says that it must be there already */
export function ensureVolume(path: string, volume: VolumeSpec): void {
  if (volume.external && !existsSync(path)) {
    throw new TscomposeError('EXTERNAL_MISSING', `volume "${volume.name}" is declared external, but there is none`, {
      path,
      hint: `make it with another project, or remove "external: true"`,
    });
  }
  makeVolume(path);
}

/** Makes a volume's folder, open to whatever user the container has: the folders above it are closed to everybody else. */
export function makeVolume(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  mkdirSync(path, { recursive: true, mode: 0o755 });
}

/** Removes a volume with its content; absent is fine. `path` is the content's folder, alone in its own. */
export function removeVolume(path: string): void {
  rmSync(dirname(path), { recursive: true, force: true });
}

/**
 * First use of an empty volume: the content, owner and mode of the image's folder at `target` come along, as docker does it.
 * The image is hostile input: links are copied as links and never followed.
 */
export async function copyImageContent(volume: string, lowerdirs: readonly string[], target: string): Promise<void> {
  if (readdirSync(volume).length > 0) return;
  for (const lowerdir of lowerdirs) {
    const source = folderWithin(lowerdir, target);
    if (source === undefined) continue;
    await cp(source, volume, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true, force: false });
    await copyOwners(source, volume);
    return;
  }
}

/** The folder at `path` below `root`, or undefined when it is missing or anything on the way is no plain folder. */
function folderWithin(root: string, path: string): string | undefined {
  let folder = root;
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') return undefined;
    folder = join(folder, part);
    if (!lstatSync(folder, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  }
  return folder;
}

async function copyOwners(source: string, copy: string): Promise<void> {
  const stats = lstatSync(source);
  await copyOwner(stats, copy);
  if (!stats.isDirectory()) return;
  for (const name of readdirSync(source)) await copyOwners(join(source, name), join(copy, name));
}

async function copyOwner(stats: Stats, copy: string): Promise<void> {
  if (lstatSync(copy, { throwIfNoEntry: false }) === undefined) return;
  await lchown(copy, stats.uid, stats.gid);
  if (!stats.isSymbolicLink()) await chmod(copy, stats.mode & 0o7777);
}

/** Makes a bind mount's missing source as docker does, with the service's owner so that it is usable by it. */
export function makeBindSource(path: string, uid: number, gid: number): void {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  chownSync(path, uid, gid);
  chmodSync(path, 0o755);
}
