/** This process' stdio on one side, a container's on the other. */
import type { Attachment } from './doors.ts';
import type { Invocation } from './invocation.ts';

export interface StdioWish {
  readonly tty: boolean;
  readonly stdin: boolean;
}

const SIGINT = 2;
const SIGTERM = 15;
const SIGHUP = 1;

/** Attaches to the container behind a shim's socket until it ends; resolves to its exit code. The terminal is always given back. */
export async function connectStdio(invocation: Invocation, socket: string, wish: StdioWish): Promise<number> {
  const { stdout, stderr, stdin } = invocation.around;
  const attachment = await invocation.doors.attachment(socket, (stream, data) =>
    (stream === 'stdout' ? stdout : stderr).write(data),
  );
  const undo: (() => void)[] = [() => attachment.close()];
  try {
    if (wish.tty) undo.push(...takeTerminal(invocation, attachment));
    else undo.push(...forwardSignals(invocation, attachment));
    await attachment.attach(wish.stdin);
    if (wish.stdin) undo.push(stdin.onData((data) => attachment.stdin(data)));
    return await attachment.ended;
  } finally {
    for (const step of undo.reverse()) step();
  }
}

/** In raw mode Ctrl-C is a byte for the container, not a signal for us (termios(3)). */
function takeTerminal({ around }: Invocation, attachment: Attachment): (() => void)[] {
  const resize = (): void => {
    const { columns, rows } = around.stdout;
    if (columns !== undefined && rows !== undefined) attachment.resize(rows, columns);
  };
  around.stdin.setRawMode(true);
  resize();
  return [() => around.stdin.setRawMode(false), around.onSignal('SIGWINCH', resize)];
}

function forwardSignals({ around }: Invocation, attachment: Attachment): (() => void)[] {
  const forward = (number: number) => () => void attachment.signal(number).catch(() => undefined);
  return [
    around.onSignal('SIGINT', forward(SIGINT)),
    around.onSignal('SIGTERM', forward(SIGTERM)),
    around.onSignal('SIGHUP', forward(SIGHUP)),
  ];
}
