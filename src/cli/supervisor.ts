/**
 * Entry of the process that stays: `supervisor.js PROJECT`, executed by `core supervise`, which took the project's lock for as
 * long as this process lives. It keeps nothing in memory that it cannot rebuild, so it may end at any instruction.
 */
import { fileURLToPath } from 'node:url';
import { createHandlers } from '../supervise/commands.ts';
import { supervise } from '../supervise/loop.ts';
import { type ControlServer, listen } from '../supervise/server.ts';
import { stateRoots } from '../state/paths.ts';
import { openMachine, type ProjectMachine } from '../wire.ts';

/** A supervisor that nobody talks to and that has nothing to look after ends after this long, in milliseconds. */
const LONELY_MS = 3000;
/** In the project's run folder, which is the working directory by then. */
const SOCKET = 'supervisor.sock';

const [project] = process.argv.slice(2);
if (project === undefined) throw new Error('usage: supervisor.js PROJECT');
await runSupervisor(project);

async function runSupervisor(name: string): Promise<void> {
  const roots = stateRoots(process.env, process.getuid?.() ?? 0);
  const machine = await openMachine(roots, name, fileURLToPath(import.meta.url)).catch(refuse);
  machine.onCoreLost(giveWay);
  supervise(machine);
  machine.tellLost();
  let lonely: NodeJS.Timeout | undefined;
  const considerEnding = (): void => {
    clearTimeout(lonely);
    if (server.clients() === 0 && !machine.hasLive()) lonely = setTimeout(() => end(machine, server), LONELY_MS);
  };
  const leave = (): boolean => {
    const ending = machine.isEmpty() && server.clients() === 1;
    if (ending) {
      // At once: whoever comes from now on is to start a new one, and not to be let in by one that ends.
      server.close();
      // After this turn, so that the answer is on its way.
      setTimeout(() => end(machine, server), 0);
    }
    return ending;
  };
  const server = await listen(SOCKET, createHandlers(machine, name, leave), considerEnding);
  machine.onChange(considerEnding);
  considerEnding();
}

/** The connections end with the process: whoever waits for that sees nothing of the project any more. */
async function end(machine: ProjectMachine, server: ControlServer): Promise<void> {
  server.close();
  await machine.close();
  process.exit(0);
}

/** Without its hands this process is of no use; the shims, or the next command, bring one that has them. */
function giveWay(reason: Error): void {
  console.error(reason.message);
  process.exit(1);
}

/** One that cannot begin (a full disk, say) stays until somebody has heard why. */
async function refuse(reason: unknown): Promise<never> {
  console.error(reason);
  const server = await listen(SOCKET, { hello: () => Promise.reject(reason) }, () => {
    if (server.clients() === 0) process.exit(1);
  });
  setTimeout(() => process.exit(1), LONELY_MS);
  return new Promise<never>(() => undefined);
}
