import type { ObservedContainer } from '../../model/observed.ts';
import { type CommandRun, type Invocation, warn, withProgress } from '../invocation.ts';
import { checkServices, containersOf, findProjectName, refuseDryRun, withSupervisor } from '../project.ts';

export interface RmFlags {
  readonly force?: boolean;
  readonly stop?: boolean;
  readonly volumes?: boolean;
}

/** Removes stopped containers, after asking on a terminal. */
export const run: CommandRun<RmFlags> = async (invocation, services, flags) => {
  refuseDryRun(invocation, 'rm');
  const project = await findProjectName(invocation);
  const observed = await invocation.doors.observe(project);
  await checkServices(invocation, observed, services);
  const removable = containersOf(observed, services).filter((container) => flags.stop === true || isStopped(container));
  if (removable.length === 0) {
    warn(invocation, 'No stopped containers');
    return 0;
  }
  if (flags.force !== true && !(await confirmed(invocation, removable))) return 0;
  await withProgress(invocation, 'rm', (tell) =>
    withSupervisor(invocation, project, (client) =>
      client.call('rm', { services, stop: flags.stop === true, volumes: flags.volumes === true }, tell),
    ),
  );
  return 0;
};

function isStopped({ state }: ObservedContainer): boolean {
  return state === 'created' || state === 'exited';
}

/** Without a terminal to ask on, the answer is no: nothing is removed by accident. */
async function confirmed(invocation: Invocation, containers: readonly ObservedContainer[]): Promise<boolean> {
  const { stdin, stderr } = invocation.around;
  stderr.write(`Going to remove ${containers.map((container) => container.name).join(', ')}\n`);
  if (!stdin.isTTY) {
    warn(invocation, 'nothing removed: there is no terminal to ask on; use --force');
    return false;
  }
  stderr.write('Are you sure? [yN] ');
  return /^y(es)?$/i.test((await readAnswer(invocation)).trim());
}

function readAnswer({ around }: Invocation): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const stop = around.stdin.onData((data) => {
      answer += data ? Buffer.from(data).toString() : '\n';
      if (!answer.includes('\n')) return;
      stop();
      resolve(answer.slice(0, answer.indexOf('\n')));
    });
  });
}
