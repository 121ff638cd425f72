/** The door of this room for whatever changes the kernel's network. */

import { TscomposeError } from '../errors.ts';
import { type BridgeSpec, ensureBridge } from './bridge.ts';
import { type AttachRequest, attachContainer } from './endpoint.ts';
import { type FirewallInput, firewallRules, projectOfTable, tableName } from './firewall.ts';
import { hostPrefixes, type KeptLinks, listOwnedLinks, type OwnedLink, removeOwnedLinks } from './inventory.ts';
import { decodeBatch, encodeBatch, type Message } from './netlink/codec.ts';
import { type Answer, NetlinkQueue, networkFailure, sortAnswers } from './netlink/queue.ts';
import { dropTable, dumpTables, readTableName, replaceTable } from './nft/messages.ts';
import type { NetlinkCarrier, SysctlPort } from './ports.ts';
import { createLinkRemover, type RemoveLinks } from './removal.ts';

export const NETLINK_NETFILTER = 12;

/** Every method can be run twice, and tells failures as TscomposeError. */
export class Networks {
  private readonly carrier: NetlinkCarrier;
  private readonly sysctl: SysctlPort;
  private readonly queue: NetlinkQueue;
  private readonly removeLinks: RemoveLinks;

  constructor(carrier: NetlinkCarrier, sysctl: SysctlPort) {
    this.carrier = carrier;
    this.sysctl = sysctl;
    this.queue = new NetlinkQueue(carrier);
    this.removeLinks = createLinkRemover(this.queue);
  }

  /** Turns packet forwarding on when it is off; it is left on, since others may rely on it by then. */
  async enableForwarding(ipv6 = false): Promise<void> {
    for (const path of ipv6 ? ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'] : ['net/ipv4/ip_forward']) {
      if ((await this.sysctl.readSysctl(path)).trim() === '0') await this.sysctl.writeSysctl(path, '1');
    }
  }

  ensureBridge(spec: BridgeSpec): Promise<void> {
    return ensureBridge(this.queue, this.removeLinks, spec);
  }

  removeBridge(bridge: string): Promise<void> {
    return this.removeLinks([bridge]);
  }

  attach(request: AttachRequest): Promise<void> {
    return attachContainer(this.queue, this.removeLinks, request);
  }

  /** Removes veth pairs by their host ends; calls of one moment share one removal. */
  detach(hostLinks: readonly string[]): Promise<void> {
    return this.removeLinks(hostLinks);
  }

  listOwned(project?: string): Promise<OwnedLink[]> {
    return listOwnedLinks(this.queue, project);
  }

  removeOwned(project: string, kept: KeptLinks): Promise<string[]> {
    return removeOwnedLinks(this.queue, this.removeLinks, project, kept);
  }

  hostPrefixes(): Promise<string[]> {
    return hostPrefixes(this.queue);
  }

  /** Replaces the project's table in one transaction. @throws CONFLICT, VALUE_INVALID, NAME_INVALID, NETWORK_FAILED */
  async applyFirewall(project: string, input: FirewallInput): Promise<void> {
    await this.netfilter(replaceTable(firewallRules(project, input)));
  }

  async removeFirewall(project: string): Promise<void> {
    await this.netfilter(dropTable(tableName(project)));
  }

  /** Projects that have a table. */
  async listFirewalls(): Promise<string[]> {
    const [answer] = await this.netfilter([dumpTables()]);
    return (answer?.messages ?? []).flatMap((message) => projectOfTable(readTableName(message) ?? '') ?? []);
  }

  /** All messages in one sendmsg(2): a transaction is not to be cut. */
  private async netfilter(messages: readonly Message[]): Promise<Answer[]> {
    const received = decodeBatch(await this.carrier.netlink('', NETLINK_NETFILTER, encodeBatch(messages, 1)));
    const answers = sortAnswers(messages, 1, received);
    const failed = answers.find(({ errno }) => errno !== 0);
    if (failed) throw networkFailure(failed);
    if (received.length === 0) throw new TscomposeError('NETWORK_FAILED', `${messages[0]?.purpose}: the kernel did not answer`);
    return answers;
  }
}
