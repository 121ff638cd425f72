/** Work inside a running container: probes, hooks, files. */

import type { ProbeResult } from '../apply/machine.ts';
import { encodeProgram } from '../core/program.ts';
import { TscomposeError } from '../errors.ts';
import { lowerExec } from '../runtime/exec.ts';
import { containerCgroups } from '../runtime/lower.ts';
import type { OciSpec } from '../runtime/spec.ts';
import { readSpecFile } from '../runtime/spec-file.ts';
import type { Architecture } from '../runtime/syscalls.ts';
import type { SyncOperation } from '../supervise/control.ts';
import { availableCapabilities } from './launch.ts';
import { type Live, pathsOf, recordOf, type World } from './world.ts';

/** What docker keeps of a health check's output, in bytes. */
const OUTPUT_LIMIT = 4096;

/** Runs a command as the container's own user, confined as it is. @throws NOT_RUNNING */
export async function probeContainer(
  world: World,
  id: string,
  command: readonly string[],
  timeoutMs: number,
): Promise<ProbeResult> {
  const live = running(world, id);
  const spec = bundleOf(world, id);
  const program = lowerExec({
    spec,
    pid: live.status.pid,
    startTime: live.status.startTime,
    cgroups: containerCgroups(spec, { cgroups: world.cgroups }),
    args: command,
    env: [],
    architecture: process.arch as Architecture,
    availableCapabilities: availableCapabilities(),
  });
  return world.core.exec(encodeProgram(program), { timeoutMs, outputLimit: OUTPUT_LIMIT });
}

/** Writes, makes and removes files below the container's root. @throws NOT_RUNNING */
export async function syncContainer(world: World, id: string, operations: readonly SyncOperation[]): Promise<number> {
  const live = running(world, id);
  return world.core.sync(live.status.pid, live.status.startTime, operations.map(withContent));
}

/** Files a developer edits belong to root in the container, as those of an image do. */
function withContent(operation: SyncOperation) {
  const owner = { uid: 0, gid: 0 };
  if (operation.op === 'write') {
    return {
      op: 'write',
      path: operation.path,
      mode: operation.mode,
      ...owner,
      content: Buffer.from(operation.contentBase64, 'base64'),
    } as const;
  }
  return operation.op === 'mkdir' ? { ...operation, ...owner } : operation;
}

function running(world: World, id: string): Live {
  const live = world.live.get(id);
  if (live && live.status.pid > 0) return live;
  const name = recordOf(world, id)?.name ?? id.slice(0, 12);
  throw new TscomposeError('NOT_RUNNING', `container ${name} does not run`, { hint: 'start it first' });
}

function bundleOf(world: World, id: string): OciSpec {
  return readSpecFile(pathsOf(world, id).bundle);
}
