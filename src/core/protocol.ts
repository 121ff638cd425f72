/** The joint between TypeScript and C, twin of native/protocol.h, which has the description of every field. */

export const PROTOCOL_VERSION = 1;
export const FRAME_HEADER_BYTES = 12;
export const FRAME_MAX = 16 * 1024 * 1024;
export const FRAME_REPLY = 0x8000;
export const FRAME_ERROR = 0xffff;

export const ServeRequest = {
  hello: 1,
  netlink: 2,
  spawnShim: 3,
  exec: 4,
  sync: 5,
  dnsOpen: 6,
  dnsClose: 7,
  dnsAnswer: 8,
  lock: 9,
  unlock: 10,
  removeCgroups: 11,
  removeTree: 12,
} as const;

export const ServeEvent = { execExited: 100, dnsQuery: 101 } as const;

export const ShimRequest = {
  hello: 1,
  prepare: 2,
  start: 3,
  signal: 4,
  stop: 5,
  policy: 6,
  attach: 7,
  stdin: 8,
  resize: 9,
  pause: 10,
  quit: 11,
} as const;

export const ShimEvent = { status: 100, output: 101 } as const;

export const ShimFlag = { tty: 1, stdinOpen: 2, waitAttach: 4 } as const;
export const ShimNetwork = { host: 0, new: 1, join: 2 } as const;
export const ShimRestart = { no: 0, always: 1, 'on-failure': 2, 'unless-stopped': 3 } as const;

export const SyncOp = { write: 1, mkdir: 2, symlink: 3, remove: 4 } as const;

export const PROGRAM_MAGIC = 0x4c435354;
export const PROGRAM_HEADER_BYTES = 32;
export const PROGRAM_RECORD_BYTES = 48;

export const OpFlag = { parent: 1, optional: 2, makeDir: 4, makeFile: 8, recursive: 16, inRoot: 32, noFollow: 64 } as const;

export const Op = {
  cgroupCreate: 1,
  cgroupWrite: 2,
  cgroupAttach: 3,
  cgroupDevices: 4,
  join: 5,
  clone: 6,
  prlimit: 7,
  oomScore: 8,
  idMaps: 9,
  setns: 20,
  unshare: 21,
  hostname: 22,
  domainname: 23,
  loopbackUp: 24,
  keyring: 25,
  rootPropagation: 30,
  rootfs: 31,
  mount: 32,
  bind: 33,
  mkdir: 34,
  symlink: 35,
  mknod: 36,
  writeFile: 37,
  pivot: 38,
  console: 39,
  remount: 40,
  mask: 41,
  readonlyPath: 42,
  sysctl: 43,
  umask: 60,
  workdir: 61,
  noNewPrivs: 62,
  bounding: 63,
  user: 64,
  capabilities: 65,
  ambient: 66,
  seccomp: 67,
  gate: 68,
  init: 69,
  exec: 70,
  personality: 71,
  setsid: 72,
  pdeathsig: 75,
} as const;

export type OpName = keyof typeof Op;

/** One record of a launch program before encoding: references as text or bytes, numbers as number or bigint. */
export interface ProgramOp {
  readonly op: OpName;
  /** OpFlag bits. */
  readonly flags?: number;
  readonly a?: string | Uint8Array;
  readonly b?: string | Uint8Array;
  readonly c?: string | Uint8Array;
  readonly d?: string | Uint8Array;
  readonly x?: number | bigint;
  readonly y?: number | bigint;
  readonly z?: number | bigint;
}
