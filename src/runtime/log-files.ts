import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { isErrno } from '../errors.ts';
import { type LogLine, type LogPiece, lineJoiner, parseLogPiece } from './log-lines.ts';

/** One container's log: the current file and the rotated ones, read through in order. */
export interface LogReader {
  readonly path: string;
  /** The next whole line that is there now. */
  next(): LogLine | undefined;
  /** What never got its end, when nothing more will come. */
  rest(): readonly LogLine[];
  close(): void;
}

/**
 * Opens a log at its beginning, or at its last `tail` lines. Rotation while reading loses and doubles nothing: a file that was
 * opened stays readable under whatever name, and files are told apart by inode number, which cannot be given anew while we
 * hold one open.
 */
export function openLog(path: string, tail?: number): LogReader {
  const joiner = lineJoiner();
  let files = openFiles(path);
  if (tail !== undefined) files = fromTail(files, tail);
  return {
    path,
    next() {
      for (;;) {
        const piece = nextPiece(files, path);
        if (piece === undefined) return undefined;
        const line = joiner.add(piece);
        if (line) return line;
      }
    },
    rest: () => joiner.rest(),
    close() {
      for (const file of files.splice(0)) closeSync(file.fd);
    },
  };
}

/** An open file of the chain, oldest first in the list; all but the last are complete. */
interface LogFile {
  readonly fd: number;
  readonly inode: number;
  /** Where to read on. */
  position: number;
  /** Bytes read and not yet given out: the beginning of a line. */
  pending: Buffer;
}

const chunkBytes = 64 * 1024;
const newline = 0x0a;

function nextPiece(files: LogFile[], path: string): LogPiece | undefined {
  for (;;) {
    const file = files[0];
    if (file) {
      const line = nextLine(file);
      const piece = line === undefined ? undefined : parseLogPiece(line);
      if (piece) return piece;
      if (line !== undefined) continue;
    }
    if (files.length <= 1 && !takeNewerFiles(files, path)) return undefined;
    dropFinished(files);
  }
}

function nextLine(file: LogFile): string | undefined {
  let end = file.pending.indexOf(newline);
  while (end < 0) {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const count = readSync(file.fd, chunk, 0, chunkBytes, file.position);
    if (count === 0) return undefined;
    file.position += count;
    const searched = file.pending.length;
    file.pending = searched === 0 ? chunk.subarray(0, count) : Buffer.concat([file.pending, chunk.subarray(0, count)]);
    end = file.pending.indexOf(newline, searched);
  }
  const line = file.pending.toString('utf8', 0, end);
  file.pending = file.pending.subarray(end + 1);
  return line;
}

/**
 * Looks for files that came after the one at hand. True when there is something to read again: the writer may have added to
 * the old
 * file before it turned to the new one, so the old one is read to its end once more with the new one known.
 */
function takeNewerFiles(files: LogFile[], path: string): boolean {
  const current = files[0];
  const inode = statSync(path, { throwIfNoEntry: false })?.ino;
  if (inode === undefined || inode === current?.inode) return false;
  const all = openFiles(path);
  const index = current ? all.findIndex((file) => file.inode === current.inode) : -1;
  for (const known of all.splice(0, index + 1)) closeSync(known.fd);
  files.push(...all);
  return all.length > 0;
}

/** Called with a newer file known; the first is dropped when reading it yields nothing more. */
function dropFinished(files: LogFile[]): void {
  const [file] = files;
  if (files.length < 2 || !file || fstatSync(file.fd).size > file.position) return;
  if (file.pending.includes(newline)) return;
  closeSync(file.fd);
  files.shift();
}

/**
 * All files of a log, oldest first. Opened from the newest on: a rotation in between then shows one file twice, not one never.
 */
function openFiles(path: string): LogFile[] {
  const files: LogFile[] = [];
  for (const name of [path, ...rotatedPaths(path)]) {
    const file = openFile(name);
    if (!file) continue;
    if (files.some((other) => other.inode === file.inode)) closeSync(file.fd);
    else files.unshift(file);
  }
  return files;
}

/** "log.1", "log.2" … */
function rotatedPaths(path: string): readonly string[] {
  const folder = dirname(path);
  if (!existsSync(folder)) return [];
  const prefix = `${basename(path)}.`;
  const numbers = readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
  const sorted = numbers
    .filter((text) => /^\d+$/.test(text))
    .map(Number)
    .sort((one, other) => one - other);
  // One more than there is: a rotation may be under way.
  return [...sorted, (sorted.at(-1) ?? 0) + 1].map((number) => `${path}.${number}`);
}

function openFile(path: string): LogFile | undefined {
  try {
    const fd = openSync(path, 'r');
    return { fd, inode: fstatSync(fd).ino, position: 0, pending: Buffer.alloc(0) };
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

// The last lines

/**
 * Places the files so that what is left to read is the last `count` lines. Reads backwards, so a long log costs no more than a
 * short
 * one, to the line end before the first one wanted: pieces of that one may lie in an older file.
 */
function fromTail(files: LogFile[], count: number): LogFile[] {
  let wanted = count;
  for (let index = files.length - 1; index >= 0; index--) {
    const file = files[index] as LogFile;
    const { start, found, isBounded } = tailStart(file.fd, wanted);
    file.position = start;
    wanted -= found;
    if (!isBounded) continue;
    for (const older of files.splice(0, index)) closeSync(older.fd);
    return files;
  }
  return files;
}

interface TailStart {
  /** Behind the line end that comes before the last `wanted` lines, or the file's beginning. */
  readonly start: number;
  /** How many of the lines end in this file. */
  readonly found: number;
  /** That line end is in this file. */
  readonly isBounded: boolean;
}

function tailStart(fd: number, wanted: number): TailStart {
  let position = fstatSync(fd).size;
  let carried = Buffer.alloc(0);
  let found = 0;
  while (position > 0) {
    const size = Math.min(chunkBytes, position);
    position -= size;
    const chunk = Buffer.allocUnsafe(size);
    readSync(fd, chunk, 0, size, position);
    const buffer = Buffer.concat([chunk, carried]);
    let end = buffer.lastIndexOf(newline);
    while (end >= 0) {
      const before = end === 0 ? -1 : buffer.lastIndexOf(newline, end - 1);
      if (before < 0 && position > 0) break;
      if (endsLine(buffer, before + 1, end)) {
        if (found === wanted) return { start: position + end + 1, found, isBounded: true };
        found++;
      }
      end = before;
    }
    carried = buffer.subarray(0, end + 1);
  }
  return { start: 0, found, isBounded: false };
}

/** Whether the piece between these places is the last one of a program's line. */
function endsLine(buffer: Buffer, start: number, end: number): boolean {
  return parseLogPiece(buffer.toString('utf8', start, end))?.partial === false;
}
