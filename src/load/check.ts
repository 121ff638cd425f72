import { parseBytes } from '../model/units.ts';
import { type Diagnostics, nearest } from './diagnostics.ts';
import { checkHonoured } from './check-honoured.ts';
import { checkCycles, checkResources } from './check-project.ts';
import { isAddress } from './short-forms.ts';
import { childOf, entriesOf, isNull, itemsOf, type MapNode, type Mark, type Node, textOf } from './source.ts';

/** What each attribute alone cannot show: references, contradictions, cycles (compose-go's consistency checks, and some of ours). */

/** What the checks look at. */
export interface Checked {
  /** Services that profiles left in, completed. */
  readonly services: MapNode;
  /** Names of the ones profiles left out. */
  readonly inactive: readonly string[];
  readonly model: MapNode;
}

export function checkModel(checked: Checked, diagnostics: Diagnostics): void {
  for (const [name, { value, keyAt }] of checked.services.entries) {
    const context: ServiceContext = { ...checked, name, service: value, keyAt, diagnostics };
    for (const check of serviceChecks) check(context);
  }
  checkCycles(checked.services, diagnostics);
  checkResources(checked.model, diagnostics);
  checkHonoured(checked.services, checked.model, diagnostics);
}

interface ServiceContext extends Checked {
  readonly name: string;
  readonly service: Node;
  readonly keyAt: Mark;
  readonly diagnostics: Diagnostics;
}

const serviceChecks: readonly ((context: ServiceContext) => void)[] = [
  checkImage,
  checkDependencies,
  checkNetworks,
  checkNetworkMode,
  checkSharedNamespaces,
  checkMounts,
  checkGrants,
  checkHealth,
  checkReplicas,
  checkLimits,
  checkWatch,
  checkAddresses,
  checkBuild,
  checkDevices,
];

function checkImage({ service, name, keyAt, diagnostics }: ServiceContext): void {
  const has = (key: string) => childOf(service, key) !== undefined && !isNull(childOf(service, key));
  if (has('image') && textOf(childOf(service, 'image')) !== '') return;
  const build = childOf(service, 'build');
  if (build && !isNull(build))
    diagnostics.error(
      'UNSUPPORTED_ATTRIBUTE',
      `the service "${name}" has only "build", which is not supported yet`,
      build.at,
      'name an "image" as well',
    );
  else if (has('provider'))
    diagnostics.error('UNSUPPORTED_ATTRIBUTE', `the service "${name}" has a provider, which is not supported yet`, keyAt);
  else
    diagnostics.error(
      'FILE_INVALID',
      `the service "${name}" has neither "image" nor "build"`,
      keyAt,
      'add "image:", e.g. "image: nginx" or "image: host:/usr"',
    );
}

function checkDependencies(context: ServiceContext): void {
  const { service, services, inactive, name, diagnostics } = context;
  for (const [target, { value, keyAt }] of entriesOf(childOf(service, 'depends_on'))) {
    if (services.entries.has(target)) {
      if (textOf(childOf(value, 'condition')) === 'service_healthy' && hasNoHealthCheck(services, target)) {
        diagnostics.error(
          'REFERENCE_UNDEFINED',
          `the service "${name}" waits for "${target}" to be healthy, but "${target}" has its health check switched off`,
          keyAt,
          'give it a health check, or wait for "service_started"',
        );
      }
      continue;
    }
    if (textOf(childOf(value, 'required')) === 'false') continue;
    if (inactive.includes(target)) {
      diagnostics.error(
        'REFERENCE_UNDEFINED',
        `the service "${name}" depends on "${target}", which no active profile includes`,
        keyAt,
        `activate its profile with --profile, or write "required: false"`,
      );
    } else {
      undefinedReference(context, { noun: 'service', target, at: keyAt, known: services.entries.keys() });
    }
  }
}

function hasNoHealthCheck(services: MapNode, target: string): boolean {
  const check = childOf(services, target, 'healthcheck');
  return textOf(childOf(check, 'disable')) === 'true' || textOf(itemsOf(childOf(check, 'test'))[0]) === 'NONE';
}

