/** The three files every container has from its engine: /etc/hosts, /etc/resolv.conf, /etc/hostname. Pure. */

import type { Attachment } from '../model/observed.ts';
import type { Service } from '../model/project.ts';

/** hosts(5): loopback, what extra_hosts says, and the container's own addresses under its hostname. */
export function renderHosts(service: Service, hostname: string, attachments: readonly Attachment[]): string {
  const lines = [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'ff00::0\tip6-mcastprefix',
    'ff02::1\tip6-allnodes',
    'ff02::2\tip6-allrouters',
  ];
  for (const { host, ip } of service.extraHosts) {
    const address = ip === 'host-gateway' ? (attachments[0]?.gateway ?? '127.0.0.1') : ip;
    lines.push(`${address}\t${host}`);
  }
  const names = service.domainname ? `${hostname}.${service.domainname} ${hostname}` : hostname;
  for (const attachment of attachments) lines.push(`${attachment.ipv4}\t${names}`);
  return `${lines.join('\n')}\n`;
}

/** resolv.conf(5). ndots:0, as docker has it: a service's bare name is asked for as it is first. */
export function renderResolvConf(service: Service, nameservers: readonly string[], hostSearch: readonly string[]): string {
  const search = service.dnsSearch.length > 0 ? service.dnsSearch.filter((domain) => domain !== '.') : hostSearch;
  const options = service.dnsOpt.some((option) => option.startsWith('ndots:')) ? service.dnsOpt : ['ndots:0', ...service.dnsOpt];
  const lines = nameservers.map((address) => `nameserver ${address}`);
  if (search.length > 0) lines.push(`search ${search.join(' ')}`);
  lines.push(`options ${options.join(' ')}`);
  return `${lines.join('\n')}\n`;
}

export function renderHostname(hostname: string): string {
  return `${hostname}\n`;
}
