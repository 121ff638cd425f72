import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { ObservedContainer } from '../../model/observed.ts';
import type { CommandRun } from '../invocation.ts';
import { formatTable } from '../output/table.ts';
import { makePlain } from '../output/visible.ts';
import { checkServices, containersOf, observeProject } from '../project.ts';
import { bootTime, isZombie, type ProcessTexts, processRow } from '../processes.ts';

/** The processes of the running containers, as the host sees them. */
export const run: CommandRun<unknown> = async (invocation, services) => {
  const { around } = invocation;
  const observed = await observeProject(invocation);
  await checkServices(invocation, observed, services);
  const running = containersOf(observed, services).filter((container) => container.pid !== 0);
  const clock = { bootSeconds: bootTime(readFileSync('/proc/stat', 'utf8')), now: around.now() };
  const rows = running.flatMap((container) =>
    processesOf(container).map((texts) =>
      [container.service, String(container.number), ...processRow(texts, clock)].map(makePlain),
    ),
  );
  around.stdout.write(
    formatTable(['SERVICE', '#', 'UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'], rows, { minWidth: 5, padding: 3 }),
  );
  return 0;
};

/** Those in its pid namespace, and in namespaces below it: these are found by the cgroup, which carries the container's id. */
function processesOf(container: ObservedContainer): ProcessTexts[] {
  const namespace = readLink(`/proc/${container.pid}/ns/pid`);
  const folder = `/${container.id.slice(0, 12)}`;
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return pids
    .filter(
      (pid) =>
        namespace !== undefined &&
        (readLink(`/proc/${pid}/ns/pid`) === namespace || read(`/proc/${pid}/cgroup`)?.includes(folder) === true),
    )
    .map((pid) => ({
      stat: read(`/proc/${pid}/stat`),
      status: read(`/proc/${pid}/status`),
      cmdline: read(`/proc/${pid}/cmdline`),
    }))
    .filter((texts): texts is ProcessTexts => texts.stat !== undefined && texts.status !== undefined)
    .filter((texts) => !isZombie(texts));
}

/** A process may end between two looks. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
