/** Networks and containers' places on them, as they are remembered: subnets, addresses, names. */

import { existsSync } from 'node:fs';
import type { CreateContainer } from '../apply/machine.ts';
import { TscomposeError } from '../errors.ts';
import type { Attachment } from '../model/observed.ts';
import type { NetworkAttachment, NetworkSpec, Service } from '../model/project.ts';
import { dropNetwork, freeAddress, leaseOf, macOf, type NetworkLease, takeAddress, takeSubnet } from '../network/addresses.ts';
import { bridgeName, hostLinkName } from '../network/link-names.ts';
import type { ContainerRecord, NetworkRecord } from '../state/record.ts';
import { evenWhenFull, type World } from './world.ts';

/** Gives a network its subnet and its bridge, and remembers it. @throws EXTERNAL_MISSING, SUBNET_TAKEN … */
export async function createNetwork(world: World, spec: NetworkSpec, fingerprint: string): Promise<void> {
  const lease = spec.external ? await externalLease(world, spec) : await leaseSubnet(world, spec);
  const bridge = spec.driverOpts['com.docker.network.bridge.name'] ?? bridgeName(spec.name);
  const record: NetworkRecord = { spec, fingerprint, bridge, subnet: lease.subnet, gateway: lease.gateway };
  if (!spec.external) await ensureBridge(world, record);
  else if (!existsSync(`/sys/class/net/${bridge}`)) throw externalMissing(spec);
  world.store.record.networks = [...otherNetworks(world, spec.name), record];
  await world.store.save();
}

/** Makes the bridge of a network that is remembered, should it be missing: after a reboot they all are. */
export async function ensureBridge(world: World, { spec, bridge, subnet, gateway }: NetworkRecord): Promise<void> {
  const mtu = Number(spec.driverOpts['com.docker.network.driver.mtu'] ?? '');
  await world.networks.ensureBridge({
    network: spec.name,
    project: world.project,
    bridge,
    gateway,
    prefix: prefixOf(subnet),
    ...(mtu > 0 ? { mtu } : {}),
  });
}

/** Removes a network of ours; an external one is only forgotten. */
export async function removeNetwork(world: World, name: string): Promise<void> {
  const record = networkRecord(world, name);
  if (record && !record.spec.external) {
    await world.networks.removeBridge(record.bridge);
    await evenWhenFull(world.changeLeases((leases) => dropNetwork(leases, name)));
  }
  world.store.record.networks = otherNetworks(world, name);
  await evenWhenFull(world.store.save());
}

/** An address on each of the service's networks, taken for this container until it is removed. */
export async function leaseAddresses(world: World, id: string, request: CreateContainer): Promise<Attachment[]> {
  if (request.service.networkMode.kind !== 'bridge') return [];
  const wanted = inOrder(request.service.networks).map((attachment) => ({
    attachment,
    network: networkByKey(world, attachment.network),
  }));
  if (wanted.length === 0) return [];
  const attachments: Attachment[] = [];
  await world.changeLeases((before) => {
    let leases = before;
    attachments.length = 0;
    for (const [index, { attachment, network }] of wanted.entries()) {
      const taken = takeAddress(leases, network.spec.name, id, attachment.ipv4Address);
      leases = taken.leases;
      attachments.push({
        network: network.spec.name,
        ipv4: taken.address,
        prefix: taken.prefix,
        gateway: taken.gateway,
        mac: attachment.macAddress ?? request.service.macAddress ?? macOf(taken.address),
        aliases: aliasesOf(request, attachment, id),
        hostLink: hostLinkName(id, network.spec.name),
        interfaceName: attachment.interfaceName ?? `eth${index}`,
      });
    }
    return leases;
  });
  return attachments;
}

export async function dropLeases(world: World, record: ContainerRecord): Promise<void> {
  if (record.attachments.length === 0) return;
  await world.changeLeases((before) =>
    record.attachments.reduce((leases, { network }) => freeAddress(leases, network, record.id), before),
  );
}

export function networkRecord(world: World, name: string): NetworkRecord | undefined {
  return world.store.record.networks.find((network) => network.spec.name === name);
}

/** Of the networks a service is on, the one its default route goes through comes from the highest gw_priority; then the first. */
export function gatewayNetwork(world: World, service: Service): string | undefined {
  const [first] = [...inOrder(service.networks)].sort((a, b) => b.gwPriority - a.gwPriority);
  return first && networkByKey(world, first.network).spec.name;
}

function networkByKey(world: World, key: string): NetworkRecord {
  const record = world.store.record.networks.find((network) => network.spec.key === key);
  if (!record) throw new TscomposeError('NETWORK_FAILED', `network "${key}" is not there`, { hint: 'run "up" again' });
  return record;
}

/** eth0 is the network with the highest priority; among equals the first by name, as docker has it. */
function inOrder(networks: readonly NetworkAttachment[]): NetworkAttachment[] {
  return [...networks].sort((a, b) => b.priority - a.priority || (a.network < b.network ? -1 : 1));
}

/** A one-off container answers to its own name only, unless `run --use-aliases` gave its service aliases. */
function aliasesOf(request: CreateContainer, attachment: NetworkAttachment, id: string): string[] {
  const own = [request.name, id.slice(0, 12)];
  const ofService = request.oneOff ? [] : [request.service.name];
  return [...new Set([...ofService, ...own, ...attachment.aliases])];
}

async function leaseSubnet(world: World, spec: NetworkSpec): Promise<NetworkLease> {
  const inUse = await world.networks.hostPrefixes();
  const [pool] = spec.ipam;
  let lease: NetworkLease | undefined;
  await world.changeLeases((before) => {
    const leases = takeSubnet(
      before,
      {
        network: spec.name,
        project: world.project,
        ...(pool?.subnet === undefined ? {} : { subnet: pool.subnet }),
        ...(pool?.gateway === undefined ? {} : { gateway: pool.gateway }),
        ...(pool?.ipRange === undefined ? {} : { ipRange: pool.ipRange }),
        auxAddresses: Object.values(pool?.auxAddresses ?? {}),
      },
      inUse,
    );
    lease = leaseOf(leases, spec.name);
    return leases;
  });
  if (!lease) throw new TscomposeError('NETWORK_FAILED', `network ${spec.name} got no subnet`);
  return lease;
}

async function externalLease(world: World, spec: NetworkSpec): Promise<NetworkLease> {
  let lease: NetworkLease | undefined;
  await world.changeLeases((leases) => {
    lease = leaseOf(leases, spec.name);
    return leases;
  });
  if (!lease) throw externalMissing(spec);
  return lease;
}

function externalMissing(spec: NetworkSpec): TscomposeError {
  return new TscomposeError('EXTERNAL_MISSING', `network "${spec.name}" is declared external, but there is none`, {
    hint: 'start the project it belongs to, or remove "external: true"',
  });
}

function otherNetworks(world: World, name: string): NetworkRecord[] {
  return world.store.record.networks.filter((network) => network.spec.name !== name);
}

function prefixOf(subnet: string): number {
  return Number(subnet.split('/')[1]);
}