function undefinedReference(
  { name, diagnostics }: ServiceContext,
  wanted: { noun: string; target: string; at: Mark; known: Iterable<string> },
): void {
  const near = nearest(wanted.target, wanted.known);
  const hint = near === undefined ? `define it under "${wanted.noun}s:"` : `did you mean "${near}"?`;
  diagnostics.error(
    'REFERENCE_UNDEFINED',
    `the service "${name}" refers to the ${wanted.noun} "${wanted.target}", which is not defined`,
    wanted.at,
    hint,
  );
}

function keysOf(model: MapNode, kind: string): Set<string> {
  return new Set(entriesOf(childOf(model, kind)).map(([key]) => key));
}

function checkNetworks(context: ServiceContext): void {
  const known = keysOf(context.model, 'networks');
  for (const [target, { keyAt }] of entriesOf(childOf(context.service, 'networks'))) {
    if (target !== 'default' && !known.has(target)) undefinedReference(context, { noun: 'network', target, at: keyAt, known });
  }
}

function checkNetworkMode({ service, name, diagnostics }: ServiceContext): void {
  const mode = childOf(service, 'network_mode');
  if (!mode || isNull(mode)) return;
  const networks = childOf(service, 'networks');
  if (networks && entriesOf(networks).length > 0) {
    diagnostics.error('CONFLICT', `the service "${name}" has both "network_mode" and "networks"`, mode.at, 'keep one of the two');
    return;
  }
  const text = textOf(mode) ?? '';
  if (/^(none|host|bridge|service:.+)$/.test(text)) return;
  if (/^container:/.test(text))
    diagnostics.error(
      'UNSUPPORTED_ATTRIBUTE',
      `"network_mode: ${text}" is not supported yet`,
      mode.at,
      'share the network of a service of this file: "service:NAME"',
    );
  else
    diagnostics.error(
      'VALUE_INVALID',
      `"${text}" is no network mode`,
      mode.at,
      'write none, host, bridge or service:NAME; a network of the file goes under "networks:"',
    );
}

function checkSharedNamespaces(context: ServiceContext): void {
  for (const key of ['network_mode', 'ipc', 'pid', 'uts']) {
    const node = childOf(context.service, key);
    const text = textOf(node) ?? '';
    const target = /^service:(.*)$/.exec(text)?.[1];
    if (!node) continue;
    if (target !== undefined && !context.services.entries.has(target))
      undefinedReference(context, { noun: 'service', target, at: node.at, known: context.services.entries.keys() });
    if (key !== 'network_mode' && text.startsWith('container:'))
      context.diagnostics.error(
        'UNSUPPORTED_ATTRIBUTE',
        `"${key}: ${text}" is not supported yet`,
        node.at,
        'share with a service of this file: "service:NAME"',
      );
  }
}

function checkMounts(context: ServiceContext): void {
  const { service, diagnostics, name } = context;
  const known = keysOf(context.model, 'volumes');
  const targets = new Set<string>();
  for (const mount of itemsOf(childOf(service, 'volumes'))) {
    checkMount(context, mount, known);
    targets.add(trimmedPath(textOf(childOf(mount, 'target')) ?? ''));
  }
  for (const node of itemsOf(childOf(service, 'tmpfs'))) {
    const target = trimmedPath((textOf(node) ?? '').split(':')[0] ?? '');
    if (!target.startsWith('/'))
      diagnostics.error('VALUE_INVALID', `the tmpfs of the service "${name}" needs an absolute path, not "${target}"`, node.at);
    if (targets.has(target))
      diagnostics.error('CONFLICT', `the service "${name}" mounts two things at ${target}`, node.at, 'keep one of them');
  }
}

function trimmedPath(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
}

