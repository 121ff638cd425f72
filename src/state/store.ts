import { existsSync, readdirSync, rmSync } from 'node:fs';
import { isErrno } from '../errors.ts';
import { makeFolder, readText, setAside, writeWhole, writeWholeVolatile } from './files.ts';
import { type ProjectPaths, type StateRoots, projectPaths } from './paths.ts';
import { emptyRecord, parseRecord, type ProjectRecord } from './record.ts';

/** Names of the projects something is remembered of, sorted. */
export function listProjects(roots: StateRoots): string[] {
  try {
    return readdirSync(`${roots.data}/projects`).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** A project's record, or its copy when it is damaged; undefined when there is neither. For readers: changes nothing. */
export function readRecord(roots: StateRoots, project: string): ProjectRecord | undefined {
  const paths = projectPaths(roots, project);
  const text = readText(paths.record);
  return (text === undefined ? undefined : parseRecord(text, project)) ?? readCopy(paths, project);
}

/** There are folders of the project, whatever is in them. */
export function isKnown(roots: StateRoots, project: string): boolean {
  const { run, data } = projectPaths(roots, project);
  return existsSync(data) || existsSync(run);
}

/** The supervisor's hold on its project's record. */
export interface RecordStore {
  readonly record: ProjectRecord;
  /** The file was there and could not be read; it was set aside. */
  readonly wasDamaged: boolean;
  /**
   * Resolves when everything changed so far is on disk. Calls of one moment share one write: fifty containers made at once
   * cost two fsyncs, not a hundred.
   */
  save(): Promise<void>;
}

/**
 * Opens the record for writing; the caller holds the project's lock. A copy in the run folder stands in for one that was
 * damaged: as long as anything of the project runs, that copy is as new as what runs.
 */
export function openRecord(paths: ProjectPaths, project: string): RecordStore {
  makeFolder(paths.data);
  makeFolder(paths.run);
  const text = readText(paths.record);
  const parsed = text === undefined ? undefined : parseRecord(text, project);
  const wasDamaged = text !== undefined && parsed === undefined;
  if (wasDamaged) setAside(paths.record);
  const record = parsed ?? readCopy(paths, project) ?? emptyRecord(project);
  const write = async (): Promise<void> => {
    const current = JSON.stringify(record);
    await writeWhole(paths.record, current);
    writeCopy(paths, current);
  };
  return { record, wasDamaged, save: sharedWrite(write) };
}

/** One that cannot be written is better missing than old. */
function writeCopy(paths: ProjectPaths, current: string): void {
  try {
    writeWholeVolatile(paths.recordCopy, current);
  } catch {
    rmSync(paths.recordCopy, { force: true });
  }
}

function readCopy(paths: ProjectPaths, project: string): ProjectRecord | undefined {
  const text = readText(paths.recordCopy);
  return text === undefined ? undefined : parseRecord(text, project);
}

/** Turns a slow write into one that concurrent callers share: at most one runs, at most one waits. */
export function sharedWrite(write: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let waiting: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    const current = write().finally(() => {
      if (running === current) running = undefined;
    });
    running = current;
    return current;
  };
  return () => {
    waiting ??= Promise.resolve(running)
      .catch(() => undefined)
      .then(() => {
        waiting = undefined;
        return begin();
      });
    return waiting;
  };
}
