/** argv → one command and its flags. Commands load only when they run. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { type CommandSpec, commandTable, type FlagSpec } from './command-table.ts';
import type { Globals } from './invocation.ts';
import type { Surroundings } from './surroundings.ts';
import { version } from './version.ts';

/** What the user asked for. */
export type Wish =
  | {
      readonly kind: 'run';
      readonly globals: Globals;
      readonly spec: CommandSpec;
      readonly operands: readonly string[];
      readonly flags: never;
    }
  /** Help or a version was shown, or a usage error told. */
  | { readonly kind: 'done'; readonly exitCode: number };

/** @throws nothing: usage errors are told here, with the nearest known word as a suggestion */
export async function parseArguments(argv: readonly string[], around: Surroundings): Promise<Wish> {
  let wish: Wish = { kind: 'done', exitCode: 0 };
  const program = buildProgram(argv, around, (spec, command) => {
    wish = {
      kind: 'run',
      globals: globalsOf(program, command, around),
      spec,
      operands: command.args,
      flags: command.opts<never>(),
    };
  });
  // `tscompose` alone shows its help, as docker compose does.
  if (argv.length === 0) {
    program.outputHelp();
    return wish;
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return { kind: 'done', exitCode: error.exitCode === 0 ? 0 : 1 };
    throw error;
  }
  return wish;
}

function buildProgram(
  argv: readonly string[],
  around: Surroundings,
  onCommand: (spec: CommandSpec, command: Command) => void,
): Command {
  const program = new Command('tscompose');
  program
    .description('Runs a compose.yaml on Linux with nothing but the kernel and Node')
    .version(`tscompose version v${version}`, '-v, --version', 'Show the version')
    .helpOption('-h, --help', 'Show help')
    .helpCommand('help [command]', 'Show help for a command')
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .configureOutput({ writeOut: (text) => around.stdout.write(text), writeErr: (text) => around.stderr.write(text) })
    .addHelpText('after', '\nExample:\n  tscompose up -d --wait && tscompose ps\n')
    .exitOverride();
  for (const flag of globalFlags) program.addOption(toOption(flag));
  const meant = commandsMeant(argv);
  for (const spec of commandTable) addCommand(program, spec, meant.has(spec), onCommand);
  return program;
}

/**
 * The commands whose flags are needed: those whose name is among the words. All where none is, since then help or a suggestion is
 * shown. Making a few hundred flags that nobody asks for takes several milliseconds.
 */
function commandsMeant(argv: readonly string[]): ReadonlySet<CommandSpec> {
  const words = new Set(argv);
  const named = commandTable.filter(({ name, aliases = [] }) => [name, ...aliases].some((word) => words.has(word)));
  return new Set(named.length === 0 || asksForHelp(words) ? commandTable : named);
}

function asksForHelp(words: ReadonlySet<string>): boolean {
  return ['help', '--help', '-h'].some((word) => words.has(word));
}

function addCommand(
  program: Command,
  spec: CommandSpec,
  isMeant: boolean,
  onCommand: (spec: CommandSpec, command: Command) => void,
): void {
  const command = program.command(spec.name).description(spec.summary).usage(`[options] ${spec.operands}`.trim());
  if (!isMeant) return;
  for (const operand of spec.operands.split(' ').filter(Boolean)) command.argument(operand);
  for (const flag of [...spec.flags, ...everywhere]) command.addOption(toOption(flag));
  for (const alias of spec.aliases ?? []) command.alias(alias);
  if (spec.passesThrough === true) command.passThroughOptions();
  command.addHelpText('after', `\nExample:\n  ${spec.example}\n`).exitOverride();
  command.action(() => onCommand(spec, command));
}

/** These may stand before or after the command. */
const everywhere: readonly FlagSpec[] = [
  { flags: '--dry-run', about: 'Show what would be done, and do nothing', kind: 'switch' },
];

