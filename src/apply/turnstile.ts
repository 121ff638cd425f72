/** Lets at most `limit` tasks through at a time, first come first served. */
export function createTurnstile(limit: number): <T>(task: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = [];
  let inside = 0;
  const admitted = (): Promise<void> => new Promise((resolve) => queue.push(resolve));
  return async (task) => {
    if (inside >= limit) await admitted();
    else inside++;
    try {
      return await task();
    } finally {
      // Who waits takes over the place, so that nobody can slip in between.
      const next = queue.shift();
      if (next === undefined) inside--;
      else next();
    }
  };
}
