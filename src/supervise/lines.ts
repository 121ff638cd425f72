import type { Socket } from 'node:net';

/** The longest line that is read, in bytes: a project of thousands of services is far smaller. */
const LINE_MAX = 64 * 1024 * 1024;

/** Calls `onLine` for each line that arrives; ends the connection when one is longer than any honest one. */
export function eachLine(socket: Socket, onLine: (line: string) => void): void {
  let parts: string[] = [];
  let size = 0;
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const pieces = chunk.split('\n');
    for (const piece of pieces.slice(0, -1)) {
      const line = parts.join('') + piece;
      parts = [];
      size = 0;
      if (line !== '') onLine(line);
    }
    const rest = pieces[pieces.length - 1] as string;
    parts.push(rest);
    size += rest.length;
    if (size > LINE_MAX) socket.destroy();
  });
}
