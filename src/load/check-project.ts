import type { Diagnostics } from './diagnostics.ts';
import { isAddress, rangeOf } from './short-forms.ts';
import { childOf, entriesOf, isNull, itemsOf, type MapNode, type Mark, type Node, textOf } from './source.ts';

/** Checks across services and of the resources beside them. */

/** Services that wait for one another would wait for ever. */
export function checkCycles(services: MapNode, diagnostics: Diagnostics): void {
  const state = new Map<string, 'open' | 'done'>();
  for (const start of services.entries.keys()) {
    if (state.has(start)) continue;
    // An explicit stack: a chain of thousands of services must not overflow ours.
    const stack: { name: string; rest: [string, Mark][] }[] = [{ name: start, rest: dependenciesOf(services, start) }];
    state.set(start, 'open');
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const next = top.rest.shift();
      if (!next) {
        state.set(top.name, 'done');
        stack.pop();
      } else if (state.get(next[0]) === 'open') {
        const names = stack.map(({ name }) => name);
        const chain = [...names.slice(names.indexOf(next[0])), next[0]];
        diagnostics.error(
          'DEPENDENCY_CYCLE',
          `services depend on one another: ${chain.join(' → ')}`,
          next[1],
          'remove one of these dependencies',
        );
      } else if (!state.has(next[0]) && services.entries.has(next[0])) {
        state.set(next[0], 'open');
        stack.push({ name: next[0], rest: dependenciesOf(services, next[0]) });
      }
    }
  }
}

function dependenciesOf(services: MapNode, name: string): [string, Mark][] {
  return entriesOf(childOf(services, name, 'depends_on')).map(([target, { keyAt }]) => [target, keyAt]);
}

/** Two services that run together, or two replicas, cannot publish the same port of the host. */
export function checkPublishedPorts(services: MapNode, diagnostics: Diagnostics): void {
  const taken = new Map<string, string>();
  for (const [name, { value }] of services.entries) {
    const replicas = Number(textOf(childOf(value, 'scale') ?? childOf(value, 'deploy', 'replicas')) ?? 1);
    if (replicas === 0) continue;
    for (const port of itemsOf(childOf(value, 'ports'))) checkPublishedPort({ name, replicas, port, taken, diagnostics });
  }
}

function checkPublishedPort({
  name,
  replicas,
  port,
  taken,
  diagnostics,
}: {
  name: string;
  replicas: number;
  port: Node;
  taken: Map<string, string>;
  diagnostics: Diagnostics;
}): void {
  const published = childOf(port, 'published');
  const range = rangeOf(textOf(published) ?? '');
  if (!published || !range || range[0] !== range[1] || range[0] === 0) return;
  const protocol = textOf(childOf(port, 'protocol')) ?? 'tcp';
  const shown = `${range[0]}/${protocol}`;
  const key = `${normalHost(textOf(childOf(port, 'host_ip')))} ${shown}`;
  const other = taken.get(key);
  const hint = 'publish another port, or a range of them such as "8000-8010:80"';
  if (other !== undefined && other !== name)
    diagnostics.error('CONFLICT', `the services "${other}" and "${name}" both publish the port ${shown}`, published.at, hint);
  else if (replicas > 1)
    diagnostics.error(
      'CONFLICT',
      `the service "${name}" has ${replicas} replicas, which cannot all publish the port ${shown}`,
      published.at,
      hint,
    );
  taken.set(key, other ?? name);
}

function normalHost(host: string | undefined): string {
  return host === undefined || host === '0.0.0.0' || host === '::' ? '' : host;
}

/** What an external resource may still have. */
const externalKeys: Readonly<Record<string, readonly string[]>> = {
  networks: ['external', 'name', 'internal', 'attachable'],
  volumes: ['external', 'name'],
  configs: ['external', 'name', 'template_driver'],
  secrets: ['external', 'name', 'template_driver'],
};

/** Networks, volumes, configs and secrets: what external ones may have, where content comes from, subnets. */
export function checkResources(model: MapNode, diagnostics: Diagnostics): void {
  for (const kind of ['networks', 'volumes', 'configs', 'secrets'] as const) checkResourcesOf(model, kind, diagnostics);
}

function checkResourcesOf(model: MapNode, kind: 'networks' | 'volumes' | 'configs' | 'secrets', diagnostics: Diagnostics): void {
  for (const [key, { value, keyAt }] of entriesOf(childOf(model, kind))) {
    const isExternal = textOf(childOf(value, 'external')) === 'true';
    if (isExternal) checkExternal({ kind, key, value, diagnostics });
    else if (kind === 'configs' || kind === 'secrets') checkSource({ kind, key, value, keyAt, diagnostics });
    else if (kind === 'networks') checkSubnets(key, value, diagnostics);
  }
}

function checkExternal({
  kind,
  key,
  value,
  diagnostics,
}: {
  kind: string;
  key: string;
  value: Node;
  diagnostics: Diagnostics;
}): void {
  const allowed = externalKeys[kind] ?? [];
  for (const [attribute, entry] of entriesOf(value)) {
    if (attribute.startsWith('x-') || allowed.includes(attribute) || isNull(entry.value)) continue;
    diagnostics.error(
      'CONFLICT',
      `${kind}.${key} is external, so it cannot have "${attribute}"`,
      entry.keyAt,
      'what is external is made elsewhere; remove one of the two',
    );
  }
}

function checkSource({
  kind,
  key,
  value,
  keyAt,
  diagnostics,
}: {
  kind: string;
  key: string;
  value: Node;
  keyAt: Mark;
  diagnostics: Diagnostics;
}): void {
  const sources = ['file', 'environment', 'content'].filter((name) => childOf(value, name) && !isNull(childOf(value, name)));
  if (childOf(value, 'driver') || sources.length === 1) return;
  const wanted = kind === 'configs' ? '"file", "content" or "environment"' : '"file" or "environment"';
  if (sources.length === 0) diagnostics.error('FILE_INVALID', `${kind}.${key} has no source`, keyAt, `add ${wanted}`);
  else
    diagnostics.error(
      'CONFLICT',
      `${kind}.${key} has ${sources.map((source) => `"${source}"`).join(' and ')}`,
      keyAt,
      `keep one of ${wanted}`,
    );
}

function checkSubnets(key: string, network: Node, diagnostics: Diagnostics): void {
  for (const pool of itemsOf(childOf(network, 'ipam', 'config'))) {
    for (const name of ['subnet', 'ip_range']) {
      const node = childOf(pool, name);
      const text = textOf(node);
      if (node && text && !isSubnet(text))
        diagnostics.error('VALUE_INVALID', `networks.${key}: "${text}" is no subnet`, node.at, 'write it like 172.28.0.0/16');
    }
  }
}

function isSubnet(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/');
  return rest.length === 0 && isAddress(address) && /^\d{1,3}$/.test(bits) && Number(bits) <= (address.includes(':') ? 128 : 32);
}
