import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { isErrno } from '../errors.ts';
import type { AccountFiles } from './users.ts';

/** Reads an image's passwd and group through its layers, topmost first; see readImageFile. */
export function readAccountFiles(layers: readonly string[]): AccountFiles {
  return { passwd: readImageFile(layers, '/etc/passwd') ?? '', group: readImageFile(layers, '/etc/group') ?? '' };
}

/** More than this of a file is not read. */
const sizeLimit = 1024 * 1024;
/** Linux's own bound: path_resolution(7). */
const linkLimit = 40;

/**
 * The text of a file of an image, as the container would see it: the topmost layer that has it counts, symbolic links are
 * followed
 * within the image only, never to the host. Anything but a regular file is as if absent, so a FIFO does not block and a
 * device does not answer; of a long file the first MiB up to its last whole line is taken.
 */
export function readImageFile(layers: readonly string[], path: string): string | undefined {
  let parts = partsOf(path);
  for (let links = 0; links < linkLimit; links++) {
    const found = lookUp(layers, parts);
    if (found.kind === 'absent') return undefined;
    if (found.kind === 'file') return readAndClose(found.fd);
    parts = followLink(parts, found.depth, found.text);
  }
  return undefined;
}

type Found =
  | { readonly kind: 'absent' }
  | { readonly kind: 'file'; readonly fd: number }
  | { readonly kind: 'link' /** Index of the part that is a link. */; readonly depth: number; readonly text: string };

function lookUp(layers: readonly string[], parts: readonly string[]): Found {
  for (const layer of layers) {
    const found = lookUpIn(layer, parts);
    if (found !== 'below') return found;
  }
  return { kind: 'absent' };
}

/** One layer's answer; 'below': it says nothing about the path, ask the next one down. */
function lookUpIn(layer: string, parts: readonly string[]): Found | 'below' {
  let folder = openOrUndefined(layer, pathOnly | constants.O_DIRECTORY);
  if (folder === undefined) return 'below';
  try {
    for (const [depth, part] of parts.entries()) {
      const entry = `/proc/self/fd/${folder}/${part}`;
      const next = openOrUndefined(entry, pathOnly | constants.O_NOFOLLOW);
      if (next === undefined) return 'below';
      const stat = fstatSync(next);
      if (depth === parts.length - 1 && stat.isFile()) return { kind: 'file', fd: next };
      if (stat.isSymbolicLink()) {
        closeSync(next);
        return { kind: 'link', depth, text: readlinkSync(entry) };
      }
      closeSync(folder);
      folder = next;
      // A character device 0:0 is overlayfs' mark for "deleted here".
      if (!stat.isDirectory()) return { kind: 'absent' };
    }
    return { kind: 'absent' };
  } finally {
    closeSync(folder);
  }
}

/**
 * O_PATH, which Node does not name: a descriptor that only stands for the place, so that opening has no effect on it. open(2).
 */
const pathOnly = 0o10000000;

function openOrUndefined(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

/** Reopens what the descriptor stands for: no name is looked up a second time. */
function readAndClose(place: number): string | undefined {
  const fd = openOrUndefined(`/proc/self/fd/${place}`, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  closeSync(place);
  if (fd === undefined) return undefined;
  try {
    return readWholeLines(fd);
  } finally {
    closeSync(fd);
  }
}

function readWholeLines(fd: number): string {
  const buffer = Buffer.alloc(Math.min(sizeLimit, fstatSync(fd).size));
  let length = 0;
  while (length < buffer.length) {
    const count = readSync(fd, buffer, length, buffer.length - length, null);
    if (count === 0) break;
    length += count;
  }
  const text = buffer.toString('utf8', 0, length);
  return length < sizeLimit ? text : text.slice(0, text.lastIndexOf('\n') + 1);
}

function followLink(parts: readonly string[], depth: number, text: string): readonly string[] {
  const rest = parts.slice(depth + 1);
  return partsOf(['', ...(text.startsWith('/') ? [] : parts.slice(0, depth)), text, ...rest].join('/'));
}

/**
 * ".." is taken textually: another place than the kernel would find behind a link to elsewhere, but never one above the root.
 */
function partsOf(path: string): readonly string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}
