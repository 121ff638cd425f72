/** argv → exit status. */
import { parseArguments } from './args.ts';
import type { Doors } from './doors.ts';
import { newInvocation, tellError } from './invocation.ts';
import { processSurroundings, type Surroundings } from './surroundings.ts';

/** For this process. */
export async function start(argv: readonly string[]): Promise<number> {
  const around = processSurroundings();
  const { realDoors } = await import('./real-doors.ts');
  return main(argv, around, realDoors(around));
}

/** @returns the exit status; everything there is to say has been said */
export async function main(argv: readonly string[], around: Surroundings, doors: Doors): Promise<number> {
  const wish = await parseArguments(argv, around);
  if (wish.kind === 'done') return wish.exitCode;
  const invocation = newInvocation(wish.globals, around, doors);
  try {
    const run = await wish.spec.load();
    return await run(invocation, wish.operands, wish.flags);
  } catch (error) {
    return tellError(invocation, error);
  }
}
