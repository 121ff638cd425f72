/** From flags to the project that a command is about. */
import { TscomposeError } from '../errors.ts';
import type { Observed, ObservedContainer } from '../model/observed.ts';
import type { Project } from '../model/project.ts';
import type { ControlClient } from '../supervise/client.ts';
import type { Loaded, LoadWish } from './doors.ts';
import { AlreadyTold, type Invocation, tellFinding, warn } from './invocation.ts';
import { callAll } from './surroundings.ts';

export interface LoadedProject extends Loaded {
  readonly project: Project;
}

export interface LoadChoices {
  readonly services?: readonly string[];
  /** `config` shows warnings; read-only commands keep still about them. */
  readonly showWarnings?: boolean;
}

/** Reads the compose files and tells everything found. @throws AlreadyTold when they are at fault */
export async function loadProject(invocation: Invocation, choices: LoadChoices = {}): Promise<LoadedProject> {
  const loaded = await invocation.doors.load(loadWish(invocation, choices));
  const shown = loaded.diagnostics.filter((finding) => finding.severity === 'error' || (choices.showWarnings ?? true));
  for (const finding of shown) tellDiagnostic(invocation, finding);
  if (loaded.project === undefined || loaded.diagnostics.some((finding) => finding.severity === 'error'))
    throw new AlreadyTold(1);
  return { ...loaded, project: loaded.project };
}

function tellDiagnostic(invocation: Invocation, finding: Loaded['diagnostics'][number]): void {
  if (invocation.globals.progress !== 'json') {
    tellFinding(invocation, finding);
    return;
  }
  const place = finding.at && { file: finding.at.file, line: finding.at.line, column: finding.at.column };
  const kind = finding.severity === 'error' ? { error: true } : { warning: true };
  invocation.around.stderr.write(`${JSON.stringify({ ...kind, code: finding.code, message: finding.message, ...place })}\n`);
}

export function loadWish({ globals, around }: Invocation, { services = [] }: LoadChoices): LoadWish {
  return {
    cwd: around.cwd,
    files: globals.file,
    profiles: globals.profile,
    envFiles: globals.envFile,
    services,
    env: around.env,
    ...(globals.projectName !== undefined && { projectName: globals.projectName }),
    ...(globals.projectDirectory !== undefined && { projectDirectory: globals.projectDirectory }),
  };
}

/**
 * The project's name: `-p`, COMPOSE_PROJECT_NAME, then what the files and the folder say. Reads the files properly only when
 * a quick look does not tell. @throws AlreadyTold
 */
export async function findProjectName(invocation: Invocation): Promise<string> {
  const { globals, doors } = invocation;
  if (globals.projectName !== undefined) return checkedName(globals.projectName);
  const guessed = await doors.guessName(loadWish(invocation, {}));
  if (guessed !== undefined) return guessed;
  return (await loadProject(invocation, { showWarnings: false })).project.name;
}

/** The grammar of project names (compose specification, "name"); it also keeps names out of other folders. */
function checkedName(name: string): string {
  if (/^[a-z0-9][a-z0-9_-]*$/.test(name)) return name;
  throw new TscomposeError('NAME_INVALID', `invalid project name "${name}"`, {
    hint: 'use lower-case letters, digits, dashes and underscores, beginning with a letter or digit',
  });
}

/** The project's supervisor, started when there is none. @throws NOT_ROOT, SUPERVISOR_UNREACHABLE */
export async function openSupervisor(invocation: Invocation, project: string): Promise<ControlClient> {
  needRoot(invocation);
  return invocation.doors.supervisor(project);
}

/** What every command that makes or changes containers asks of the machine first. @throws NOT_ROOT, KERNEL_TOO_OLD */
export function needRoot({ around }: Invocation): void {
  if (around.uid !== 0)
    throw new TscomposeError('NOT_ROOT', 'containers are made by root only', { hint: 'run it with sudo, or as root' });
  const [major = 0, minor = 0] = around.kernel.split('.').map((part) => Number.parseInt(part, 10));
  if (major > LEAST_KERNEL.major || (major === LEAST_KERNEL.major && minor >= LEAST_KERNEL.minor)) return;
  throw new TscomposeError(
    'KERNEL_TOO_OLD',
    `containers need Linux ${LEAST_KERNEL.major}.${LEAST_KERNEL.minor} or newer, and this is ${around.kernel}`,
    {
      hint: 'boot a newer kernel',
    },
  );
}

/** openat2, clone3 with a cgroup, close_range and nf_tables maps are all there from here on. */
const LEAST_KERNEL = { major: 5, minor: 10 } as const;

/** What there is of the project named by the flags. */
export async function observeProject(invocation: Invocation): Promise<Observed> {
  return invocation.doors.observe(await findProjectName(invocation));
}

/**
 * The services a command names, checked. One that has no container may still be in the file, so that is asked last.
 * @throws NO_SUCH_SERVICE
 */
export async function checkServices(invocation: Invocation, observed: Observed, names: readonly string[]): Promise<void> {
  const present = new Set(observed.containers.map((container) => container.service));
  const missing = names.filter((name) => !present.has(name));
  if (missing.length === 0) return;
  const declared = await declaredServices(invocation);
  for (const name of missing) if (!declared.includes(name)) throw noSuchService(name, [...present, ...declared]);
}

