/** One run of the command: its global flags, its surroundings, and how it tells things. */
import { TscomposeError } from '../errors.ts';
import type { EventSink } from '../events.ts';
import type { Doors } from './doors.ts';
import { type Finding, formatError, formatFinding } from './output/error.ts';
import { chooseMode, createProgress, jsonTeller, type Progress, warningLine } from './output/progress.ts';
import { type Paint, painter, wantsColour } from './output/style.ts';
import type { Surroundings } from './surroundings.ts';

/** Flags that stand before the command. */
export interface Globals {
  readonly file: readonly string[];
  readonly projectName?: string;
  readonly profile: readonly string[];
  readonly envFile: readonly string[];
  readonly projectDirectory?: string;
  readonly ansi: 'never' | 'always' | 'auto';
  readonly progress: string;
  readonly parallel: number;
  readonly dryRun: boolean;
  readonly allResources: boolean;
  readonly compatibility: boolean;
  readonly debug: boolean;
}

export interface Invocation {
  readonly globals: Globals;
  readonly around: Surroundings;
  readonly doors: Doors;
  readonly paintOut: Paint;
  readonly paintErr: Paint;
  /** Messages of errors that came as events: not told again when the same error ends the command. */
  readonly told: Set<string>;
}

/** A command: its operands and its flags → its exit status. */
export type CommandRun<Options> = (invocation: Invocation, operands: readonly string[], options: Options) => Promise<number>;

/** Thrown when the user has been told everything already. */
export class AlreadyTold extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('already told');
    this.exitCode = exitCode;
  }
}

export function newInvocation(globals: Globals, around: Surroundings, doors: Doors): Invocation {
  const paintFor = (output: Surroundings['stdout']): Paint =>
    painter(wantsColour({ ansi: globals.ansi, isTerminal: output.isTTY, env: around.env }));
  return { globals, around, doors, paintOut: paintFor(around.stdout), paintErr: paintFor(around.stderr), told: new Set() };
}

/** The renderer that the flags and the terminal ask for; `command` is the word in its header. */
export function progressOf({ globals, around, paintErr }: Invocation, command: string): Progress {
  return createProgress({
    mode: chooseMode(globals.progress, around.stderr),
    output: progressOutput(around),
    paint: paintErr,
    cwd: around.cwd,
    dryRun: globals.dryRun,
    command,
    now: around.now,
  });
}

/** COMPOSE_STATUS_STDOUT=1 moves progress to stdout, for tools that take anything on stderr for a failure. */
function progressOutput({ env, stdout, stderr }: Surroundings): Surroundings['stdout'] {
  return env['COMPOSE_STATUS_STDOUT'] === '1' ? stdout : stderr;
}

/** Runs `work` under a progress renderer, which shows its last picture however the work ends. */
export async function withProgress<T>(
  invocation: Invocation,
  command: string,
  work: (tell: EventSink) => Promise<T>,
): Promise<T> {
  const progress = progressOf(invocation, command);
  try {
    return await work(rememberErrors(invocation, progress.tell));
  } finally {
    await progress.end();
  }
}

export function rememberErrors({ told }: Invocation, tell: EventSink): EventSink {
  return (event) => {
    if (event.type === 'error') told.add(event.error.message);
    tell(event);
  };
}

export function warn(invocation: Invocation, message: string): void {
  const { globals, around, paintErr } = invocation;
  if (globals.progress === 'json') tellJson(invocation, { type: 'warning', message });
  else around.stderr.write(warningLine(message, paintErr));
}

/** For flags that docker compose has and that mean nothing here yet: accepted, and never silently. */
export function noteWithoutMeaning(
  invocation: Invocation,
  flags: readonly string[],
  why = 'images are neither pulled nor built yet',
): void {
  for (const flag of flags) warn(invocation, `${flag} has no effect: ${why}`);
}

export function tellFinding({ around, paintErr }: Invocation, finding: Finding): void {
  around.stderr.write(formatFinding(finding, { paint: paintErr, cwd: around.cwd }));
}

/** Tells the user what went wrong and gives the exit status. */
export function tellError(invocation: Invocation, error: unknown): number {
  const { globals, around, paintErr } = invocation;
  if (error instanceof AlreadyTold) return error.exitCode;
  if (error instanceof TscomposeError && invocation.told.has(error.message)) return error.exitCode;
  if (error instanceof TscomposeError && globals.progress === 'json') {
    tellJson(invocation, { type: 'error', error: { code: error.code, message: error.message, details: {} } });
  } else around.stderr.write(formatError(error, { paint: paintErr, cwd: around.cwd }, globals.debug));
  return error instanceof TscomposeError ? error.exitCode : 1;
}

function tellJson({ around, globals, paintErr }: Invocation, event: Parameters<EventSink>[0]): void {
  const { stderr: output, cwd, now } = around;
  jsonTeller({ mode: 'json', output, paint: paintErr, cwd, dryRun: globals.dryRun, command: '', now })(event);
}
