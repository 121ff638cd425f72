/** A connection to one container's shim. */
import { type FileHandle, open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { type ErrorCode, TscomposeError } from '../errors.ts';
import { type Channel, openChannel, RequestFailed } from './channel.ts';
import { FieldReader, FieldWriter, type Frame } from './frames.ts';
import { Op, ShimEvent, ShimRequest, ShimRestart } from './protocol.ts';
import { parseStatus, type ShimStatus } from './status.ts';

/** Why a launch program failed: which operation, and the kernel's reason. Its message is the shim's own "OP INDEX ERRNO words". */
export class LaunchFailure extends TscomposeError {
  /** Code of the operation (protocol.ts, Op); 0: none of them. */
  readonly op: number;
  /** Which record of the program; -1: none of them. */
  readonly index: number;
  readonly errno: number;
  /** "openat2 /data: Not a directory" */
  readonly words: string;

  constructor(op: number, index: number, errno: number, words: string) {
    super(launchCode(op, errno), `${op} ${index} ${errno} ${words}`);
    this.name = 'LaunchFailure';
    this.op = op;
    this.index = index;
    this.errno = errno;
    this.words = words;
  }
}

export interface ShimClient {
  /** `asSupervisor`: from now on the loss of this connection makes the shim bring a supervisor back. */
  hello(asSupervisor: boolean): Promise<ShimStatus>;
  /** Everything up to the gate. @throws LaunchFailure */
  prepare(): Promise<void>;
  /** Opens the gate; resolves when the program is executing. @throws LaunchFailure */
  start(): Promise<void>;
  signal(signal: number): Promise<void>;
  /** Resolves when it is dead and its cgroups are removed. Without arguments the configured signal and grace. */
  stop(signal?: number, graceMs?: number): Promise<void>;
  policy(restart: keyof typeof ShimRestart, mostRestarts: number): Promise<void>;
  /** Output comes to onOutput from now on; with `stdin` this client also feeds the container, and its slowness slows the container. */
  attach(stdin: boolean): Promise<void>;
  /** Resolves when the socket takes more. Zero bytes close the container's stdin. */
  stdin(bytes: Uint8Array): Promise<void>;
  resize(rows: number, columns: number): void;
  pause(frozen: boolean): Promise<void>;
  /** Kills what is left, removes the cgroups, ends the shim. */
  quit(): Promise<void>;
  onStatus(listener: (status: ShimStatus) => void): void;
  onOutput(listener: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void): void;
  /** Once, when the connection ends without close(). The shim goes after its container's last end, so this is no fault by itself. */
  onLost(listener: () => void): void;
  /** Stops and resumes reading, for a receiver of output that is slower than its source. */
  hold(held: boolean): void;
  close(): void;
}

/** Connects to `shim.sock`. @throws CORE_FAILED when nobody listens there. */
export async function connectShim(socketPath: string): Promise<ShimClient> {
  const socket = await connectSocket(socketPath);
  const listeners: Listeners = { status: [], output: [], lost: [] };
  const channel = openChannel(socket, 'the shim', {
    event: (frame) => hear(listeners, frame),
    lost: () => {
      for (const listener of listeners.lost) listener();
    },
  });
  return clientOver(channel, socket, listeners);
}

const longestSocketPath = 107;
const configuredGrace = 0xffffffffffffffffn;
/** A frame to the shim is at most 128 KiB. */
const stdinPiece = 64 * 1024;

const ENOENT = 2;

function launchCode(op: number, errno: number): ErrorCode {
  if (op !== Op.exec) return 'LAUNCH_FAILED';
  return errno === ENOENT ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_EXECUTABLE';
}

interface Listeners {
  readonly status: ((status: ShimStatus) => void)[];
  readonly output: ((stream: 'stdout' | 'stderr', bytes: Uint8Array) => void)[];
  readonly lost: (() => void)[];
}

async function connectSocket(path: string): Promise<Socket> {
  if (Buffer.byteLength(path) <= longestSocketPath) return await connectTo(path, path);
  // sun_path has room for 108 bytes (unix(7)), so a longer path goes through its folder's descriptor.
  const directory: FileHandle = await open(dirname(path)).catch((cause: unknown) => {
    throw new TscomposeError('CORE_FAILED', `no shim listens at ${path}`, { path, cause });
  });
  try {
    return await connectTo(`/proc/self/fd/${directory.fd}/${basename(path)}`, path);
  } finally {
    await directory.close();
  }
}

function connectTo(path: string, shown: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const failed = (cause: Error): void =>
      reject(new TscomposeError('CORE_FAILED', `no shim listens at ${shown}`, { path: shown, cause }));
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      resolve(socket);
    });
  });
}

