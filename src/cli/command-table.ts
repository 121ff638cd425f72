/** Every command, its flags and an example, as data. Flags are docker compose's. */
import type { CommandRun } from './invocation.ts';

export interface FlagSpec {
  readonly flags: string;
  readonly about: string;
  readonly kind: 'switch' | 'text' | 'integer' | 'list' | 'choice';
  readonly choices?: readonly string[];
  readonly default?: string | boolean | number;
  /** Put before every value of a list, where two flags share one list. */
  readonly mark?: string;
  readonly hidden?: boolean;
}

export interface CommandSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** "[services...]" */
  readonly operands: string;
  readonly summary: string;
  readonly example: string;
  readonly flags: readonly FlagSpec[];
  /** What follows the first operand belongs to the command inside. */
  readonly passesThrough?: boolean;
  readonly load: () => Promise<CommandRun<never>>;
}

const toggle = (flags: string, about: string): FlagSpec => ({ flags, about, kind: 'switch' });
const hiddenToggle = (flags: string): FlagSpec => ({ flags, about: '', kind: 'switch', hidden: true });
const text = (flags: string, about: string): FlagSpec => ({ flags, about, kind: 'text' });
const integer = (flags: string, about: string): FlagSpec => ({ flags, about, kind: 'integer' });
const list = (flags: string, about: string): FlagSpec => ({ flags, about, kind: 'list' });
const choice = (flags: string, about: string, choices: readonly string[], value?: string): FlagSpec => ({
  flags,
  about,
  kind: 'choice',
  choices,
  ...(value !== undefined && { default: value }),
});

const services = '[services...]';
const timeout = integer('-t, --timeout <seconds>', 'Seconds to wait before SIGKILL');
const index = integer('--index <number>', 'Which container of the service');
const signal: FlagSpec = { flags: '-s, --signal <name>', about: 'Signal to send', kind: 'text', default: 'SIGKILL' };

const imageFlags: readonly FlagSpec[] = [
  toggle('--build', 'Build images first (nothing is built yet)'),
  toggle('--no-build', 'Build no images'),
  text('--pull <policy>', 'When to pull images (nothing is pulled yet)'),
  toggle('--quiet-pull', 'Pull without progress'),
  toggle('--quiet-build', 'Build without progress'),
];

const recreateFlags: readonly FlagSpec[] = [
  toggle('--force-recreate', 'Make containers anew even if nothing changed'),
  toggle('--no-recreate', 'Leave containers that exist as they are'),
  toggle('--remove-orphans', 'Remove containers of services that are no longer in the file'),
  list('--scale <service=number>', 'How many containers of a service'),
];

const upFlags: readonly FlagSpec[] = [
  toggle('-d, --detach', 'Start in the background'),
  ...imageFlags,
  toggle('--no-deps', 'Leave out the services they depend on'),
  ...recreateFlags,
  toggle('--always-recreate-deps', 'Make dependencies anew as well'),
  toggle('-V, --renew-anon-volumes', 'Give new containers new anonymous volumes'),
  toggle('--no-start', 'Make the containers, but do not start them'),
  toggle('--wait', 'Wait until all run or are healthy; implies --detach'),
  integer('--wait-timeout <seconds>', 'Most seconds to wait'),
  timeout,
  toggle('-y, --yes', 'Answer every question with yes'),
];

const attachFlags: readonly FlagSpec[] = [
  list('--attach <service>', 'Show the output of this service only'),
  { flags: '--no-attach <service>', about: 'Show no output of this service', kind: 'list', mark: '!' },
  toggle('--attach-dependencies', 'Show the output of dependencies too'),
  toggle('--abort-on-container-exit', 'Stop everything as soon as one container ends'),
  toggle('--abort-on-container-failure', 'Stop everything as soon as one container fails'),
  text('--exit-code-from <service>', 'End with the exit code of this service; implies --abort-on-container-exit'),
  toggle('--no-color', 'No colours'),
  toggle('--no-log-prefix', 'No names before the lines'),
  toggle('--timestamps', 'Times before the lines'),
  toggle('-w, --watch', 'Follow the files of develop.watch'),
  toggle('--menu', 'Docker Desktop menu: has no effect'),
];

