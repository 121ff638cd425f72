/**
 * The firewall of a project: one table that says which ports are published, keeps networks apart, and closes everything else.
 * Pure.
 *
 * In nft's words (IPv6 alike where a network has it):
 *   raw          not from lo, to or from 127.0.0.0/8: drop  (route_localnet on our bridges would open loopback otherwise)
 *   prerouting,  to one of the host's own addresses: dnat to the map's entry for (address, protocol, port), then (protocol, port)
 *   output       the same, for connections from the host itself
 *   postrouting  masquerade what leaves a network, what comes from loopback, and what returns to its own bridge (hairpin)
 *   forward      accept known connections, published ports and traffic within a bridge; drop the rest into or between bridges
 *   input        an internal network reaches nothing of the host either
 */

import { TscomposeError } from '../errors.ts';
import { bytesOf, type Cidr, familyOf, isAddress, maskBytes, parseCidr } from './ip.ts';
import {
  type Expression,
  ifAddress,
  ifDestinationIsLocal,
  ifDestinationWasRewritten,
  ifEstablished,
  ifFamily,
  ifLink,
  ifLinkIn,
  interfaceName,
  masquerade,
  rewriteDestination,
  verdict,
} from './nft/expressions.ts';
import { type Chain, concatenate, type DataType, type Ruleset, type SetDefinition, type SetElement } from './nft/ruleset.ts';

export interface FirewallInput {
  readonly networks: readonly FirewallNetwork[];
  readonly ports: readonly FirewallPort[];
}

export interface FirewallNetwork {
  /** Name of the link. */
  readonly bridge: string;
  /** "10.89.0.0/24" */
  readonly subnet: string;
  readonly subnet6?: string;
  /** Nothing in, nothing out. */
  readonly internal: boolean;
  /** false: containers' own addresses are seen outside (com.docker.network.bridge.enable_ip_masquerade); default true. */
  readonly masquerade?: boolean;
  /** false: containers of this network do not reach each other (com.docker.network.bridge.enable_icc); default true. */
  readonly betweenContainers?: boolean;
}

/** One published port. For IPv6 give a second one whose container address is IPv6. */
export interface FirewallPort {
  /** "" (or "0.0.0.0", "::") is every address of the host. */
  readonly hostIp: string;
  readonly published: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly containerIp: string;
  readonly target: number;
}

/** Names of tables end at 255 bytes (NFT_NAME_MAXLEN). */
const TABLE_NAME_MAX = 255;
const TABLE_PREFIX = 'tscompose-';

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;

const setIds = { bridges: 1, internal: 2, pub4: 3, pub4a: 4, pub6: 5, pub6a: 6 } as const;

/** @throws NAME_INVALID when the project's name is too long for a table. */
export function tableName(project: string): string {
  const name = `${TABLE_PREFIX}${project}`;
  if (new TextEncoder().encode(name).length <= TABLE_NAME_MAX && /^[a-z0-9][a-z0-9_-]*$/.test(project)) return name;
  throw new TscomposeError('NAME_INVALID', `project name "${project.slice(0, 60)}" cannot name a firewall table`, {
    hint: `use at most ${TABLE_NAME_MAX - TABLE_PREFIX.length} lower-case letters, digits, "-" and "_"`,
  });
}

/** The project a table belongs to; undefined for tables of others. */
export function projectOfTable(table: string): string | undefined {
  return table.startsWith(TABLE_PREFIX) ? table.slice(TABLE_PREFIX.length) : undefined;
}

/** @throws NAME_INVALID, VALUE_INVALID for addresses, prefixes, ports or links that are none, CONFLICT for a port given twice. */
export function firewallRules(project: string, input: FirewallInput): Ruleset {
  const networks = input.networks.map(readNetwork);
  const hasIpv6 = networks.some(({ subnet6 }) => subnet6 !== undefined);
  return {
    table: tableName(project),
    comment: `owner: tscompose, project ${project}`,
    sets: [...linkSets(networks), ...portMaps(input.ports)],
    chains: [
      { name: 'raw', type: 'filter', hook: 'prerouting', priority: -300, rules: loopbackRules(networks) },
      { name: 'pre', type: 'nat', hook: 'prerouting', priority: -100, rules: publishedRules(hasIpv6) },
      { name: 'out', type: 'nat', hook: 'output', priority: -100, rules: publishedRules(hasIpv6) },
      { name: 'post', type: 'nat', hook: 'postrouting', priority: 100, rules: masqueradeRules(networks) },
      { name: 'forward', type: 'filter', hook: 'forward', priority: 0, rules: forwardRules(networks) },
      { name: 'input', type: 'filter', hook: 'input', priority: 0, rules: inputRules() },
    ] satisfies Chain[],
  };
}

