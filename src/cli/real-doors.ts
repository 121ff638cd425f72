/** The real rooms behind the doors. Each import happens when its door is first used. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findNative } from '../core/native.ts';
import { TscomposeError } from '../errors.ts';
import type { ProjectFiles } from '../load/load.ts';
import { readObserved } from '../observe.ts';
import { containerPaths, projectPaths, stateRoots, type StateRoots, supervisorCommand } from '../state/paths.ts';
import { isKnown, listProjects, readRecord } from '../state/store.ts';
import type { Doors, Loaded, LoadWish } from './doors.ts';
import type { Surroundings } from './surroundings.ts';

export function realDoors(around: Surroundings): Doors {
  const roots = stateRoots(around.env, around.uid);
  const command = (project: string): string[] => commandFor(roots, project);
  return {
    roots,
    load: loadProject,
    guessName: async ({ cwd, files, env, projectName, projectDirectory, envFiles }) =>
      (await import('../load/files.ts')).guessProjectName(cwd, files, env, diskFiles(), {
        projectName,
        projectDirectory,
        envFiles,
      }),
    formatConfig: async (model, format) => (await import('../load/load.ts')).formatConfig(model, format),

    observe: async (project) => readObserved(roots, project),
    projects: async () => listProjects(roots),
    record: async (project) => readRecord(roots, project),
    isKnown: async (project) => isKnown(roots, project),

    startSupervisor: async (project) =>
      (await import('../supervise/client.ts')).startSupervisor(projectPaths(roots, project), command(project)),
    supervisor: async (project) =>
      (await import('../supervise/client.ts')).ensureSupervisor(projectPaths(roots, project), command(project)),

    planUp: async (project, observed, options) => (await import('../plan/plan.ts')).planUp(project, observed, options),
    planDown: async (project, observed, options) => (await import('../plan/plan.ts')).planDown(project, observed, options),
    printPlan: async (plan) => (await import('../plan/plan.ts')).printPlan(plan),

    async *logs(project, ids, wish, signal) {
      const { followLogs, parseLogTime, replayLogs } = await import('../runtime/logs.ts');
      const idOf = new Map(ids.map((id) => [containerPaths(projectPaths(roots, project), id).log, id]));
      const options = {
        ...(wish.tail !== undefined && { tail: wish.tail }),
        ...(wish.since !== undefined && { since: parseLogTime(wish.since, around.now()) }),
        ...(wish.until !== undefined && { until: parseLogTime(wish.until, around.now()) }),
      };
      const lines = wish.follow ? followLogs([...idOf.keys()], options, signal) : replayLogs([...idOf.keys()], options);
      for await (const { path, ...line } of lines) yield { ...line, containerId: idOf.get(path) as string };
    },
    exec: async (wish) => (await import('./exec-program.ts')).execInContainer(roots, around, wish),
    attachment: async (path, onOutput) => (await import('./attachment.ts')).openAttachment(path, onOutput),
  };
}

/** The program that stays is built beside this one, or this one is in a folder of its. @throws NATIVE_MISSING */
function commandFor(roots: StateRoots, project: string): string[] {
  const program = ['./supervisor.js', '../supervisor.js']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path));
  if (program === undefined)
    throw new TscomposeError('NATIVE_MISSING', 'supervisor.js is not there', { hint: 'in a checkout run "npm run build"' });
  return supervisorCommand({ native: findNative(), node: process.execPath, program }, projectPaths(roots, project), project);
}

async function loadProject(wish: LoadWish): Promise<Loaded> {
  const { load } = await import('../load/load.ts');
  const { cwd, ...request } = wish;
  const { secretValues, diagnostics, ...rest } = load({ ...request, workingDir: cwd }, diskFiles());
  return { ...rest, diagnostics, secrets: secretValues, environment: () => environmentOf(wish) };
}

/** What interpolation sees: the shell's variables, then those of the env files. */
async function environmentOf({
  cwd,
  files,
  projectDirectory,
  envFiles,
  env,
}: LoadWish): Promise<Readonly<Record<string, string>>> {
  const { findFiles } = await import('../load/load.ts');
  const silent = { error: () => undefined, warning: () => undefined, hasErrors: () => false, sorted: () => [] };
  return Object.fromEntries(findFiles({ workingDir: cwd, files, projectDirectory, envFiles, env }, diskFiles(), silent).env);
}

/** Standard input can be read only once, so its text is kept for whoever asks next. */
let standardInput: string | undefined;

function diskFiles(): ProjectFiles {
  return {
    read: (path) => (path === '-' ? readStandardInput() : readOrNothing(path)),
    exists: (path) => path === '-' || statSync(path, { throwIfNoEntry: false }) !== undefined,
    isDirectory: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true,
  };
}

function readStandardInput(): string {
  standardInput ??= readOrNothing(0) ?? '';
  return standardInput;
}

function readOrNothing(path: string | number): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
