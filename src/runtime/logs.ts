import { existsSync, type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from '../errors.ts';
import { type LogReader, openLog } from './log-files.ts';
import type { LogLine } from './log-lines.ts';

export { type LogLine, parseLogTime } from './log-lines.ts';

/** A line and whose it is. */
export interface SourcedLine extends LogLine {
  /** The path given for the log it comes from. */
  readonly path: string;
}

export interface LogOptions {
  /** So many lines of each log from its end; absent: all. */
  readonly tail?: number;
  /** Lines at or after this moment, before this moment; in the form of LogLine.time, from parseLogTime. */
  readonly since?: string;
  readonly until?: string;
}

/** What the logs hold now, rotated files included, all logs in one order of time. A log that does not exist is empty. */
export async function* replayLogs(paths: readonly string[], options: LogOptions = {}): AsyncGenerator<SourcedLine> {
  const readers = paths.map((path) => openLog(path, options.tail));
  try {
    yield* wanted(mergedLines(readers), options);
    yield* wanted(restOf(readers), options);
  } finally {
    for (const reader of readers) reader.close();
  }
}

/**
 * As replayLogs, then every further line as it is written, across rotations. Ends when `signal` is aborted, after what was
 * written by
 * then has been given out; also when every log's folder is gone, or with the first line past `until`.
 */
export async function* followLogs(
  paths: readonly string[],
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<SourcedLine> {
  const readers = paths.map((path) => openLog(path, options.tail));
  const changes = watchFolders(paths, signal);
  try {
    for (;;) {
      // Taken before reading: what is written after an end was seen must lead to another round.
      const isLast = signal.aborted || paths.every((path) => !existsSync(dirname(path)));
      for (const line of mergedLines(readers)) {
        if (options.until !== undefined && line.time >= options.until) return;
        if (isWanted(line, options)) yield line;
      }
      if (isLast) break;
      await changes.next();
    }
    yield* wanted(restOf(readers), options);
  } finally {
    changes.close();
    for (const reader of readers) reader.close();
  }
}

/** Each log is in order of time; of their next lines the earliest is given out, ties in the order of the paths. */
function* mergedLines(readers: readonly LogReader[]): Generator<SourcedLine> {
  const heads = readers.map((reader) => reader.next());
  for (;;) {
    let first = -1;
    for (const [index, head] of heads.entries()) {
      if (head && (first < 0 || head.time < (heads[first] as LogLine).time)) first = index;
    }
    if (first < 0) return;
    const reader = readers[first] as LogReader;
    yield { ...(heads[first] as LogLine), path: reader.path };
    heads[first] = reader.next();
  }
}

function restOf(readers: readonly LogReader[]): readonly SourcedLine[] {
  return readers.flatMap((reader) => reader.rest().map((line) => ({ ...line, path: reader.path })));
}

function* wanted(lines: Iterable<SourcedLine>, options: LogOptions): Generator<SourcedLine> {
  for (const line of lines) if (isWanted(line, options)) yield line;
}

function isWanted(line: LogLine, { since, until }: LogOptions): boolean {
  return (since === undefined || line.time >= since) && (until === undefined || line.time < until);
}

interface Changes {
  /** Resolves when something may have changed since the last call. */
  next(): Promise<void>;
  close(): void;
}

/** inotify can run out of watches and says nothing about some file systems, so once in a while we look without being told. */
const patienceMs = 500;

function watchFolders(paths: readonly string[], signal: AbortSignal): Changes {
  let changed = false;
  let wake = (): void => {};
  const notify = (): void => {
    changed = true;
    wake();
  };
  const watchers = [...new Set(paths.map((path) => dirname(path)))].flatMap((folder) => watchFolder(folder, notify));
  signal.addEventListener('abort', notify);
  return {
    async next() {
      if (!changed) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, patienceMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      changed = false;
    },
    close() {
      signal.removeEventListener('abort', notify);
      for (const watcher of watchers) watcher.close();
    },
  };
}

function watchFolder(folder: string, notify: () => void): readonly FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: true }, notify);
    // The timer goes on looking when a watch breaks.
    watcher.on('error', notify);
    return [watcher];
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOSPC', 'EMFILE')) return [];
    throw error;
  }
}
