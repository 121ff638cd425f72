/** The host's files → operations that make a container's copy equal. Only looks at the host; writes nothing. */
import { type BigIntStats, constants } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { isErrno } from '../errors.ts';
import type { PathFilter } from './ignore.ts';
import { isWithin } from './rules.ts';

/** As the supervisor takes them. */
export type SyncOperation =
  | { readonly op: 'write'; readonly path: string; readonly mode: number; readonly contentBase64: string }
  | { readonly op: 'mkdir'; readonly path: string; readonly mode: number }
  | { readonly op: 'symlink'; readonly path: string; readonly target: string }
  | { readonly op: 'remove'; readonly path: string };

export interface SyncWish {
  /** What the rule watches: nothing outside is ever read. */
  readonly root: string;
  readonly hostPath: string;
  /** In the container. */
  readonly target: string;
  /** Takes paths relative to `root`. */
  readonly accepts: PathFilter;
  readonly acceptsFolder: PathFilter;
}

export interface SyncPlan {
  readonly operations: readonly SyncOperation[];
  /** Why something was left out, one sentence each. */
  readonly skipped: readonly string[];
}

/** Larger files are not copied: one operation must fit into a frame. */
const FILE_LIMIT = 8 * 1024 * 1024;

/**
 * A path that is gone is removed; a file is written whole; a folder goes with everything below it. Symbolic links are copied
 * as links when they stay below the root, and left out otherwise, so that a link never carries a file from elsewhere.
 */
export async function syncOperations(wish: SyncWish): Promise<SyncPlan> {
  const operations: SyncOperation[] = [];
  const skipped: string[] = [];
  await collect(wish, operations, skipped);
  return { operations, skipped };
}

async function collect(wish: SyncWish, operations: SyncOperation[], skipped: string[]): Promise<void> {
  const stats = await lstat(wish.hostPath, { bigint: true }).catch(ignoreGone);
  if (!stats) {
    operations.push({ op: 'remove', path: wish.target });
  } else if (stats.isSymbolicLink()) {
    await collectLink(wish, operations, skipped);
  } else if (stats.isDirectory()) {
    await collectFolder(wish, stats, operations, skipped);
  } else if (stats.isFile()) {
    await collectFile(wish, operations, skipped);
  } else {
    skipped.push(`${wish.hostPath} is neither a file nor a folder`);
  }
}

async function collectLink({ root, hostPath, target }: SyncWish, operations: SyncOperation[], skipped: string[]): Promise<void> {
  const link = await readlink(hostPath).catch(ignoreGone);
  if (link === undefined) return;
  const staysInside = !posix.isAbsolute(link) && isWithin(posix.resolve(posix.dirname(hostPath), link), root);
  if (staysInside) operations.push({ op: 'symlink', path: target, target: link });
  else skipped.push(`${hostPath} is a link that leaves ${root}`);
}

async function collectFolder(wish: SyncWish, stats: BigIntStats, operations: SyncOperation[], skipped: string[]): Promise<void> {
  operations.push({ op: 'mkdir', path: wish.target, mode: Number(stats.mode) & 0o7777 });
  const names = (await readdir(wish.hostPath).catch(ignoreGone)) ?? [];
  for (const name of names.sort()) {
    const below = { ...wish, hostPath: posix.join(wish.hostPath, name), target: posix.join(wish.target, name) };
    if (await isWanted(below)) await collect(below, operations, skipped);
  }
}

async function isWanted({ root, hostPath, accepts, acceptsFolder }: SyncWish): Promise<boolean> {
  const relative = posix.relative(root, hostPath);
  const stats = await lstat(hostPath).catch(ignoreGone);
  return stats?.isDirectory() === true ? acceptsFolder(relative) : stats !== undefined && accepts(relative);
}

/** O_NOFOLLOW and a second look at the open file: it may have become a link or a pipe since (open(2)). */
async function collectFile({ hostPath, target }: SyncWish, operations: SyncOperation[], skipped: string[]): Promise<void> {
  const file = await open(hostPath, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(ignoreGone);
  if (!file) return;
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return;
    if (stats.size > FILE_LIMIT) {
      skipped.push(`${hostPath} is larger than ${FILE_LIMIT / 1024 / 1024} MiB`);
      return;
    }
    operations.push({
      op: 'write',
      path: target,
      mode: stats.mode & 0o7777,
      contentBase64: (await file.readFile()).toString('base64'),
    });
  } finally {
    await file.close();
  }
}

/** What vanished or changed its kind between two looks is told by the next change. */
function ignoreGone(error: unknown): undefined {
  if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return undefined;
  throw error;
}

/** Operations in portions that fit well into one message. */
export function portions(operations: readonly SyncOperation[], limitBytes = 4 * 1024 * 1024): SyncOperation[][] {
  const result: SyncOperation[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const operation of operations) {
    const bytes = operation.op === 'write' ? operation.contentBase64.length : operation.path.length;
    if (size + bytes > limitBytes) {
      result.push([]);
      size = 0;
    }
    result.at(-1)?.push(operation);
    size += bytes;
  }
  return result;
}
