import { readFile } from 'node:fs/promises';
import { TscomposeError } from '../../errors.ts';
import type { Service } from '../../model/project.ts';
import type { ControlClient } from '../../supervise/client.ts';
import { type CommandRun, type Invocation, noteWithoutMeaning, progressOf, rememberErrors } from '../invocation.ts';
import { type LoadedProject, loadProject, needRoot, noSuchService, openSupervisor, refuseDryRun } from '../project.ts';
import { type RunSpecFlags, runSpec } from '../run-spec.ts';
import { connectStdio } from '../stdio.ts';

export interface RunFlags extends RunSpecFlags {
  readonly detach?: boolean;
  readonly rm?: boolean;
  /** `-i=false` style switches do not exist here; `--no-interactive` makes it false. */
  readonly interactive: boolean;
  /** `-T` makes it false. */
  readonly TTY: boolean;
  /** `--no-deps` makes it false. */
  readonly deps: boolean;
  readonly useAliases?: boolean;
  readonly envFromFile: readonly string[];
  readonly build?: boolean;
  readonly pull?: string;
  readonly removeOrphans?: boolean;
  readonly quiet?: boolean;
}

/** A container of its own for one command, beside those of `up`. Its exit code is ours. */
export const run: CommandRun<RunFlags> = async (invocation, [service = '', ...command], flags) => {
  refuseDryRun(invocation, 'run');
  needRoot(invocation);
  noteWithoutMeaning(invocation, [
    ...(flags.build === true ? ['--build'] : []),
    ...(flags.pull !== undefined ? [`--pull ${flags.pull}`] : []),
  ]);
  if (flags.removeOrphans === true) noteWithoutMeaning(invocation, ['--remove-orphans'], 'use "up --remove-orphans"');
  const loaded = await loadProject(invocation, { services: [service] });
  const spec = await specOf(invocation, loaded, service, command, flags);
  const client = await openSupervisor(invocation, loaded.project.name);
  try {
    return await runOnce(invocation, client, loaded, spec, flags);
  } finally {
    client.close();
  }
};

async function specOf(
  invocation: Invocation,
  { project }: LoadedProject,
  name: string,
  command: readonly string[],
  flags: RunFlags,
): Promise<Service> {
  const { stdin, stdout, cwd, env } = invocation.around;
  const service = project.services.find((candidate) => candidate.name === name);
  if (!service) throw noSuchService(name, [...project.services.map((candidate) => candidate.name), ...project.inactiveServices]);
  const isAttached = flags.detach !== true;
  const fromFiles = (await Promise.all(flags.envFromFile.map(readEnvironment))).flat();
  return runSpec(
    service,
    command,
    { ...flags, env: [...fromFiles, ...flags.env] },
    {
      tty: flags.TTY && (isAttached ? stdin.isTTY && stdout.isTTY : false),
      stdinOpen: isAttached && flags.interactive,
      cwd,
      env,
      volumes: project.volumes.map((volume) => volume.key),
    },
  );
}

/** Lines "KEY=VALUE"; blank ones and those that begin with # are left out. @throws FILE_NOT_FOUND */
async function readEnvironment(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new TscomposeError('FILE_NOT_FOUND', `cannot read ${path}: ${cause.message}`, { path, cause });
  });
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

async function runOnce(
  invocation: Invocation,
  client: ControlClient,
  { project, secrets }: LoadedProject,
  spec: Service,
  flags: RunFlags,
): Promise<number> {
  const progress = progressOf(invocation, 'run');
  const isAttached = flags.detach !== true;
  const created = await client
    .call(
      'run',
      {
        project,
        secrets,
        service: spec.name,
        spec,
        noDeps: !flags.deps,
        useAliases: flags.useAliases === true,
        waitAttach: isAttached,
        ...(flags.name !== undefined && { name: flags.name }),
      },
      rememberErrors(invocation, progress.tell),
    )
    .finally(() => progress.end());
  if (!isAttached) {
    invocation.around.stdout.write(`${created.name}\n`);
    return 0;
  }
  try {
    return await connectStdio(invocation, created.socket, { tty: spec.tty, stdin: spec.stdinOpen });
  } finally {
    if (flags.rm === true) await client.call('remove', { id: created.id, volumes: true });
  }
}