function checkMount(context: ServiceContext, mount: Node, volumes: ReadonlySet<string>): void {
  const { name, diagnostics } = context;
  const [type, source, target] = ['type', 'source', 'target'].map((key) => childOf(mount, key));
  const kind = textOf(type) ?? '';
  const sourceText = textOf(source) ?? '';
  if (['image', 'npipe', 'cluster'].includes(kind))
    diagnostics.error(
      'UNSUPPORTED_ATTRIBUTE',
      `a mount of type "${kind}" is not supported yet`,
      type?.at ?? mount.at,
      'use bind, volume or tmpfs',
    );
  if (kind === 'bind' && sourceText === '')
    diagnostics.error(
      'FILE_INVALID',
      `a bind mount of the service "${name}" has no source`,
      source?.at ?? mount.at,
      'add "source:", the path on the host',
    );
  if (kind === 'volume' && sourceText !== '' && !volumes.has(sourceText))
    undefinedReference(context, { noun: 'volume', target: sourceText, at: source?.at ?? mount.at, known: volumes });
  if (kind === 'tmpfs' && sourceText !== '')
    diagnostics.error(
      'CONFLICT',
      `a tmpfs mount of the service "${name}" has a source`,
      source?.at ?? mount.at,
      'remove "source"',
    );
  const place = textOf(target) ?? '';
  if (!place.startsWith('/'))
    diagnostics.error(
      'VALUE_INVALID',
      `a mount of the service "${name}" needs an absolute path in the container, not "${place}"`,
      target?.at ?? mount.at,
    );
}

function checkGrants(context: ServiceContext): void {
  for (const kind of ['configs', 'secrets'] as const) {
    const known = keysOf(context.model, kind);
    for (const grant of itemsOf(childOf(context.service, kind))) {
      const source = childOf(grant, 'source');
      const target = textOf(source) ?? '';
      if (!known.has(target)) undefinedReference(context, { noun: kind.slice(0, -1), target, at: source?.at ?? grant.at, known });
    }
  }
}

function checkHealth({ service, name, diagnostics }: ServiceContext): void {
  const check = childOf(service, 'healthcheck');
  const test = childOf(check, 'test');
  const [first, ...rest] = itemsOf(test);
  const word = textOf(first);
  if (test && first && !['CMD', 'CMD-SHELL', 'NONE'].includes(word ?? '')) {
    diagnostics.error(
      'VALUE_INVALID',
      `the health check of "${name}" must begin with CMD, CMD-SHELL or NONE, not "${word}"`,
      first.at,
      `write ["CMD", "${word}", …], or the whole command as one text`,
    );
  } else if (first && word !== 'NONE' && rest.length === 0) {
    diagnostics.error('VALUE_INVALID', `the health check of "${name}" has no command after ${word}`, first.at);
  }
  if (check && !isNull(check) && !first && textOf(childOf(check, 'disable')) !== 'true') {
    diagnostics.warning(
      'UNSUPPORTED_ATTRIBUTE',
      `the health check of "${name}" has no "test", and taking it from the image is not supported yet`,
      check.at,
      'add "test:"',
    );
  }
}

function checkReplicas({ service, name, diagnostics }: ServiceContext): void {
  const scale = childOf(service, 'scale');
  const replicas = childOf(service, 'deploy', 'replicas');
  if (scale && replicas && textOf(scale) !== textOf(replicas)) {
    diagnostics.error(
      'CONFLICT',
      `the service "${name}" has "scale: ${textOf(scale)}" and "deploy.replicas: ${textOf(replicas)}"`,
      scale.at,
      'keep one of the two',
    );
  }
  const count = Number(textOf(scale ?? replicas) ?? 1);
  const fixed = childOf(service, 'container_name');
  if (count > 1 && fixed && !isNull(fixed)) {
    diagnostics.error(
      'CONFLICT',
      `the service "${name}" has a fixed container name and ${count} replicas`,
      fixed.at,
      'remove "container_name"',
    );
  }
}

/** A limit of the service and the same one under deploy.resources must agree. */
const twins: readonly (readonly [string, readonly string[], (text: string) => number | undefined])[] = [
  ['cpus', ['limits', 'cpus'], Number],
  ['mem_limit', ['limits', 'memory'], parseBytes],
  ['mem_reservation', ['reservations', 'memory'], parseBytes],
  ['pids_limit', ['limits', 'pids'], Number],
];

