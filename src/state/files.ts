import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno, TscomposeError } from '../errors.ts';

/** Folders of ours are closed to everybody else; files as well. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * The one way a state file is written: temporary file, fsync, rename, fsync of the folder. After a crash or a power cut the
 * file is the old one or the new one (rename(2), fsync(2)).
 * @throws STATE_UNWRITABLE
 */
export async function writeWhole(path: string, content: string): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await rm(temporary, { force: true });
    const file = await open(temporary, 'wx', FILE_MODE);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw unwritable(path, error);
  }
}

/** The same without waiting for the disk: for files in the run folder, which a reboot empties anyway. */
export function writeWholeVolatile(path: string, content: string | Uint8Array, mode: number = FILE_MODE): void {
  const temporary = temporaryName(path);
  try {
    rmSync(temporary, { force: true });
    const file = openSync(temporary, 'wx', mode);
    try {
      // Not writeSync: on a disk that is just full it writes a part and calls it success.
      writeFileSync(file, content);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw unwritable(path, error);
  }
}

/** Makes a folder of ours and its parents. @throws STATE_UNWRITABLE */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** Text of a file, or undefined when there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Moves a damaged file out of the way, so that nobody trusts it and nobody loses it. */
export function setAside(path: string): void {
  try {
    renameSync(path, `${path}.damaged`);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw unwritable(path, error);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Always the same: every file has one writer at a time, and what a killed one left is replaced by the next. */
function temporaryName(path: string): string {
  return `${path}.tmp`;
}

function unwritable(path: string, cause: unknown): TscomposeError {
  if (cause instanceof TscomposeError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TscomposeError('STATE_UNWRITABLE', `cannot write ${path}: ${reason}`, {
    path,
    hint: 'free some space or check the permissions of the state folder; nothing was lost',
    cause,
  });
}
