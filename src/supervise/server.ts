import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { toErrorRecord, TscomposeError } from '../errors.ts';
import type { Event, EventSink } from '../events.ts';
import type { ControlMethod, ControlMethods, ControlReply, ControlRequest } from './control.ts';
import { eachLine } from './lines.ts';

/** What a handler may use beside its parameters. */
export interface CallContext {
  readonly tell: EventSink;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
}

export type Handlers = {
  readonly [M in ControlMethod]: (
    params: ControlMethods[M]['params'],
    context: CallContext,
  ) => Promise<ControlMethods[M]['result']>;
};

export interface ControlServer {
  /** Connections that are open. */
  readonly clients: () => number;
  /** Takes nobody new; who is connected stays so until the process ends. */
  close(): void;
}

/**
 * Answers on `supervisor.sock`. Whoever holds the project's lock is alone, so a socket that is there already is a dead one's.
 * `folder` is the working directory by now: a relative path always fits into a socket address (unix(7)).
 */
export async function listen(name: string, handlers: Partial<Handlers>, onChange: () => void): Promise<ControlServer> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    onChange();
    answer(socket, handlers);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      open.delete(socket);
      onChange();
    });
  });
  rmSync(name, { force: true });
  await bound(server, name);
  chmodSync(name, 0o600);
  return {
    clients: () => open.size,
    close: () => {
      rmSync(name, { force: true });
      server.close();
    },
  };
}

function bound(server: Server, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The folder is 0700 already; 0177 makes the socket 0600 from its first moment.
    const before = process.umask(0o177);
    server.listen(name, () => resolve());
    process.umask(before);
  });
}

function answer(socket: Socket, handlers: Partial<Handlers>): void {
  const gone = new AbortController();
  socket.once('close', () => gone.abort(new TscomposeError('INTERRUPTED', 'the command was interrupted')));
  const send = (reply: ControlReply): void => {
    if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`);
  };
  eachLine(socket, (line) => {
    const request = parseRequest(line, handlers);
    if (!request) {
      socket.destroy();
      return;
    }
    const tell = (event: Event): void => send({ id: request.id, event });
    dispatch(handlers, request, { tell, signal: gone.signal }).then(
      (result) => send({ id: request.id, result }),
      (error: unknown) => send({ id: request.id, error: toErrorRecord(error) }),
    );
  });
}

function parseRequest(line: string, handlers: Partial<Handlers>): ControlRequest | undefined {
  try {
    const request = JSON.parse(line) as Partial<ControlRequest> | null;
    const known = typeof request?.method === 'string' && Object.hasOwn(handlers, request.method);
    return known && Number.isInteger(request.id) ? (request as ControlRequest) : undefined;
  } catch {
    return undefined;
  }
}

async function dispatch(handlers: Partial<Handlers>, request: ControlRequest, context: CallContext): Promise<unknown> {
  const handler = handlers[request.method] as (params: unknown, context: CallContext) => Promise<unknown>;
  return handler(request.params, context);
}
