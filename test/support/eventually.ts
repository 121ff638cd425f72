import { setTimeout as sleep } from 'node:timers/promises';
import { patience } from './patience.ts';

/**
 * Calls `check` until it neither throws nor returns false or undefined, and returns what it returned. Tests wait for
 * conditions with this; they never sleep for a while and hope.
 * @throws an error that says `what` and why the last attempt failed, after `withinMs` (default 15 000).
 */
export async function eventually<T>(what: string, check: () => T | Promise<T>, withinMs = 15_000): Promise<NonNullable<T>> {
  const deadline = Date.now() + withinMs * patience;
  for (;;) {
    const outcome = await attempt(check);
    if (outcome.value !== undefined) return outcome.value;
    if (Date.now() > deadline)
      throw new Error(`not within ${withinMs * patience} ms: ${what}${outcome.reason}`, { cause: outcome.error });
    await sleep(25);
  }
}

interface Outcome<T> {
  readonly value?: NonNullable<T>;
  readonly reason: string;
  readonly error?: unknown;
}

async function attempt<T>(check: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    const value = await check();
    if (value === false || value === undefined || value === null) return { reason: '' };
    return { value, reason: '' };
  } catch (error) {
    return { reason: ` (${error instanceof Error ? error.message : String(error)})`, error };
  }
}