function hear(listeners: Listeners, frame: Frame): void {
  const fields = new FieldReader(frame.payload);
  if (frame.type === ShimEvent.status) {
    const status = parseStatus(fields.text());
    for (const listener of listeners.status) listener(status);
  } else if (frame.type === ShimEvent.output) {
    const stream = fields.u32() === 2 ? 'stderr' : 'stdout';
    const bytes = fields.bytes().slice();
    for (const listener of listeners.output) listener(stream, bytes);
  }
}

function clientOver(channel: Channel, socket: Socket, listeners: Listeners): ShimClient {
  const ask = async (type: number, fields = new FieldWriter()): Promise<Uint8Array> =>
    await channel.request(type, fields.finish());
  return {
    async hello(asSupervisor) {
      const reply = await ask(ShimRequest.hello, new FieldWriter().u32(asSupervisor ? 1 : 0));
      return parseStatus(new FieldReader(reply).text());
    },
    async prepare() {
      await ask(ShimRequest.prepare).catch(throwLaunchFailure);
    },
    async start() {
      await ask(ShimRequest.start).catch(throwLaunchFailure);
    },
    async signal(signal) {
      await ask(ShimRequest.signal, new FieldWriter().u32(signal));
    },
    async stop(signal = 0, graceMs) {
      await ask(
        ShimRequest.stop,
        new FieldWriter().u32(signal).u64(graceMs === undefined ? configuredGrace : Math.round(graceMs)),
      );
    },
    async policy(restart, mostRestarts) {
      await ask(ShimRequest.policy, new FieldWriter().u32(ShimRestart[restart]).u32(mostRestarts));
    },
    async attach(stdin) {
      await ask(ShimRequest.attach, new FieldWriter().u32(stdin ? 2 : 1));
    },
    async stdin(bytes) {
      if (bytes.length === 0) channel.send(ShimRequest.stdin, new FieldWriter().bytes(bytes).finish());
      for (let at = 0; at < bytes.length; at += stdinPiece) {
        channel.send(ShimRequest.stdin, new FieldWriter().bytes(bytes.subarray(at, at + stdinPiece)).finish());
      }
      await channel.drained();
    },
    resize(rows, columns) {
      channel.send(ShimRequest.resize, new FieldWriter().u32(rows).u32(columns).finish());
    },
    async pause(frozen) {
      await ask(ShimRequest.pause, new FieldWriter().u32(frozen ? 1 : 0));
    },
    async quit() {
      await ask(ShimRequest.quit);
    },
    onStatus(listener) {
      listeners.status.push(listener);
    },
    onOutput(listener) {
      listeners.output.push(listener);
    },
    onLost(listener) {
      listeners.lost.push(listener);
    },
    hold(held) {
      if (held) socket.pause();
      else socket.resume();
    },
    close() {
      channel.close();
    },
  };
}

/** The shim's text is "OP INDEX ERRNO words". Its requests fail in no other way. */
function throwLaunchFailure(error: unknown): never {
  const match = error instanceof RequestFailed ? /^(\d+) (-?\d+) (\d+) (.*)$/s.exec(error.message) : null;
  if (!match) throw error;
  throw new LaunchFailure(Number(match[1]), Number(match[2]), Number(match[3]), match[4] ?? '');
}
