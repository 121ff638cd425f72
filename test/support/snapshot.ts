import { eventually } from './eventually.ts';
import { differences, type Snapshot, takeSnapshot } from './snapshot.mjs';

export { differences, type Snapshot, takeSnapshot } from './snapshot.mjs';

/**
 * Asserts that nothing came and stayed, and that no mount and no table of anybody's went. The kernel may take a moment to let go of
 * a namespace or a link; and other programs' processes come and go meanwhile, so only what is there every time counts.
 */
export async function expectUnchanged(before: Snapshot): Promise<void> {
  let staying = relevantDifferences(before);
  await eventually(
    'the machine is as it was before',
    () => {
      const now = relevantDifferences(before);
      staying = staying.filter((entry) => now.includes(entry));
      if (staying.length > 0) throw new Error(`\n${staying.join('\n')}`);
      return true;
    },
    10_000,
  );
}

function relevantDifferences(before: Snapshot): string[] {
  return differences(before, takeSnapshot()).filter((entry) => /^(\+|- (mounts|nftTables):)/.test(entry));
}
