/** The line to a container's stdio, on the shim's client. */
import { connectShim } from '../core/shim-client.ts';
import { TscomposeError } from '../errors.ts';
import type { Attachment, AttachOutput } from './doors.ts';

/** @throws CORE_FAILED when nobody listens at the socket */
export async function openAttachment(socketPath: string, onOutput: AttachOutput): Promise<Attachment> {
  const shim = await connectShim(socketPath);
  const ended = new Promise<number>((resolve, reject) => {
    let exitCode: number | undefined;
    shim.onStatus((status) => {
      if (status.state === 'exited') exitCode = status.exitCode ?? 255;
    });
    // The shim drains the container's pipes before it tells of the end, and goes after that: its loss means that all has come.
    shim.onLost(() => {
      if (exitCode !== undefined) resolve(exitCode);
      else
        reject(
          new TscomposeError('CONTAINER_EXITED', 'the connection to the container was lost', {
            hint: 'see what it did with `tscompose logs` and `tscompose ps -a`',
          }),
        );
    });
  });
  // Whoever attaches awaits it later; a loss before that is no unhandled one.
  ended.catch(() => undefined);
  shim.onOutput(onOutput);
  await shim.hello(false);
  return {
    attach: (withStdin) => shim.attach(withStdin),
    stdin: (data) => void shim.stdin(data ?? new Uint8Array(0)).catch(() => undefined),
    resize: (rows, columns) => shim.resize(rows, columns),
    signal: (number) => shim.signal(number),
    ended,
    close: () => shim.close(),
  };
}
