import { TscomposeError } from '../../src/errors.ts';
import type { SimulatedContainer, SimulatedWorld } from './simulated-world.ts';

/**
 * What a container is connected to when it starts: its networks, or the namespace of the service it shares.
 * @throws NETWORK_FAILED when that is not there; PORT_TAKEN when another container has one of its ports
 */
export function connect(world: SimulatedWorld, container: SimulatedContainer): void {
  requireFreePorts(world, container);
  container.namespace = container.spec.networkMode.kind === 'service' ? lenderOf(world, container).namespace : ++world.made;
  const networks = container.spec.networks.map(({ network: key }) => {
    const network = [...world.networks.values()].findLast((candidate) => candidate.key === key && candidate.present);
    if (network === undefined) throw new TscomposeError('NETWORK_FAILED', `there is no network ${key} for ${container.name}`);
    return network;
  });
  container.links = new Map(networks.map(({ name }) => [name, world.incarnations.get(name) as number]));
  container.attachments = networks.map(({ name }, index) => ({
    network: name,
    ipv4: `172.18.${index}.${container.number + 1}`,
    prefix: 24,
    gateway: `172.18.${index}.1`,
    mac: '02:00:00:00:00:01',
    aliases: [container.service],
    hostLink: `v${container.id.slice(-8)}${index}`,
    interfaceName: `eth${index}`,
  }));
}

/** What is wrong with the connections of the containers that run: links to a network that is gone, a namespace that nobody keeps. */
export function brokenConnections(world: SimulatedWorld): readonly string[] {
  return [...world.containers.values()].filter(isUp).flatMap((container) => {
    const dead = [...container.links].filter(
      ([name, incarnation]) => world.incarnations.get(name) !== incarnation || !world.networks.has(name),
    );
    const isStranded =
      container.spec.networkMode.kind === 'service' && lenderOf(world, container).namespace !== container.namespace;
    return [
      ...dead.map(([name]) => `${container.name} hangs on a former ${name}`),
      ...(isStranded ? [`${container.name} is in a namespace that is gone`] : []),
    ];
  });
}

function lenderOf(world: SimulatedWorld, { spec, name }: SimulatedContainer): SimulatedContainer {
  const lending = spec.networkMode.kind === 'service' ? spec.networkMode.service : '';
  const lenders = [...world.containers.values()].filter((other) => other.service === lending && !other.oneOff && isUp(other));
  const [first] = lenders.sort((a, b) => a.number - b.number);
  if (first === undefined) throw new TscomposeError('NETWORK_FAILED', `${name} cannot join ${lending}: it does not run`);
  return first;
}

function requireFreePorts(world: SimulatedWorld, container: SimulatedContainer): void {
  const wanted = container.spec.ports.map((port) => port.published);
  const holder = [...world.containers.values()].find(
    (other) => other !== container && isUp(other) && other.spec.ports.some((port) => wanted.includes(port.published)),
  );
  if (holder !== undefined) throw new TscomposeError('PORT_TAKEN', `${container.name}: port of ${holder.name}`);
}

function isUp({ state }: SimulatedContainer): boolean {
  return state === 'running' || state === 'paused' || state === 'restarting';
}