const globalFlags: readonly FlagSpec[] = [
  { flags: '-f, --file <path>', about: 'Compose file; may be given several times', kind: 'list' },
  { flags: '-p, --project-name <name>', about: 'Name of the project', kind: 'text' },
  { flags: '--profile <name>', about: 'Profile to switch on; may be given several times', kind: 'list' },
  { flags: '--env-file <path>', about: 'File of variables instead of .env; may be given several times', kind: 'list' },
  { flags: '--project-directory <path>', about: 'What relative paths are relative to', kind: 'text' },
  { flags: '--ansi <when>', about: 'Colours: never, always or auto', kind: 'choice', choices: ['never', 'always', 'auto'] },
  {
    flags: '--progress <kind>',
    about: 'Progress: auto, tty, plain, json or quiet',
    kind: 'choice',
    choices: ['auto', 'tty', 'plain', 'json', 'quiet', 'none'],
  },
  { flags: '--parallel <number>', about: 'Most steps at the same time; -1 is without bound', kind: 'integer' },
  { flags: '--dry-run', about: 'Show what would be done, and do nothing', kind: 'switch' },
  { flags: '--all-resources', about: 'Include what no service uses', kind: 'switch' },
  { flags: '--compatibility', about: 'Join names with underscores', kind: 'switch' },
  { flags: '--debug', about: 'Show stack traces', kind: 'switch' },
  { flags: '--verbose', about: 'Show more', kind: 'switch', hidden: true },
  { flags: '--no-ansi', about: 'Colours off', kind: 'switch', hidden: true },
];

function toOption(spec: FlagSpec): Option {
  const option = new Option(spec.flags, spec.about);
  if (spec.hidden === true) option.hideHelp();
  if (spec.choices) option.choices([...spec.choices]);
  if (spec.kind === 'list') option.default([], 'none').argParser(appendTo(spec.mark ?? ''));
  if (spec.kind === 'integer') option.argParser(parseInteger);
  if (spec.default !== undefined) option.default(spec.default);
  return option;
}

/** The default list is shared by all parsings, so it is never changed in place. */
function appendTo(mark: string): (value: string, before: unknown) => string[] {
  return (value, before) => [...(Array.isArray(before) ? (before as string[]) : []), `${mark}${value}`];
}

function parseInteger(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

interface RawGlobals {
  readonly file: readonly string[];
  readonly projectName?: string;
  readonly profile: readonly string[];
  readonly envFile: readonly string[];
  readonly projectDirectory?: string;
  readonly ansi?: Globals['ansi'] | boolean;
  readonly progress?: string;
  readonly parallel?: number;
  readonly dryRun?: boolean;
  readonly allResources?: boolean;
  readonly compatibility?: boolean;
  readonly debug?: boolean;
}

/** Flags beat the variables COMPOSE_ANSI, COMPOSE_PROGRESS and so on. */
function globalsOf(program: Command, command: Command, { env }: Surroundings): Globals {
  const raw = program.opts<RawGlobals>();
  return {
    file: raw.file,
    profile: raw.profile,
    envFile: raw.envFile,
    ansi: ansiOf(raw.ansi, env['COMPOSE_ANSI']),
    progress: raw.progress ?? env['COMPOSE_PROGRESS'] ?? 'auto',
    parallel: raw.parallel ?? Number(env['COMPOSE_PARALLEL_LIMIT'] ?? -1),
    dryRun: raw.dryRun === true || command.opts<{ dryRun?: boolean }>().dryRun === true,
    allResources: raw.allResources === true,
    compatibility: raw.compatibility === true,
    debug: raw.debug === true || (env['TSCOMPOSE_DEBUG'] ?? '') !== '',
    ...(raw.projectName !== undefined && { projectName: raw.projectName }),
    ...(raw.projectDirectory !== undefined && { projectDirectory: raw.projectDirectory }),
  };
}

function ansiOf(flag: RawGlobals['ansi'], variable: string | undefined): Globals['ansi'] {
  if (flag === false) return 'never';
  if (typeof flag === 'string') return flag;
  return variable === 'never' || variable === 'always' ? variable : 'auto';
}
