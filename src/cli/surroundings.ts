/** What a command may touch of the process it runs in; tests give their own. */
import { release } from 'node:os';
import { isatty, type ReadStream } from 'node:tty';

export interface Output {
  readonly isTTY: boolean;
  readonly columns: number | undefined;
  readonly rows: number | undefined;
  write(data: string | Uint8Array): void;
}

export interface Input {
  readonly isTTY: boolean;
  setRawMode(raw: boolean): void;
  /** Calls back with what arrives, and with undefined at the end; returns the way to stop listening. */
  onData(listener: (data: Uint8Array | undefined) => void): () => void;
}

export type Env = Readonly<Record<string, string | undefined>>;

export interface Surroundings {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Env;
  readonly cwd: string;
  readonly uid: number;
  /** uname -r */
  readonly kernel: string;
  /** Milliseconds since the epoch. */
  now(): number;
  /** While anybody listens the signal does nothing else; returns the way to stop listening. */
  onSignal(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGWINCH', listener: () => void): () => void;
}

/** Undoes several things at once, e.g. listening to signals. */
export function callAll(calls: readonly (() => void)[]): void {
  for (const call of calls) call();
}

/** COMPOSE_… variables that switch something on, in the words that docker compose takes. */
export function isSwitchedOn(env: Env, name: string): boolean {
  return /^(1|true|yes|on|y|t)$/i.test(env[name] ?? '');
}

/** Those of this process. */
export function processSurroundings(): Surroundings {
  return {
    stdin: processInput(() => process.stdin),
    stdout: processOutput(1, () => process.stdout),
    stderr: processOutput(2, () => process.stderr),
    env: process.env,
    cwd: process.cwd(),
    uid: process.getuid?.() ?? 0,
    kernel: release(),
    now: Date.now,
    onSignal: (signal, listener) => {
      process.on(signal, listener);
      return () => void process.removeListener(signal, listener);
    },
  };
}

/** Streams are opened when they are first used: opening one costs milliseconds, and most commands need one of the three. */
function processOutput(descriptor: number, open: () => NodeJS.WriteStream): Output {
  let opened: NodeJS.WriteStream | undefined;
  const stream = (): NodeJS.WriteStream => {
    opened ??= endQuietlyWithoutReader(open());
    return opened;
  };
  return {
    isTTY: isatty(descriptor),
    get columns() {
      return stream().columns;
    },
    get rows() {
      return stream().rows;
    },
    write: (data) => void stream().write(data),
  };
}

/** `tscompose logs | head` ends when head has seen enough, like any filter, and without a word. */
function endQuietlyWithoutReader(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  return stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(process.exitCode ?? 0);
  });
}

function processInput(open: () => ReadStream): Input {
  const isTTY = isatty(0);
  return {
    isTTY,
    setRawMode: (raw) => void (isTTY && open().setRawMode(raw)),
    onData: (listener) => {
      const stream = open();
      const onData = (data: Buffer): void => listener(data);
      const onEnd = (): void => listener(undefined);
      stream.on('data', onData);
      stream.once('end', onEnd);
      return () => {
        stream.removeListener('data', onData);
        stream.removeListener('end', onEnd);
        stream.pause();
        // A terminal or pipe that stays open must not keep the command alive.
        stream.unref?.();
      };
    },
  };
}
