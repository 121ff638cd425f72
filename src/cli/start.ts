/** argv → exit status. */
import { parseArguments } from './args.ts';
import type { Doors } from './doors.ts';
import { type Invocation, newInvocation, noteWithoutMeaning, tellError } from './invocation.ts';
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
    noteGlobalFlags(invocation);
    const run = await wish.spec.load();
    return await run(invocation, wish.operands, wish.flags);
  } catch (error) {
    return tellError(invocation, error);
  }
}

function noteGlobalFlags(invocation: Invocation): void {
  const { allResources, compatibility } = invocation.globals;
  if (allResources) noteWithoutMeaning(invocation, ['--all-resources'], 'only resources that a service uses are made');
  if (compatibility) noteWithoutMeaning(invocation, ['--compatibility'], 'names are joined with dashes');
}
