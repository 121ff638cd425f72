/**
 * Lets `size` callers through in each turn of the event loop: what the first ones have sent is on its way to the kernel while the
 * next ones still work. Fifty containers started at once would otherwise all be rendered before the first one is made.
 */
export function createPacer(size: number): () => Promise<void> {
  let through = 0;
  let gate: Promise<void> = Promise.resolve();
  return () => {
    if (through > 0 && through % size === 0) gate = gate.then(nextTurn);
    through += 1;
    return gate;
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
