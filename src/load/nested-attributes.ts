import {
  anything,
  boolean,
  bytes,
  duration,
  either,
  type Fields,
  field,
  integer,
  keyValues,
  later,
  listOf,
  mapOf,
  number,
  object,
  oneOf,
  oneOrList,
  required,
  type Shape,
  text,
  textual,
  andThen,
} from './shapes.ts';
import { command, extraHosts, grant, ulimit } from './short-forms.ts';
import type { Diagnostics } from './diagnostics.ts';
import { entriesOf, list, mappingOf, type Node, scalar, textOf, withEntry } from './source.ts';

/** The objects inside a service: build, deploy, develop, hooks (compose "build", "deploy", "develop"). */

/** The attributes of `build`; whether they act is said once, for `build` itself. */
const buildFields: Fields = {
  additional_contexts: field(keyValues(), 'Further folders, images or services to copy from'),
  args: field(keyValues(), 'Build arguments'),
  cache_from: field(listOf(text), 'Where to look for layers'),
  cache_to: field(listOf(text), 'Where to keep layers'),
  context: field(text, 'The folder to build from; default .'),
  dockerfile: field(text, 'The Dockerfile, relative to the context'),
  dockerfile_inline: field(text, 'The text of the Dockerfile'),
  entitlements: field(listOf(text), 'Privileges of the build'),
  extra_hosts: field(extraHosts, 'Further lines of /etc/hosts'),
  isolation: field(text, 'Isolation technology (Windows)'),
  labels: field(keyValues(), 'Labels of the image'),
  network: field(text, 'The network of RUN'),
  no_cache: field(boolean, 'Build everything anew'),
  no_cache_filter: field(oneOrList(text), 'Stages to build anew'),
  platforms: field(listOf(text), 'Platforms to build for'),
  privileged: field(boolean, 'Give RUN everything the host has'),
  provenance: field(textual, 'Attest how it was built'),
  pull: field(boolean, 'Pull base images even if they are there'),
  sbom: field(textual, 'Attest what is in it'),
  secrets: field(listOf(grant), 'Secrets for RUN'),
  shm_size: field(bytes, 'Size of /dev/shm'),
  ssh: field(sshKeys(), 'SSH agents or keys for RUN: default, or ID=PATH'),
  tags: field(listOf(text), 'Further names of the image'),
  target: field(text, 'The stage to stop at'),
  ulimits: field(mapOf(ulimit), 'Resource limits of RUN'),
};

export const build: Shape = either(
  { scalar: andThen(text, (node) => mappingOf({ context: node }, node.at)), map: object(buildFields) },
  'a folder, or a mapping',
);

const hookFields: Fields = {
  command: required(command, 'the command to run'),
  user: field(textual, 'Who runs it'),
  privileged: field(boolean, 'With all privileges'),
  working_dir: field(text, 'Where it runs'),
  environment: field(keyValues(), 'Further environment variables'),
};

/** `post_start`, `pre_stop` and `exec` of a watch rule. */
export const hook: Shape = object(hookFields);

export const preStartHook: Shape = object({
  ...hookFields,
  command: field(command, 'The command to run'),
  image: field(text, 'An image of its own'),
  per_replica: field(boolean, 'Once for each replica'),
});

const deviceFields: Fields = {
  capabilities: field(listOf(text), 'What it must be able to do'),
  count: field(andThen(textual, countOrAll), 'How many, or all'),
  device_ids: field(listOf(text), 'Which'),
  driver: field(text, 'Whose'),
  options: field(keyValues(), "The driver's options"),
};

/** One entry of `gpus`. */
export const gpuRequest: Shape = andThen(object(deviceFields), withCount);

const deviceRequest: Shape = andThen(
  object({ ...deviceFields, capabilities: required(listOf(text), 'what it must be able to do') }),
  withCount,
);

/** Without a count and without names, all devices are meant. */
function withCount(node: Node): Node {
  const isOpen = node.kind === 'map' && !node.entries.has('count') && !node.entries.has('device_ids');
  return isOpen ? withEntry(node, 'count', scalar(-1, node.at)) : node;
}

/** A map, or a list of ID=PATH; canonical form: the list. */
function sshKeys(): Shape {
  return andThen(keyValues({ noun: 'ID=PATH' }), (node) => {
    const lines = entriesOf(node).map(([id, { value }]) =>
      scalar(textOf(value) === undefined ? id : `${id}=${textOf(value)}`, value.at),
    );
    return list(lines, node.at);
  });
}

function countOrAll(node: Node, path: string, diagnostics: Diagnostics): Node | undefined {
  if (textOf(node) === 'all') return scalar(-1, node.at);
  return integer(-1).read(node, path, diagnostics);
}

const updateConfig: Shape = object({
  parallelism: field(integer(0), 'How many at once'),
  delay: field(duration, 'Time between two'),
  failure_action: field(oneOf('continue', 'rollback', 'pause'), 'What to do when one fails'),
  monitor: field(duration, 'How long to watch for failures'),
  max_failure_ratio: field(number(0), 'How many may fail'),
  order: field(oneOf('start-first', 'stop-first'), 'The new one before the old one stops, or after'),
});

const resourceFields = {
  cpus: field(number(0), 'Processors'),
  memory: field(bytes, 'Memory'),
};

export const deploy: Shape = object({
  mode: field(
    oneOf('replicated', 'global', 'replicated-job', 'global-job'),
    'replicated is the only one that differs from none here',
  ),
  endpoint_mode: later(text, 'How a cluster names the service'),
  replicas: field(integer(0), 'How many containers'),
  labels: later(keyValues(), 'Labels of the service in a cluster'),
  placement: later(
    object({
      constraints: field(listOf(text), 'Where it may run'),
      preferences: field(listOf(object({ spread: field(text, 'What to spread over') })), 'Where it would best run'),
      max_replicas_per_node: field(integer(0), 'How many on one machine'),
    }),
    'Where in a cluster it runs',
  ),
  resources: field(
    object({
      limits: field(object({ ...resourceFields, pids: field(integer(-1), 'Processes') }), 'What it may use at most'),
      reservations: field(
        object({
          cpus: later(number(0), 'Processors that are kept for it'),
          memory: field(bytes, 'Memory that is kept for it'),
          generic_resources: later(listOf(anything), 'Resources of a cluster'),
          devices: later(listOf(deviceRequest), 'Devices it needs'),
        }),
        'What is kept for it',
      ),
    }),
    'Limits and reservations',
  ),
  restart_policy: field(
    object({
      condition: field(oneOf('none', 'on-failure', 'any'), 'When to start it again; default any'),
      delay: later(duration, 'Time before it starts again'),
      max_attempts: field(integer(0), 'How often at most'),
      window: later(duration, 'How long it must run to count as started'),
    }),
    'When to start it again, unless `restart` says so',
  ),
  update_config: later(updateConfig, 'How an update replaces containers'),
  rollback_config: later(updateConfig, 'How an update is taken back'),
});

const watchRule: Shape = object({
  path: required(text, 'the file or folder to watch'),
  action: required(oneOf('rebuild', 'sync', 'restart', 'sync+restart', 'sync+exec'), 'what to do'),
  target: field(text, 'Where changed files go in the container'),
  ignore: field(oneOrList(text), 'Patterns of files to leave out'),
  include: field(oneOrList(text), 'Patterns of files to take; default: all'),
  initial_sync: field(boolean, 'Copy everything once at the start'),
  exec: field(hook, 'The command of sync+exec'),
});

export const develop: Shape = object({ watch: field(listOf(watchRule), 'Rules: what to do when which file changes') });
