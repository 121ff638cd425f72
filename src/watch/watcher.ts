/** The file system's events as plain paths. */
import { watch as watchFiles } from 'chokidar';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '../errors.ts';

export interface WatcherOptions {
  readonly paths: readonly string[];
  /** true: nothing at or below this path counts. */
  readonly ignores: (path: string) => boolean;
  readonly onChange: (path: string) => void;
  readonly onWarning: (message: string) => void;
}

export interface Watcher {
  /** Resolves when every path is watched: changes from now on are told. */
  readonly ready: Promise<void>;
  /** Tells every path that differs from what was told before; for after a storm, in which the kernel may drop events (inotify(7)). */
  rescan(): void;
  close(): Promise<void>;
}

/** inotify's numbers are used up: EMFILE and ENFILE instances, ENOSPC watches (inotify_init(2), inotify_add_watch(2)). */
const exhausted = ['EMFILE', 'ENFILE', 'ENOSPC'] as const;
const POLL_MS = 500;

export function watchPaths(options: WatcherOptions): Watcher {
  const ledger = newLedger(options);
  let inner = openWatcher(options, ledger, false);
  let isPolling = false;
  let becomeReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    becomeReady = resolve;
  });
  const fallBack = (error: unknown): void => {
    if (isPolling || !isErrno(error, ...exhausted)) {
      if (!isErrno(error, 'ENOENT', 'EACCES', 'EPERM'))
        options.onWarning(`watching failed: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    isPolling = true;
    options.onWarning('the kernel has no more inotify watches for us; looking at the files every half second instead');
    void inner.close();
    inner = openWatcher(options, ledger, true);
    listen();
  };
  const listen = (): void => {
    inner.on('error', fallBack);
    inner.once('ready', () => {
      ledger.look();
      becomeReady();
    });
  };
  listen();
  return { ready, rescan: ledger.tellDifferences, close: () => inner.close() };
}

function openWatcher(
  { paths, ignores, onChange }: WatcherOptions,
  ledger: Ledger,
  usePolling: boolean,
): ReturnType<typeof watchFiles> {
  const watcher = watchFiles([...paths], {
    ignoreInitial: true,
    followSymlinks: false,
    ignored: ignores,
    persistent: true,
    usePolling,
    interval: POLL_MS,
    atomic: false,
  });
  watcher.on('all', (_event, path) => {
    ledger.remember(path);
    onChange(path);
  });
  return watcher;
}

interface Ledger {
  look(): void;
  remember(path: string): void;
  tellDifferences(): void;
}

/** What every file looked like when it was last told. */
function newLedger({ paths, ignores, onChange }: WatcherOptions): Ledger {
  let known = new Map<string, string>();
  return {
    look: () => {
      known = scan(paths, ignores);
    },
    remember: (path) => {
      const signature = signatureOf(path);
      if (signature === undefined) known.delete(path);
      else known.set(path, signature);
    },
    tellDifferences: () => {
      const before = known;
      known = scan(paths, ignores);
      for (const [path, signature] of known) if (before.get(path) !== signature) onChange(path);
      for (const path of before.keys()) if (!known.has(path)) onChange(path);
    },
  };
}

function scan(paths: readonly string[], ignores: (path: string) => boolean): Map<string, string> {
  const found = new Map<string, string>();
  const waiting = [...paths];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (ignores(path)) continue;
    const signature = signatureOf(path);
    if (signature === undefined) continue;
    found.set(path, signature);
    if (signature.startsWith('folder')) waiting.push(...childrenOf(path));
  }
  return found;
}

/** A folder's times change with its content, which is told by itself. */
function signatureOf(path: string): string | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  if (!stats) return undefined;
  return stats.isDirectory() ? `folder ${stats.mode}` : `${stats.mode} ${stats.ino} ${stats.size} ${stats.mtimeNs}`;
}

function childrenOf(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
    throw error;
  }
}