interface ReadNetwork extends Omit<FirewallNetwork, 'subnet' | 'subnet6'> {
  readonly subnet: Cidr;
  readonly subnet6: Cidr | undefined;
}

function readNetwork(network: FirewallNetwork): ReadNetwork {
  if (!/^[^\s/:]{1,15}$/.test(network.bridge)) throw invalid(`"${network.bridge}" is no name of a link`);
  const subnet6 = network.subnet6 === undefined ? undefined : readCidr(network.subnet6, 6);
  return { ...network, subnet: readCidr(network.subnet, 4), subnet6 };
}

function readCidr(text: string, family: 4 | 6): Cidr {
  const cidr = parseCidr(text);
  if (cidr?.family !== family) throw invalid(`"${text}" is no IPv${family} prefix`);
  return cidr;
}

function linkSets(networks: readonly ReadNetwork[]): SetDefinition[] {
  const elements = (some: readonly ReadNetwork[]) => some.map(({ bridge }) => ({ key: interfaceName(bridge) }));
  return [
    { name: 'bridges', id: setIds.bridges, key: ['ifname'], elements: elements(networks) },
    { name: 'internal', id: setIds.internal, key: ['ifname'], elements: elements(networks.filter(({ internal }) => internal)) },
  ];
}

/**
 * Four maps: ports published on every address have no address in their key, those of one address have. So a lookup costs the same
 * for the first port and the five-thousandth.
 */
function portMaps(ports: readonly FirewallPort[]): SetDefinition[] {
  const elements = { pub4: new ElementList(), pub4a: new ElementList(), pub6: new ElementList(), pub6a: new ElementList() };
  for (const port of ports) {
    checkPort(port);
    const family = familyOf(port.containerIp);
    const everywhere = ['', '0.0.0.0', '::'].includes(port.hostIp);
    if (!everywhere && familyOf(port.hostIp) !== family)
      throw invalid(`${port.hostIp} cannot publish a port of ${port.containerIp}`);
    const service = [Uint8Array.of(protocolNumbers[port.protocol]), portBytes(port.published)];
    const key = everywhere ? concatenate(...service) : concatenate(bytesOf(port.hostIp), ...service);
    elements[`pub${family}${everywhere ? '' : 'a'}`].add(
      { key, data: concatenate(bytesOf(port.containerIp), portBytes(port.target)) },
      port,
    );
  }
  const map = (name: keyof typeof elements, address: DataType, withAddress: boolean): SetDefinition => ({
    name,
    id: setIds[name],
    key: withAddress ? [address, 'inet_proto', 'inet_service'] : ['inet_proto', 'inet_service'],
    data: [address, 'inet_service'],
    elements: elements[name].items,
  });
  return [
    map('pub4', 'ipv4_addr', false),
    map('pub4a', 'ipv4_addr', true),
    map('pub6', 'ipv6_addr', false),
    map('pub6a', 'ipv6_addr', true),
  ];
}

/** Elements whose keys differ; the kernel would answer EEXIST for the whole transaction without saying which. */
class ElementList {
  readonly items: SetElement[] = [];
  private readonly keys = new Set<string>();

  add(element: SetElement, port: FirewallPort): void {
    const key = element.key.join('.');
    if (this.keys.has(key)) {
      throw new TscomposeError(
        'CONFLICT',
        `host port ${port.hostIp ? `${port.hostIp}:` : ''}${port.published}/${port.protocol} is published twice`,
      );
    }
    this.keys.add(key);
    this.items.push(element);
  }
}

function checkPort(port: FirewallPort): void {
  const isPort = (number: number) => Number.isInteger(number) && number >= 1 && number <= 65535;
  if (!isPort(port.published) || !isPort(port.target)) throw invalid(`${port.published}:${port.target} are no port numbers`);
  if (!isAddress(port.containerIp)) throw invalid(`"${port.containerIp}" is no address`);
  if (port.hostIp !== '' && !isAddress(port.hostIp)) throw invalid(`"${port.hostIp}" is no address`);
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 255);
}