function checkLimits({ service, name, diagnostics }: ServiceContext): void {
  for (const [key, path, read] of twins) {
    const own = childOf(service, key);
    const deployed = childOf(service, 'deploy', 'resources', ...path);
    const [left, right] = [textOf(own), textOf(deployed)];
    if (own === undefined || left === undefined || right === undefined || read(left) === read(right)) continue;
    diagnostics.error(
      'CONFLICT',
      `the service "${name}" has "${key}: ${left}" and "deploy.resources.${path.join('.')}: ${right}"`,
      own.at,
      'keep one of the two',
    );
  }
}

function checkWatch({ service, name, diagnostics }: ServiceContext): void {
  for (const rule of itemsOf(childOf(service, 'develop', 'watch'))) {
    const action = textOf(childOf(rule, 'action')) ?? '';
    if (action === 'rebuild')
      diagnostics.warning(
        'UNSUPPORTED_ATTRIBUTE',
        `the watch action "rebuild" of "${name}" is not supported yet and has no effect`,
        childOf(rule, 'action')?.at ?? rule.at,
      );
    if (action.startsWith('sync') && !textOf(childOf(rule, 'target')))
      diagnostics.error(
        'FILE_INVALID',
        `a watch rule of "${name}" with the action ${action} has no "target"`,
        rule.at,
        'add "target:", the path in the container',
      );
    if (action === 'sync+exec' && !childOf(rule, 'exec'))
      diagnostics.error(
        'FILE_INVALID',
        `a watch rule of "${name}" with the action sync+exec has no "exec"`,
        rule.at,
        'add "exec:" with a "command"',
      );
  }
}

function checkAddresses({ service, name, diagnostics }: ServiceContext): void {
  const fault = (node: Node) => diagnostics.error('VALUE_INVALID', `"${textOf(node)}" is no IP address`, node.at);
  for (const port of itemsOf(childOf(service, 'ports'))) {
    const host = childOf(port, 'host_ip');
    if (host && textOf(host) && !isAddress(textOf(host) ?? '')) fault(host);
  }
  for (const [network, { value }] of entriesOf(childOf(service, 'networks'))) {
    for (const key of ['ipv4_address', 'ipv6_address']) {
      const address = childOf(value, key);
      if (address && textOf(address) && !isAddress(textOf(address) ?? ''))
        diagnostics.error(
          'VALUE_INVALID',
          `the address "${textOf(address)}" of "${name}" on the network "${network}" is no IP address`,
          address.at,
        );
    }
  }
  for (const server of itemsOf(childOf(service, 'dns'))) if (textOf(server) && !isAddress(textOf(server) ?? '')) fault(server);
}

function checkBuild({ service, name, diagnostics }: ServiceContext): void {
  const inline = childOf(service, 'build', 'dockerfile_inline');
  if (inline && childOf(service, 'build', 'dockerfile'))
    diagnostics.error(
      'CONFLICT',
      `the build of "${name}" has both "dockerfile" and "dockerfile_inline"`,
      inline.at,
      'keep one of the two',
    );
  const platforms = itemsOf(childOf(service, 'build', 'platforms'));
  const platform = textOf(childOf(service, 'platform'));
  if (platform && platforms.length > 0 && !platforms.some((node) => textOf(node) === platform)) {
    diagnostics.error(
      'CONFLICT',
      `the build of "${name}" does not make its platform "${platform}"`,
      platforms[0]?.at,
      `add "${platform}" to "build.platforms"`,
    );
  }
}

function checkDevices({ service, name, diagnostics }: ServiceContext): void {
  const requests = [
    ...itemsOf(childOf(service, 'deploy', 'resources', 'reservations', 'devices')),
    ...itemsOf(childOf(service, 'gpus')),
  ];
  for (const request of requests) {
    const count = childOf(request, 'count');
    if (count && childOf(request, 'device_ids'))
      diagnostics.error(
        'CONFLICT',
        `a device request of "${name}" has both "count" and "device_ids"`,
        count.at,
        'keep one of the two',
      );
  }
}
