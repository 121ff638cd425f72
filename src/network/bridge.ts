/** The bridge of a network: made when it is missing, completed when a crash left it half made, never taken from somebody else. */

import { TscomposeError } from '../errors.ts';
import { macOf } from './addresses.ts';
import { ipv4Range, ipv4Text, isAddress, parseCidr } from './ip.ts';
import { linkAlias } from './link-names.ts';
import type { Message } from './netlink/codec.ts';
import { Errno } from './netlink/errno.ts';
import { type Answer, networkFailure, type NetlinkQueue } from './netlink/queue.ts';
import {
  allowLoopbackRouting,
  getLink,
  type Link,
  newAddress,
  newBridge,
  newLoopbackRoute,
  readLink,
  setLink,
  withoutIpv6Address,
} from './netlink/route.ts';
import type { RemoveLinks } from './removal.ts';

export interface BridgeSpec {
  /** Of the network: "shop_default". */
  readonly network: string;
  readonly project: string;
  /** Name of the link: `bridgeName(network)`, or what com.docker.network.bridge.name says. */
  readonly bridge: string;
  /** "10.89.0.1" */
  readonly gateway: string;
  /** Bits of the subnet's prefix. */
  readonly prefix: number;
  readonly mtu?: number;
  readonly gateway6?: string;
  readonly prefix6?: number;
}

/** Makes the bridge and puts it up. @throws NETWORK_FAILED, VALUE_INVALID */
export async function ensureBridge(queue: NetlinkQueue, remove: RemoveLinks, spec: BridgeSpec): Promise<void> {
  checkSpec(spec);
  const alias = linkAlias(spec);
  const [created, found] = await queue.send('', createMessages(spec));
  if (!created || !found) throw new TscomposeError('NETWORK_FAILED', `creating bridge ${spec.bridge}: no answer`);
  const link = bridgeMadeOrFound(spec, alias, created, found);
  try {
    await finishBridge(queue, spec, alias, link);
  } catch (error) {
    if (created.errno === 0) await remove([spec.bridge]).catch(() => undefined);
    throw error;
  }
}

/** A fixed MAC address: without one the bridge takes the lowest of its ports and changes it whenever containers come and go. */
function createMessages(spec: BridgeSpec): Message[] {
  const mtu = spec.mtu === undefined ? {} : { mtu: spec.mtu };
  return [newBridge({ name: spec.bridge, mac: macOf(spec.gateway), ...mtu }), getLink(spec.bridge)];
}

function bridgeMadeOrFound(spec: BridgeSpec, alias: string, created: Answer, found: Answer): Link {
  if (created.errno !== 0 && created.errno !== Errno.exists) throw networkFailure(created);
  const link = found.messages.map(readLink).find((candidate) => candidate !== undefined);
  if (!link) throw networkFailure(found);
  /* Without a label it was left half made, if it has the MAC address that only we would have given it. */
  const isOurs = link.kind === 'bridge' && (link.alias === alias || (link.alias === '' && link.mac === macOf(spec.gateway)));
  if (created.errno === 0 || isOurs) return link;
  throw new TscomposeError(
    'NETWORK_FAILED',
    `a link named ${spec.bridge} is there already and is not the bridge of network ${spec.network}`,
  );
}

async function finishBridge(queue: NetlinkQueue, spec: BridgeSpec, alias: string, link: Link): Promise<void> {
  const subnet = parseCidr(`${spec.gateway}/${spec.prefix}`);
  const broadcast = subnet ? { broadcast: ipv4Text(ipv4Range(subnet).last) } : {};
  const messages = [
    ...(spec.gateway6 === undefined ? [withoutIpv6Address({ name: spec.bridge })] : []),
    setLink(link.index, { alias, up: true }),
    allowLoopbackRouting(spec.bridge),
    newAddress({ link: link.index, address: spec.gateway, prefix: spec.prefix, ...broadcast }),
  ];
  if (spec.gateway6 !== undefined) {
    messages.push(
      newAddress({ link: link.index, address: spec.gateway6, prefix: spec.prefix6 ?? 64 }),
      newLoopbackRoute(link.index),
    );
  }
  await queue.mustSend('', messages, [Errno.exists, Errno.familyNotSupported]);
}

function checkSpec(spec: BridgeSpec): void {
  const isGood =
    /^[^\s/:]{1,15}$/.test(spec.bridge) && isAddress(spec.gateway) && parseCidr(`${spec.gateway}/${spec.prefix}`)?.family === 4;
  if (!isGood)
    throw new TscomposeError(
      'VALUE_INVALID',
      `network ${spec.network}: bridge ${spec.bridge} with ${spec.gateway}/${spec.prefix} is not possible`,
    );
}