export const commandTable: readonly CommandSpec[] = [
  {
    name: 'up',
    operands: services,
    summary: 'Create and start containers',
    example: 'tscompose up -d --wait',
    flags: [...upFlags, ...attachFlags],
    load: async () => (await import('./commands/up.ts')).run,
  },
  {
    name: 'down',
    operands: services,
    summary: 'Stop and remove containers and networks',
    example: 'tscompose down --volumes',
    flags: [
      toggle('-v, --volumes', 'Remove named and anonymous volumes too'),
      toggle('--remove-orphans', 'Remove containers of services that are no longer in the file'),
      choice('--rmi <which>', 'Remove images (none are stored yet)', ['local', 'all']),
      timeout,
    ],
    load: async () => (await import('./commands/down.ts')).run,
  },
  {
    name: 'plan',
    operands: services,
    summary: 'Show what up would do, and why',
    example: 'tscompose plan --detailed-exitcode',
    flags: [
      choice('--format <kind>', 'text or json', ['text', 'json'], 'text'),
      toggle('--detailed-exitcode', 'Exit with 0 when there is nothing to do, 2 when there is'),
      toggle('--no-deps', 'Leave out the services they depend on'),
      ...recreateFlags,
      toggle('--always-recreate-deps', 'Make dependencies anew as well'),
    ],
    load: async () => (await import('./commands/plan.ts')).run,
  },
  {
    name: 'ps',
    operands: services,
    summary: 'List containers',
    example: 'tscompose ps --format json',
    flags: [
      toggle('-a, --all', 'Stopped and one-off containers too'),
      toggle('-q, --quiet', 'Ids only'),
      toggle('--services', 'Names of services only'),
      list('--filter <status=state>', 'Containers in this state'),
      list('--status <state>', 'Containers in this state'),
      { ...text('--format <kind>', 'table or json'), default: 'table' },
      toggle('--no-trunc', 'Do not shorten'),
      { ...toggle('--orphans', 'Containers of services that are no longer in the file'), default: true },
      { ...toggle('--no-orphans', 'Leave those out'), hidden: true },
    ],
    load: async () => (await import('./commands/ps.ts')).run,
  },
  {
    name: 'logs',
    operands: services,
    summary: 'Show the output of containers',
    example: 'tscompose logs -f --tail 20 web',
    flags: [
      toggle('-f, --follow', 'Go on as more comes'),
      { ...text('-n, --tail <lines>', 'Only the last lines of each container'), default: 'all' },
      text('--since <time>', 'Since a time (2026-01-02T13:23:37Z) or a span (42m)'),
      text('--until <time>', 'Until a time or a span ago'),
      toggle('-t, --timestamps', 'Times before the lines'),
      toggle('--no-color', 'No colours'),
      toggle('--no-log-prefix', 'No names before the lines'),
      index,
    ],
    load: async () => (await import('./commands/logs.ts')).run,
  },
  {
    name: 'exec',
    operands: '<service> [command...]',
    summary: 'Execute a command in a running container',
    example: 'tscompose exec web sh -c "id"',
    passesThrough: true,
    flags: [
      toggle('-d, --detach', 'Do not wait for its end'),
      list('-e, --env <key=value>', 'Set a variable'),
      toggle('-T, --no-TTY', 'No terminal'),
      text('-u, --user <user>', 'Run as this user'),
      text('-w, --workdir <path>', 'Working directory'),
      toggle('--privileged', 'With all capabilities'),
      index,
      hiddenToggle('-i, --interactive'),
      hiddenToggle('-t, --tty'),
    ],
    load: async () => (await import('./commands/exec.ts')).run,
  },
  {
    name: 'run',
    operands: '<service> [command...]',
    summary: 'Run a one-off command in a container of its own',
    example: 'tscompose run --rm api node --version',
    passesThrough: true,
    flags: [
      toggle('--rm', 'Remove the container when it has ended'),
      toggle('-d, --detach', 'Run in the background and print its name'),
      list('-e, --env <key=value>', 'Set a variable'),
      list('--env-from-file <path>', 'Set variables from a file'),
      { ...toggle('-i, --interactive', 'Keep stdin open'), default: true },
      hiddenToggle('--no-interactive'),
      toggle('-T, --no-TTY', 'No terminal'),
      hiddenToggle('-t, --tty'),
      list('-l, --label <key=value>', 'Set a label'),
      list('-p, --publish <port>', 'Publish a port'),
      toggle('-P, --service-ports', 'Publish the ports of the service'),
      list('-v, --volume <volume>', 'Mount a volume or a folder'),
      text('-u, --user <user>', 'Run as this user'),
      text('-w, --workdir <path>', 'Working directory'),
      text('--name <name>', 'Name of the container'),
      text('--entrypoint <command>', "Instead of the service's entrypoint"),
      list('--cap-add <name>', 'Add a capability'),
      list('--cap-drop <name>', 'Drop a capability'),
      toggle('--no-deps', 'Do not start the services it depends on'),
      toggle('--use-aliases', "Answer to the service's names on its networks"),
      toggle('--remove-orphans', 'Remove containers of services that are no longer in the file'),
      toggle('--build', 'Build the image first (nothing is built yet)'),
      text('--pull <policy>', 'When to pull the image (nothing is pulled yet)'),
      toggle('-q, --quiet', 'Say less'),
      toggle('--quiet-build', 'Build without progress'),
      toggle('--quiet-pull', 'Pull without progress'),
    ],
    load: async () => (await import('./commands/run.ts')).run,
  },
  {
    name: 'start',
    operands: services,
    summary: 'Start containers that are there',
    example: 'tscompose start web',
    flags: [toggle('--wait', 'Wait until all run or are healthy'), integer('--wait-timeout <seconds>', 'Most seconds to wait')],
    load: async () => (await import('./commands/lifecycle.ts')).start,
  },
  {
    name: 'stop',
    operands: services,
    summary: 'Stop containers',
    example: 'tscompose stop -t 3 worker',
    flags: [timeout],
    load: async () => (await import('./commands/lifecycle.ts')).stop,
  },
  {
    name: 'restart',
    operands: services,
    summary: 'Restart containers',
    example: 'tscompose restart api',
    flags: [timeout, toggle('--no-deps', 'Do not restart dependants')],
    load: async () => (await import('./commands/lifecycle.ts')).restart,
  },
  {
    name: 'kill',
    operands: services,
    summary: 'Send a signal to containers',
    example: 'tscompose kill -s SIGHUP web',
    flags: [signal, toggle('--remove-orphans', 'Remove containers of services that are no longer in the file')],
    load: async () => (await import('./commands/kill.ts')).run,
  },
  {
    name: 'pause',
    operands: services,
    summary: 'Freeze containers',
    example: 'tscompose pause worker',
    flags: [],
    load: async () => (await import('./commands/lifecycle.ts')).pause,
  },
  {
    name: 'unpause',
    operands: services,
    summary: 'Thaw containers',
    example: 'tscompose unpause worker',
    flags: [],
    load: async () => (await import('./commands/lifecycle.ts')).unpause,
  },
  {
    name: 'rm',
    operands: services,
    summary: 'Remove stopped containers',
    example: 'tscompose rm --stop --force worker',
    flags: [
      toggle('-f, --force', 'Do not ask'),
      toggle('-s, --stop', 'Stop them first'),
      toggle('-v, --volumes', 'Remove their anonymous volumes too'),
      hiddenToggle('-a, --all'),
    ],
    load: async () => (await import('./commands/rm.ts')).run,
  },
  {
    name: 'create',
    operands: services,
    summary: 'Create containers without starting them',
    example: 'tscompose create',
    flags: [...imageFlags, ...recreateFlags, toggle('-y, --yes', 'Answer every question with yes')],
    load: async () => (await import('./commands/create.ts')).run,
  },
  {
    name: 'scale',
    operands: '[service=number...]',
    summary: 'Change how many containers services have',
    example: 'tscompose scale api=3',
    flags: [toggle('--no-deps', 'Leave out the services they depend on')],
    load: async () => (await import('./commands/scale.ts')).run,
  },
  {
    name: 'wait',
    operands: '<services...>',
    summary: 'Wait until the first container has ended',
    example: 'tscompose wait migrate',
    flags: [toggle('--down-project', 'Then take the project down')],
    load: async () => (await import('./commands/wait.ts')).run,
  },
  {
    name: 'watch',
    operands: services,
    summary: 'Follow files and bring changes into containers',
    example: 'tscompose watch web',
    flags: [
      toggle('--no-up', 'Do not start services first'),
      toggle('--quiet', 'Say less'),
      { ...toggle('--prune', 'Remove old images: has no effect'), hidden: true },
    ],
    load: async () => (await import('./commands/watch.ts')).run,
  },
  {
    name: 'events',
    operands: services,
    summary: 'Tell what happens to containers',
    example: 'tscompose events --json',
    flags: [toggle('--json', 'One JSON object a line')],
    load: async () => (await import('./commands/events.ts')).run,
  },
  {
    name: 'top',
    operands: services,
    summary: 'Show the processes of containers',
    example: 'tscompose top api',
    flags: [],
    load: async () => (await import('./commands/top.ts')).run,
  },
  {
    name: 'port',
    operands: '<service> <port>',
    summary: "Show the host's address of a port",
    example: 'tscompose port web 80',
    flags: [index, choice('--protocol <name>', 'tcp or udp', ['tcp', 'udp', 'sctp'], 'tcp')],
    load: async () => (await import('./commands/port.ts')).run,
  },
  {
    name: 'config',
    aliases: ['convert'],
    operands: services,
    summary: 'Check the files and show what they mean',
    example: 'tscompose config --format json',
    flags: [
      choice('--format <kind>', 'yaml or json', ['yaml', 'json'], 'yaml'),
      toggle('-q, --quiet', 'Only check'),
      text('-o, --output <path>', 'Write to a file'),
      toggle('--services', 'Names of services'),
      toggle('--images', 'Names of images'),
      toggle('--volumes', 'Names of volumes'),
      toggle('--networks', 'Names of networks'),
      toggle('--profiles', 'Names of profiles'),
      toggle('--environment', 'Variables that the files can use'),
      text('--hash <services>', 'Fingerprints of services; "*" for all'),
    ],
    load: async () => (await import('./commands/config.ts')).run,
  },
  {
    name: 'ls',
    operands: '',
    summary: 'List the projects of this machine',
    example: 'tscompose ls --all',
    flags: [
      toggle('-a, --all', 'Stopped ones too'),
      toggle('-q, --quiet', 'Names only'),
      list('--filter <name=pattern>', 'Projects with such a name'),
      { ...text('--format <kind>', 'table or json'), default: 'table' },
    ],
    load: async () => (await import('./commands/ls.ts')).run,
  },
  {
    name: 'version',
    operands: '',
    summary: 'Show the version',
    example: 'tscompose version --short',
    flags: [{ ...text('-f, --format <kind>', 'pretty or json'), default: 'pretty' }, toggle('--short', 'The number only')],
    load: async () => (await import('./commands/version.ts')).run,
  },
];
