/** Many changes → one. Pure: time comes in as a number of milliseconds. */

export interface Batch {
  /** Paths that changed since the batch began, in the order of their first change. */
  readonly paths: ReadonlySet<string>;
  readonly firstAt: number;
  readonly lastAt: number;
}

export interface BatchTiming {
  /** A batch is complete when nothing changed for this long: an editor's save is several changes within a few ms. */
  readonly quietMs: number;
  /** But it never waits longer than this, so that a process that writes all the time does not hold everything up. */
  readonly longestMs: number;
}

export const defaultTiming: BatchTiming = { quietMs: 60, longestMs: 1000 };

export function addToBatch(batch: Batch | undefined, path: string, now: number): Batch {
  if (!batch) return { paths: new Set([path]), firstAt: now, lastAt: now };
  return { paths: new Set([...batch.paths, path]), firstAt: batch.firstAt, lastAt: now };
}

/** When the batch is complete if nothing more comes. */
export function dueAt(batch: Batch, timing: BatchTiming): number {
  return Math.min(batch.lastAt + timing.quietMs, batch.firstAt + timing.longestMs);
}

/** Paths that are not below another path of the set: what was removed or renamed as a whole is dealt with as a whole. */
export function topmost(paths: Iterable<string>): string[] {
  const sorted = [...new Set(paths)].sort();
  const kept: string[] = [];
  for (const path of sorted) {
    const above = kept.some((other) => path.startsWith(`${other}/`));
    if (!above) kept.push(path);
  }
  return kept;
}