async function declaredServices(invocation: Invocation): Promise<readonly string[]> {
  const loaded = await invocation.doors.load(loadWish(invocation, {})).catch(() => undefined);
  if (!loaded?.project) return [];
  return [...loaded.project.services.map((service) => service.name), ...loaded.project.inactiveServices];
}

export function noSuchService(name: string, known: readonly string[]): TscomposeError {
  const names = [...new Set(known)].sort();
  const hint =
    names.length === 0
      ? 'the project has no services here; run `tscompose up` first'
      : `services of this project: ${names.join(', ')}`;
  return new TscomposeError('NO_SUCH_SERVICE', `no such service: ${name}`, { service: name, hint });
}

export interface ContainerChoice {
  readonly service: string;
  /** `--index`; undefined: the lowest. */
  readonly index?: number;
}

/** One running container of a service, for exec and its like. @throws NO_SUCH_SERVICE, NO_SUCH_CONTAINER, NOT_RUNNING */
export async function chooseContainer(
  invocation: Invocation,
  observed: Observed,
  { service, index }: ContainerChoice,
): Promise<ObservedContainer> {
  await checkServices(invocation, observed, [service]);
  const ofService = containersOf(observed, [service]).filter((container) => !container.oneOff);
  const chosen = ofService.filter((container) => index === undefined || container.number === index);
  const running =
    chosen.find((container) => container.state === 'running') ?? chosen.find((container) => container.state === 'paused');
  if (running) return running;
  if (index !== undefined && chosen.length === 0) {
    throw new TscomposeError('NO_SUCH_CONTAINER', `service "${service}" has no container with index ${index}`, { service });
  }
  throw new TscomposeError('NOT_RUNNING', `service "${service}" is not running`, {
    service,
    hint: `start it: tscompose up -d ${service}`,
  });
}

/** Containers of these services (all when none is named), by service and number. */
export function containersOf(observed: Observed, services: readonly string[]): ObservedContainer[] {
  const wanted = observed.containers.filter((container) => services.length === 0 || services.includes(container.service));
  return wanted.sort((a, b) => compareText(a.service, b.service) || Number(a.oneOff) - Number(b.oneOff) || a.number - b.number);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** "api-1": how log lines call a container. */
export function shortName(container: Pick<ObservedContainer, 'name'>, project: string): string {
  return container.name.startsWith(`${project}-`) ? container.name.slice(project.length + 1) : container.name;
}

/** Runs `work` with the supervisor; Ctrl-C ends the connection, which aborts what the supervisor does for us. */
export async function withSupervisor<T>(
  invocation: Invocation,
  project: string,
  work: (client: ControlClient) => Promise<T>,
): Promise<T> {
  const client = await openSupervisor(invocation, project);
  const interrupted = interruption(invocation);
  try {
    return await Promise.race([work(client), interrupted.promise]);
  } finally {
    interrupted.forget();
    client.close();
  }
}

/** Rejects with INTERRUPTED on the first SIGINT or SIGTERM. */
export function interruption({ around }: Invocation): { readonly promise: Promise<never>; forget(): void } {
  let reject: (reason: Error) => void = () => undefined;
  const promise = new Promise<never>((_resolve, fail) => {
    reject = fail;
  });
  promise.catch(() => undefined);
  const interrupt = (): void => reject(new TscomposeError('INTERRUPTED', 'interrupted'));
  const forgets = [around.onSignal('SIGINT', interrupt), around.onSignal('SIGTERM', interrupt)];
  return { promise, forget: () => callAll(forgets) };
}

/** Seconds of `-t` → milliseconds, as an optional field. */
export function timeoutField(seconds: number | undefined): { timeoutMs?: number } {
  return seconds === undefined ? {} : { timeoutMs: seconds * 1000 };
}

/** Refuses `--dry-run` where nothing could be shown, rather than doing the thing. @throws USAGE */
/** `--parallel`; without it the plan alone sets the pace. */
export function paceOf({ globals }: Invocation): { readonly parallel?: number } {
  return globals.parallel > 0 ? { parallel: globals.parallel } : {};
}

export function refuseDryRun({ globals }: Invocation, command: string): void {
  if (!globals.dryRun) return;
  throw new TscomposeError('USAGE', `${command} cannot be run dry`, {
    hint: 'up, create, down, scale and plan can show what they would do',
  });
}

/** Shows a plan instead of carrying it out. */
export async function tellDryRun(invocation: Invocation, text: string): Promise<void> {
  const lines = text.trimEnd() === '' ? ['nothing to do'] : text.trimEnd().split('\n');
  for (const line of lines) invocation.around.stdout.write(`DRY-RUN MODE - ${line}\n`);
}

/** What nobody is looking after any more, told once. */
export function warnNothing(invocation: Invocation, project: string): void {
  warn(invocation, `No resource found to remove for project "${project}".`);
}

/** For people; a machine that reads sees an empty plan. */
export function tellUnchanged({ globals, around }: Invocation, name: string): void {
  if (globals.progress === 'auto' || globals.progress === 'tty' || globals.progress === 'plain') {
    around.stderr.write(`Nothing to do: "${name}" is as the files say.\n`);
  }
}
