/** Mount option words → bits: mount(2), mount_setattr(2), runtime-spec config.md "Linux mount options". */

/** MS_* */
export const MountFlag = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  synchronous: 16,
  remount: 32,
  mandlock: 64,
  dirSync: 128,
  noSymFollow: 256,
  noAtime: 1024,
  noDirAtime: 2048,
  bind: 4096,
  recursive: 16384,
  silent: 32768,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relAtime: 1 << 21,
  iVersion: 1 << 23,
  strictAtime: 1 << 24,
  lazyTime: 1 << 25,
} as const;

export interface MountOptions {
  /** MS_* */
  readonly flags: number;
  /** MOUNT_ATTR_*, to be set on the mount and all below it. */
  readonly recursiveAttributes: number;
  /** MS_PRIVATE … with MS_REC, or 0. */
  readonly propagation: number;
  readonly isBind: boolean;
  readonly isRecursiveBind: boolean;
  /** What is none of those words: the file system's own, comma-separated. */
  readonly data: string;
}

/** Takes the words in order: a later one undoes an earlier. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  const state = { flags: 0, recursiveAttributes: 0, propagation: 0, isBind: false, isRecursiveBind: false };
  const data: string[] = [];
  for (const word of options) {
    const change = flagWords.get(word);
    if (change) state.flags = (state.flags & ~change.clear) | change.set;
    else if (recursiveWords.has(word)) state.recursiveAttributes |= recursiveWords.get(word) as number;
    else if (propagationWords.has(word)) state.propagation = propagationWords.get(word) as number;
    else if (word === 'bind' || word === 'rbind') [state.isBind, state.isRecursiveBind] = [true, word === 'rbind'];
    else if (word !== 'defaults' && word !== '') data.push(word);
  }
  return { ...state, data: data.join(',') };
}

interface FlagChange {
  readonly set: number;
  readonly clear: number;
}

const timeFlags = MountFlag.noAtime | MountFlag.relAtime | MountFlag.strictAtime;

const flagWords: ReadonlyMap<string, FlagChange> = new Map([
  ['ro', sets(MountFlag.readOnly)],
  ['rw', clears(MountFlag.readOnly)],
  ['nosuid', sets(MountFlag.noSuid)],
  ['suid', clears(MountFlag.noSuid)],
  ['nodev', sets(MountFlag.noDev)],
  ['dev', clears(MountFlag.noDev)],
  ['noexec', sets(MountFlag.noExec)],
  ['exec', clears(MountFlag.noExec)],
  ['sync', sets(MountFlag.synchronous)],
  ['async', clears(MountFlag.synchronous)],
  ['dirsync', sets(MountFlag.dirSync)],
  ['mand', sets(MountFlag.mandlock)],
  ['nomand', clears(MountFlag.mandlock)],
  ['nosymfollow', sets(MountFlag.noSymFollow)],
  ['symfollow', clears(MountFlag.noSymFollow)],
  ['noatime', replaces(MountFlag.noAtime, timeFlags)],
  ['atime', clears(MountFlag.noAtime)],
  ['relatime', replaces(MountFlag.relAtime, timeFlags)],
  ['norelatime', clears(MountFlag.relAtime)],
  ['strictatime', replaces(MountFlag.strictAtime, timeFlags)],
  ['nostrictatime', clears(MountFlag.strictAtime)],
  ['nodiratime', sets(MountFlag.noDirAtime)],
  ['diratime', clears(MountFlag.noDirAtime)],
  ['lazytime', sets(MountFlag.lazyTime)],
  ['nolazytime', clears(MountFlag.lazyTime)],
  ['iversion', sets(MountFlag.iVersion)],
  ['noiversion', clears(MountFlag.iVersion)],
  ['silent', sets(MountFlag.silent)],
  ['loud', clears(MountFlag.silent)],
]);

function sets(flag: number): FlagChange {
  return { set: flag, clear: 0 };
}

function clears(flag: number): FlagChange {
  return { set: 0, clear: flag };
}

function replaces(flag: number, others: number): FlagChange {
  return { set: flag, clear: others };
}

/** MOUNT_ATTR_* */
const recursiveWords: ReadonlyMap<string, number> = new Map([
  ['rro', 0x1],
  ['rnosuid', 0x2],
  ['rnodev', 0x4],
  ['rnoexec', 0x8],
  ['rnoatime', 0x10],
  ['rstrictatime', 0x20],
  ['rnodiratime', 0x80],
  ['rnosymfollow', 0x200000],
]);

export const propagationWords: ReadonlyMap<string, number> = new Map([
  ['private', MountFlag.private],
  ['rprivate', MountFlag.private | MountFlag.recursive],
  ['slave', MountFlag.slave],
  ['rslave', MountFlag.slave | MountFlag.recursive],
  ['shared', MountFlag.shared],
  ['rshared', MountFlag.shared | MountFlag.recursive],
  ['unbindable', MountFlag.unbindable],
  ['runbindable', MountFlag.unbindable | MountFlag.recursive],
]);
