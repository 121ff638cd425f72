import { eventually } from './eventually.ts';
import { differences, type Snapshot, takeSnapshot } from './snapshot.mjs';

export { differences, type Snapshot, takeSnapshot } from './snapshot.mjs';

/** Asserts that nothing came and nothing went since; the kernel may take a moment to let go of a namespace or a link. */
export async function expectUnchanged(before: Snapshot): Promise<void> {
  await eventually(
    'the machine is as it was before',
    () => {
      const found = differences(before, takeSnapshot());
      if (found.length > 0) throw new Error(`\n${found.join('\n')}`);
      return true;
    },
    10_000,
  );
}