const loopback4 = { bytes: Uint8Array.of(127, 0, 0, 0), mask: Uint8Array.of(255, 0, 0, 0) };
const loopback6 = { bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), mask: new Uint8Array(16).fill(255) };

/**
 * Destination NAT comes before routing, so the kernel's own check for loopback addresses on the wire comes too late: a neighbour
 * could reach what is published on 127.0.0.1 by routing 127.0.0.1 to us.
 */
function loopbackRules(networks: readonly ReadNetwork[]): Expression[][] {
  const fromWire = ifLink('in', false, 'lo');
  const rules = [
    [...fromWire, ...ifAddress(4, 'destination', loopback4), ...verdict('drop')],
    [...fromWire, ...ifAddress(4, 'source', loopback4), ...verdict('drop')],
  ];
  if (networks.some(({ subnet6 }) => subnet6 !== undefined))
    rules.push([...fromWire, ...ifAddress(6, 'destination', loopback6), ...verdict('drop')]);
  return rules;
}

function publishedRules(hasIpv6: boolean): Expression[][] {
  return (hasIpv6 ? ([4, 6] as const) : ([4] as const)).flatMap((family) => {
    const rule = (withAddress: boolean) => {
      const map = `pub${family}${withAddress ? 'a' : ''}` as 'pub4' | 'pub4a' | 'pub6' | 'pub6a';
      return [
        ...ifFamily(family),
        ...ifDestinationIsLocal(),
        ...rewriteDestination({ family, withAddress, map, mapId: setIds[map] }),
      ];
    };
    return [rule(true), rule(false)];
  });
}

function masqueradeRules(networks: readonly ReadNetwork[]): Expression[][] {
  return [
    [...ifLinkIn('out', 'bridges', setIds.bridges), ...ifAddress(4, 'source', loopback4), ...masquerade()],
    [...ifLinkIn('out', 'bridges', setIds.bridges), ...ifAddress(6, 'source', loopback6), ...masquerade()],
    ...networks.flatMap((network) =>
      prefixesOf(network).flatMap((prefix) => {
        const source = ifAddress(prefix.family, 'source', { bytes: prefix.bytes, mask: maskBytes(prefix) });
        const hairpin = [...ifLink('out', true, network.bridge), ...source, ...ifDestinationWasRewritten(), ...masquerade()];
        const outward = [...ifLink('out', false, network.bridge), ...source, ...masquerade()];
        return network.internal || network.masquerade === false ? [hairpin] : [hairpin, outward];
      }),
    ),
  ];
}

function prefixesOf(network: ReadNetwork): Cidr[] {
  return network.subnet6 ? [network.subnet, network.subnet6] : [network.subnet];
}

/** Traffic within a bridge comes here, too, where bridge-nf-call-iptables is on. */
function forwardRules(networks: readonly ReadNetwork[]): Expression[][] {
  const within = networks.map(({ bridge, betweenContainers }) => [
    ...ifLink('in', true, bridge),
    ...ifLink('out', true, bridge),
    ...verdict(betweenContainers === false ? 'drop' : 'accept'),
  ]);
  return [
    ...within.filter((_rule, index) => networks[index]?.internal),
    [...ifLinkIn('in', 'internal', setIds.internal), ...verdict('drop')],
    [...ifLinkIn('out', 'internal', setIds.internal), ...verdict('drop')],
    [...ifEstablished(), ...verdict('accept')],
    [...ifLinkIn('out', 'bridges', setIds.bridges), ...ifDestinationWasRewritten(), ...verdict('accept')],
    ...within.filter((_rule, index) => !networks[index]?.internal),
    [...ifLinkIn('out', 'bridges', setIds.bridges), ...verdict('drop')],
  ];
}

/** Answers to what the host asked of an internal network come through; new connections to the host do not. */
function inputRules(): Expression[][] {
  return [
    [...ifEstablished(), ...verdict('accept')],
    [...ifLinkIn('in', 'internal', setIds.internal), ...verdict('drop')],
  ];
}

function invalid(message: string): TscomposeError {
  return new TscomposeError('VALUE_INVALID', message);
}
