/** The supervisor's hands: the native program, started once, and its requests with types. */
import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { TscomposeError } from '../errors.ts';
import { type Channel, openChannel } from './channel.ts';
import { block, FieldReader, FieldWriter, type Frame } from './frames.ts';
import { PROTOCOL_VERSION, ServeEvent, ServeRequest, ShimNetwork, ShimRestart, SyncOp } from './protocol.ts';

/** What a shim is told once, at its start (SHIM_FIELDS of native/protocol.h). */
export interface ShimFields {
  /** The container's run folder; `shim.sock` and `status` appear in it. */
  readonly directory: string;
  /** Absolute; undefined: no log. */
  readonly logFile?: string;
  /** Bytes at which the log is rotated; 0: never. */
  readonly rotateBytes: number;
  /** Log files kept, the current one included. */
  readonly keepLogs: number;
  readonly network: 'host' | 'new' | { readonly join: string };
  readonly restart: keyof typeof ShimRestart;
  /** on-failure: most restarts; 0 without bound. */
  readonly mostRestarts: number;
  /** ShimFlag bits. */
  readonly flags: number;
  readonly stopSignal: number;
  readonly graceMs: number;
  /** Directories to kill through and to remove at the end. */
  readonly cgroups: readonly string[];
  /** argv that brings a lost supervisor back; empty: nothing does. */
  readonly reviver: readonly string[];
  readonly program: Uint8Array;
}

export interface ExecResult {
  /** 128+n by signal; 125, 126, 127 when it could not be started, and `output` says why. */
  readonly exitCode: number;
  readonly timedOut: boolean;
  /** Standard output and error as they came, read as UTF-8. */
  readonly output: string;
}

export type SyncOperation =
  | {
      readonly op: 'write';
      readonly path: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly content: Uint8Array;
    }
  | { readonly op: 'mkdir'; readonly path: string; readonly mode: number; readonly uid: number; readonly gid: number }
  | { readonly op: 'symlink'; readonly path: string; readonly target: string }
  | { readonly op: 'remove'; readonly path: string };

/** `token` is that of openDns; `peer` is to be given back with the answer. */
export type DnsListener = (token: string, peer: Uint8Array, message: Uint8Array) => void;

export const NetlinkProtocol = { route: 0, netfilter: 12 } as const;

/** Every method rejects with RequestFailed (its errno and words) when the kernel refuses, and with CORE_FAILED when the program is lost. */
export interface Core {
  /** Of the native program. */
  readonly pid: number;
  /** Sends a batch into a network namespace ("" is the host's); resolves with every message the kernel answered. */
  netlink(netnsPath: string, protocol: number, batch: Uint8Array): Promise<Uint8Array>;
  /** Resolves with the shim's pid once its socket listens and its network namespace exists. */
  spawnShim(fields: ShimFields): Promise<number>;
  /** Runs a launch program that JOINs a container. `outputLimit` in bytes; the rest is read and thrown away. */
  exec(program: Uint8Array, limits: { readonly timeoutMs: number; readonly outputLimit: number }): Promise<ExecResult>;
  /** Files into a running container; resolves with how many operations were done. */
  sync(pid: number, startTime: bigint, operations: readonly SyncOperation[]): Promise<number>;
  /** Answers DNS at address:port (UDP and TCP) inside a network namespace. An open token is replaced. */
  openDns(netnsPath: string, token: string, address: string, port: number): Promise<void>;
  closeDns(token: string): Promise<void>;
  answerDns(peer: Uint8Array, message: Uint8Array): void;
  onDnsQuery(listener: DnsListener): void;
  /** Waits for flock(2) on the file; resolves with the way to release it. */
  lock(path: string): Promise<() => Promise<void>>;
  /** Kills what is inside and removes the directories with their children. Absent is fine. */
  removeCgroups(directories: readonly string[]): Promise<void>;
  /** Unmounts what is mounted at or below, then removes the tree. Absent is fine. */
  removeTree(path: string): Promise<void>;
  /** Once, when the program ends without close(); at once when it has. */
  onLost(listener: (reason: Error) => void): void;
  /** Ends the program; shims live on. */
  close(): Promise<void>;
}

/** Starts `core serve`. @throws CORE_FAILED, NATIVE_MISSING */
export async function startCore(binaryPath: string): Promise<Core> {
  const child = spawn(binaryPath, ['serve'], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) =>
      reject(new TscomposeError('NATIVE_MISSING', `${binaryPath} cannot be started`, { path: binaryPath, cause })),
    );
  });
  failed.catch(() => undefined);
  const listeners: Listeners = { dns: [], execs: new Map(), early: new Map(), lost: [] };
  const channel = openChannel(child.stdio[3] as Duplex, 'the native program', {
    event: (frame) => hear(listeners, frame),
    lost: (reason) => lose(listeners, reason),
  });
  const hello = new FieldReader(
    await Promise.race([channel.request(ServeRequest.hello, new FieldWriter().u32(PROTOCOL_VERSION).finish()), failed]),
  );
  hello.u32();
  return coreOver(channel, hello.u32(), listeners, ended);
}

