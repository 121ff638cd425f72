/** Requests and replies over a socket that carries frames. What is written in one tick leaves in one write. */
import type { Duplex } from 'node:stream';
import { TscomposeError } from '../errors.ts';
import { encodeFrame, FieldReader, type Frame, FrameDecoder } from './frames.ts';
import { FRAME_ERROR, FRAME_REPLY } from './protocol.ts';

/** What the other side answered instead of a reply: its errno and its words. */
export class RequestFailed extends TscomposeError {
  readonly errno: number;

  constructor(errno: number, text: string) {
    super('CORE_FAILED', text);
    this.name = 'RequestFailed';
    this.errno = errno;
  }
}

export interface Channel {
  /** Resolves with the reply's payload. @throws RequestFailed; CORE_FAILED when the other side is lost. */
  request(type: number, payload: Uint8Array): Promise<Uint8Array>;
  /** Sends what gets no reply. False: the socket has enough for now. */
  send(type: number, payload: Uint8Array): boolean;
  /** Resolves when the socket takes more, or is lost. */
  drained(): Promise<void>;
  close(): void;
}

export interface ChannelListener {
  event(frame: Frame): void;
  /** Once, when the socket ends without close(). */
  lost(reason: Error): void;
}

interface Waiting {
  readonly type: number;
  resolve(payload: Uint8Array): void;
  reject(error: Error): void;
}

/** `name` is who is at the other end, for errors. */
export function openChannel(socket: Duplex, name: string, listener: ChannelListener): Channel {
  const waiting = new Map<number, Waiting>();
  const decoder = new FrameDecoder();
  let lastId = 0;
  let corked = false;
  let end: Error | undefined;

  const lose = (reason: Error, told: boolean): void => {
    if (end) return;
    end = reason;
    socket.destroy();
    for (const one of waiting.values()) one.reject(reason);
    waiting.clear();
    if (told) listener.lost(reason);
  };
  const broken = (cause?: unknown): void => {
    lose(new TscomposeError('CORE_FAILED', `${name} is gone`, cause === undefined ? {} : { cause }), true);
  };
  const write = (frame: Uint8Array): boolean => {
    if (!corked) {
      corked = true;
      socket.cork();
      process.nextTick(() => {
        corked = false;
        socket.uncork();
      });
    }
    return socket.write(frame);
  };
  const settle = (frame: Frame): void => {
    const one = waiting.get(frame.id);
    waiting.delete(frame.id);
    if (frame.type === FRAME_ERROR) one?.reject(failureIn(frame.payload));
    else one?.resolve(frame.payload);
  };

  socket.on('data', (chunk: Uint8Array) => {
    try {
      for (const frame of decoder.push(chunk)) {
        if (frame.type === FRAME_ERROR || (frame.type & FRAME_REPLY) !== 0) settle(frame);
        else listener.event(frame);
      }
    } catch (error) {
      broken(error);
    }
  });
  socket.on('error', broken);
  socket.on('close', () => broken());

  return {
    request(type, payload) {
      if (end) return Promise.reject(end);
      lastId = (lastId % 0xfffffffe) + 1;
      const id = lastId;
      const reply = new Promise<Uint8Array>((resolve, reject) => {
        waiting.set(id, { type, resolve, reject });
      });
      try {
        write(encodeFrame(type, id, payload));
      } catch (error) {
        waiting.delete(id);
        return Promise.reject(error);
      }
      return reply;
    },
    send(type, payload) {
      return end === undefined && write(encodeFrame(type, 0, payload));
    },
    drained() {
      if (end || !socket.writableNeedDrain) return Promise.resolve();
      return new Promise((resolve) => {
        const done = (): void => {
          socket.off('drain', done);
          socket.off('close', done);
          resolve();
        };
        socket.on('drain', done);
        socket.on('close', done);
      });
    },
    close() {
      lose(new TscomposeError('CORE_FAILED', `the connection to ${name} was closed`), false);
    },
  };
}

function failureIn(payload: Uint8Array): RequestFailed {
  const fields = new FieldReader(payload);
  const errno = fields.u32();
  return new RequestFailed(errno, fields.text());
}
