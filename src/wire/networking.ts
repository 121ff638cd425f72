/** The network of containers that run: links, firewall, names. */

import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import type { Attachment } from '../model/observed.ts';
import type { FirewallInput, FirewallPort } from '../network/firewall.ts';
import type { SysctlPort } from '../network/ports.ts';
import type { ContainerRecord, NetworkRecord } from '../state/record.ts';
import { sharedWrite } from '../state/store.ts';
import { ensureBridge, gatewayNetwork, networkRecord } from './attachments.ts';
import type { World } from './world.ts';

/** Below /proc/sys of the host's network namespace, which is the supervisor's. */
export const hostSysctls: SysctlPort = {
  readSysctl: (path) => readFile(`/proc/sys/${path}`, 'utf8'),
  writeSysctl: (path, value) => writeFile(`/proc/sys/${path}`, value),
};

/** The network namespace of a container is its shim's, for as long as the shim lives. */
export function networkNamespace(shimPid: number): string {
  return `/proc/${shimPid}/ns/net`;
}

/** Gives a container's namespace its links and addresses, and a name server on 127.0.0.11. */
export async function connectContainer(world: World, record: ContainerRecord, shimPid: number): Promise<void> {
  const netnsPath = networkNamespace(shimPid);
  await restoreBridges(world, record.attachments);
  const opened = record.attachments.length > 0 ? openNames(world, record, netnsPath) : Promise.resolve();
  const request = {
    project: world.project,
    containerId: record.id,
    netnsPath,
    pid: shimPid,
    endpoints: endpointsOf(world, record),
  };
  await Promise.all([world.networks.attach(request), opened]);
}

/** Takes a container off its networks. Its namespace may be gone already, and the links with it. */
export async function disconnectContainer(world: World, record: ContainerRecord): Promise<void> {
  if (record.attachments.length === 0) return;
  await world.names.close(record.id).catch(() => undefined);
  await world.networks.detach(record.attachments.map(({ hostLink }) => hostLink));
}

export async function openNames(world: World, record: ContainerRecord, netnsPath: string): Promise<void> {
  const internal = record.attachments.every(({ network }) => networkRecord(world, network)?.spec.internal === true);
  await world.names.open(record.id, netnsPath, { upstreams: record.spec.dns, internal });
}

/**
 * Brings the project's table and the name server's zone up to date with what runs. Calls of one moment share one transaction: fifty
 * containers started at once cost two.
 */
export function createRefresh(world: () => World): () => Promise<void> {
  let forwarding = false;
  return sharedWrite(async () => {
    const { networks, project, store } = world();
    world().names.setMembers(membersOf(world()));
    const ours = store.record.networks.filter(({ spec, bridge }) => !spec.external && existsSync(`/sys/class/net/${bridge}`));
    if (ours.length === 0) return networks.removeFirewall(project);
    if (!forwarding) await networks.enableForwarding();
    forwarding = true;
    await networks.applyFirewall(project, { networks: ours.map(firewallNetwork), ports: publishedPorts(world()) });
  });
}

/** A reboot takes the bridges away and leaves the records. */
async function restoreBridges(world: World, attachments: readonly Attachment[]): Promise<void> {
  const records = attachments.map(({ network }) => networkRecord(world, network)).filter((record) => record !== undefined);
  const missing = records.filter(({ spec, bridge }) => !spec.external && !existsSync(`/sys/class/net/${bridge}`));
  await Promise.all(missing.map((record) => ensureBridge(world, record)));
}

function endpointsOf(world: World, record: ContainerRecord) {
  const routed = gatewayNetwork(world, record.spec);
  return record.attachments.flatMap((attachment) => {
    const network = networkRecord(world, attachment.network);
    if (!network) return [];
    const gateway = network.spec.internal ? {} : { gateway: attachment.gateway };
    const { network: name, hostLink, interfaceName, ipv4, prefix, mac } = attachment;
    const gwPriority = name === routed ? 1 : 0;
    return [{ network: name, bridge: network.bridge, hostLink, interfaceName, ipv4, prefix, mac, gwPriority, ...gateway }];
  });
}

function firewallNetwork({ spec, bridge, subnet }: NetworkRecord): FirewallInput['networks'][number] {
  return {
    bridge,
    subnet,
    internal: spec.internal,
    masquerade: spec.driverOpts['com.docker.network.bridge.enable_ip_masquerade'] !== 'false',
    betweenContainers: spec.driverOpts['com.docker.network.bridge.enable_icc'] !== 'false',
  };
}

function publishedPorts(world: World): FirewallPort[] {
  return runningRecords(world).flatMap((record) => {
    const containerIp = publishingAddress(world, record);
    if (containerIp === undefined) return [];
    return record.ports.map(({ hostIp, published, protocol, target }) => ({ hostIp, published, protocol, target, containerIp }));
  });
}

/** Published ports come in where the default route goes out. */
function publishingAddress(world: World, record: ContainerRecord): string | undefined {
  const routed = gatewayNetwork(world, record.spec);
  const attachment = record.attachments.find(({ network }) => network === routed) ?? record.attachments[0];
  return attachment?.ipv4;
}

/** A container keeps its names and ports while its shim starts it again. */
function runningRecords(world: World): ContainerRecord[] {
  return world.store.record.containers.filter(({ id }) => world.live.has(id));
}

function membersOf(world: World) {
  return runningRecords(world).map((record) => ({
    id: record.id,
    name: record.name,
    attachments: record.attachments.map(({ network, ipv4, aliases }) => ({ network, ipv4, aliases })),
  }));
}