interface Listeners {
  readonly dns: DnsListener[];
  readonly execs: Map<number, { resolve(result: ExecResult): void; reject(error: Error): void }>;
  /** Ends that were heard before the reply that names the exec was seen. */
  readonly early: Map<number, ExecResult>;
  readonly lost: ((reason: Error) => void)[];
  /** Once it is lost. */
  reason?: Error;
}

function hear(listeners: Listeners, frame: Frame): void {
  const fields = new FieldReader(frame.payload);
  if (frame.type === ServeEvent.dnsQuery) {
    const [token, peer, message] = [fields.text(), fields.bytes().slice(), fields.bytes().slice()];
    for (const listener of listeners.dns) listener(token, peer, message);
  } else if (frame.type === ServeEvent.execExited) {
    const id = fields.u32();
    const result = { exitCode: fields.u32(), timedOut: fields.u32() === 1, output: fields.text() };
    settleExec(listeners, id, result);
  }
}

function settleExec(listeners: Listeners, id: number, result: ExecResult): void {
  const waiting = listeners.execs.get(id);
  listeners.execs.delete(id);
  if (waiting) waiting.resolve(result);
  else listeners.early.set(id, result);
}

function execResult(listeners: Listeners, id: number): Promise<ExecResult> {
  const early = listeners.early.get(id);
  listeners.early.delete(id);
  if (early) return Promise.resolve(early);
  return new Promise((resolve, reject) => {
    listeners.execs.set(id, { resolve, reject });
  });
}

function lose(listeners: Listeners, reason: Error): void {
  for (const exec of listeners.execs.values()) exec.reject(reason);
  listeners.execs.clear();
  listeners.reason = reason;
  for (const listener of listeners.lost) listener(reason);
}

function coreOver(channel: Channel, pid: number, listeners: Listeners, ended: Promise<void>): Core {
  return {
    pid,
    async netlink(netnsPath, protocol, batch) {
      const reply = await channel.request(
        ServeRequest.netlink,
        new FieldWriter().text(netnsPath).u32(protocol).bytes(batch).finish(),
      );
      return new FieldReader(reply).bytes();
    },
    async spawnShim(fields) {
      return new FieldReader(await channel.request(ServeRequest.spawnShim, encodeShimFields(fields))).u32();
    },
    async exec(program, { timeoutMs, outputLimit }) {
      const request = new FieldWriter().bytes(program).u64(Math.round(timeoutMs)).u32(outputLimit).finish();
      const id = new FieldReader(await channel.request(ServeRequest.exec, request)).u32();
      return await execResult(listeners, id);
    },
    async sync(containerPid, startTime, operations) {
      const request = new FieldWriter().u32(containerPid).u64(startTime).bytes(encodeSync(operations)).finish();
      return new FieldReader(await channel.request(ServeRequest.sync, request)).u32();
    },
    async openDns(netnsPath, token, address, port) {
      await channel.request(ServeRequest.dnsOpen, new FieldWriter().text(netnsPath).text(token).text(address).u32(port).finish());
    },
    async closeDns(token) {
      await channel.request(ServeRequest.dnsClose, new FieldWriter().text(token).finish());
    },
    answerDns(peer, message) {
      channel.send(ServeRequest.dnsAnswer, new FieldWriter().bytes(peer).bytes(message).finish());
    },
    onDnsQuery(listener) {
      listeners.dns.push(listener);
    },
    async lock(path) {
      const request = new FieldWriter().text(path).finish();
      await channel.request(ServeRequest.lock, request);
      return async () => {
        await channel.request(ServeRequest.unlock, request);
      };
    },
    async removeCgroups(directories) {
      await channel.request(ServeRequest.removeCgroups, new FieldWriter().bytes(block(directories)).finish());
    },
    async removeTree(path) {
      await channel.request(ServeRequest.removeTree, new FieldWriter().text(path).finish());
    },
    onLost(listener) {
      if (listeners.reason) listener(listeners.reason);
      else listeners.lost.push(listener);
    },
    async close() {
      channel.close();
      await ended;
    },
  };
}

/** In the order of SHIM_FIELDS. */
export function encodeShimFields(fields: ShimFields): Uint8Array {
  const network = typeof fields.network === 'string' ? fields.network : 'join';
  return new FieldWriter()
    .text(fields.directory)
    .text(fields.logFile ?? '')
    .u64(fields.rotateBytes)
    .u32(fields.keepLogs)
    .u32(ShimNetwork[network])
    .text(typeof fields.network === 'string' ? '' : fields.network.join)
    .u32(ShimRestart[fields.restart])
    .u32(fields.mostRestarts)
    .u32(fields.flags)
    .u32(fields.stopSignal)
    .u64(Math.round(fields.graceMs))
    .bytes(block(fields.cgroups))
    .bytes(block(fields.reviver))
    .bytes(fields.program)
    .finish();
}

/** SYNC operations, one after another. */
export function encodeSync(operations: readonly SyncOperation[]): Uint8Array {
  const writer = new FieldWriter();
  for (const operation of operations) {
    writer.u32(SyncOp[operation.op]).text(operation.path);
    if (operation.op === 'symlink') writer.text(operation.target);
    if (operation.op === 'write' || operation.op === 'mkdir') writer.u32(operation.mode).u32(operation.uid).u32(operation.gid);
    if (operation.op === 'write') writer.bytes(operation.content);
  }
  return writer.finish();
}
