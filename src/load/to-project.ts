import type { FileSource, IpamPool, NetworkSpec, Project, StringMap, VolumeSpec } from '../model/project.ts';
import { toService } from './to-service.ts';
import { childOf, entriesOf, itemsOf, type MapNode, type Node, textOf } from './source.ts';
import { flag, pick, stringMap } from './values.ts';

/** What a checked model still needs to become a project. */
export interface ProjectParts {
  readonly name: string;
  readonly workingDir: string;
  readonly configFiles: readonly string[];
  readonly model: MapNode;
  /** The selected services, completed. */
  readonly services: MapNode;
  readonly inactive: readonly string[];
}

/** The typed project, with the resources its selected services use. */
export function toProject({ name, workingDir, configFiles, model, services, inactive }: ProjectParts): Project {
  const typed = entriesOf(services).map(([key, { value }]) => toService(key, value));
  const uses = {
    networks: new Set(typed.flatMap((service) => service.networks.map((attachment) => attachment.network))),
    volumes: new Set(
      typed.flatMap((service) =>
        service.mounts.flatMap((mount) => (mount.type === 'volume' && mount.source !== undefined ? [mount.source] : [])),
      ),
    ),
    configs: new Set(typed.flatMap((service) => service.configs.map((grant) => grant.source))),
    secrets: new Set(typed.flatMap((service) => service.secrets.map((grant) => grant.source))),
  };
  const used = (kind: keyof typeof uses) =>
    entriesOf(childOf(model, kind))
      .filter(([key]) => uses[kind].has(key))
      .sort(byKey);
  return {
    name,
    workingDir,
    configFiles,
    services: typed.sort((a, b) => compareText(a.name, b.name)),
    inactiveServices: [...inactive].sort(),
    networks: used('networks').map(([key, { value }]) => toNetwork(key, value)),
    volumes: used('volumes').map(([key, { value }]) => toVolume(key, value)),
    configs: used('configs').map(([key, { value }]) => toFileSource(key, value)),
    secrets: used('secrets').map(([key, { value }]) => toFileSource(key, value)),
  };
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return compareText(a, b);
}

/** By code units, so that the order does not depend on a locale. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function toNetwork(key: string, node: Node): NetworkSpec {
  return {
    key,
    name: textOf(childOf(node, 'name')) ?? key,
    external: flag(node, 'external'),
    driver: textOf(childOf(node, 'driver')) || 'bridge',
    driverOpts: stringMap(childOf(node, 'driver_opts')),
    internal: flag(node, 'internal'),
    enableIpv6: flag(node, 'enable_ipv6'),
    ipam: itemsOf(childOf(node, 'ipam', 'config')).map(toPool),
    labels: stringMap(childOf(node, 'labels')),
  };
}

function toPool(node: Node): IpamPool {
  return {
    ...pick(node, { subnet: 'subnet', gateway: 'gateway', ip_range: 'ipRange' }),
    auxAddresses: stringMap(childOf(node, 'aux_addresses')),
  };
}

function toVolume(key: string, node: Node): VolumeSpec {
  return {
    key,
    name: textOf(childOf(node, 'name')) ?? key,
    external: flag(node, 'external'),
    driver: textOf(childOf(node, 'driver')) || 'local',
    driverOpts: stringMap(childOf(node, 'driver_opts')),
    labels: stringMap(childOf(node, 'labels')),
  };
}

function toFileSource(key: string, node: Node): FileSource {
  const labels: StringMap = stringMap(childOf(node, 'labels'));
  const name = textOf(childOf(node, 'name')) ?? key;
  return {
    key,
    name,
    ...pick(node, { file: 'file', content: 'content', environment: 'environment' }),
    external: flag(node, 'external'),
    labels,
  };
}
