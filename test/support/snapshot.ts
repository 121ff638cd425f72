import fs from 'node:fs';
import { eventually } from './eventually.ts';
import { differences, type Snapshot, takeSnapshot } from './snapshot.mjs';

export { differences, type Snapshot, takeSnapshot } from './snapshot.mjs';

/**
 * Asserts that nothing came and stayed, and that no mount and no table of anybody's went. The kernel may take a moment to let go of
 * a namespace or a link; and other programs' processes come and go meanwhile, so only what is there every time counts. With `project`
 * only what carries its name counts where a name is to be seen: other projects may come and go as well.
 */
export async function expectUnchanged(before: Snapshot, project?: string): Promise<void> {
  const look = () => relevantDifferences(before).filter((entry) => project === undefined || !isForeign(entry, project));
  let staying = look();
  await eventually(
    'the machine is as it was before',
    () => {
      const now = look();
      staying = staying.filter((entry) => now.includes(entry));
      if (staying.length > 0) throw new Error(`\n${staying.join('\n')}`);
      return true;
    },
    10_000,
  );
}

function isForeign(entry: string, project: string): boolean {
  const [, sign, kind, text] = /^(.) (\w+): (.*)$/.exec(entry) ?? [];
  // Sockets have relative names, the same for everybody; the processes behind them are seen as processes.
  if (sign === '-' || kind === 'sockets') return true;
  if (kind === 'links') return !aliasOf(text ?? '').startsWith(`tscompose:${project}:`);
  return ['cgroups', 'files', 'nftTables'].includes(kind ?? '') && !entry.includes(project);
}

/** It says whose a link of ours is. */
function aliasOf(link: string): string {
  try {
    return fs.readFileSync(`/sys/class/net/${link}/ifalias`, 'utf8');
  } catch {
    return '';
  }
}

function relevantDifferences(before: Snapshot): string[] {
  return differences(before, takeSnapshot()).filter((entry) => /^(\+|- (mounts|nftTables):)/.test(entry));
}
