/** Names and owners of links. Linux allows 15 bytes a name, so names are hashes, and the alias says in full whose a link is. */

import { createHash } from 'node:crypto';
import { TscomposeError } from '../errors.ts';

const ALIAS_PREFIX = 'tscompose';
/** IFALIASZ without the NUL. */
const ALIAS_MAX = 255;
/** Digits of a container's id that an alias carries; folders carry as many. */
export const ALIAS_ID_DIGITS = 12;

/** Of a network's full name ("shop_default"): "br-tsc" and 9 hexadecimal digits. */
export function bridgeName(network: string): string {
  return `br-tsc${digest(network).slice(0, 9)}`;
}

/** The host's end of a container's attachment to a network: "tsc" and 12 hexadecimal digits. */
export function hostLinkName(containerId: string, network: string): string {
  return `tsc${digest(`${containerId}\0${network}`).slice(0, 12)}`;
}

/** Who owns a link. */
export interface LinkOwner {
  readonly project: string;
  readonly network: string;
  /** With a container's veth: the first 12 digits of its id. */
  readonly containerId?: string;
}

/** "tscompose:PROJECT:NETWORK[:ID12]". @throws NAME_INVALID when the names do not fit into the kernel's 255 bytes. */
export function linkAlias(owner: LinkOwner): string {
  const parts = [ALIAS_PREFIX, owner.project, owner.network];
  if (owner.containerId !== undefined) parts.push(owner.containerId.slice(0, ALIAS_ID_DIGITS));
  const alias = parts.join(':');
  const isClean = parts.every((part) => part !== '' && !/[:\0]/.test(part));
  if (isClean && new TextEncoder().encode(alias).length <= ALIAS_MAX) return alias;
  throw new TscomposeError(
    'NAME_INVALID',
    `network "${owner.network.slice(0, 80)}" of project "${owner.project.slice(0, 80)}" cannot label a link`,
    {
      hint: 'use shorter names, without ":"',
    },
  );
}

/** undefined for links of others. */
export function parseLinkAlias(alias: string): LinkOwner | undefined {
  const [prefix, project, network, containerId, ...more] = alias.split(':');
  if (prefix !== ALIAS_PREFIX || !project || !network || more.length > 0) return undefined;
  return containerId === undefined ? { project, network } : { project, network, containerId };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
