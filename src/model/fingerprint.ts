import { createHash } from 'node:crypto';
import type { NetworkSpec, Project, Service, VolumeSpec } from './project.ts';

/**
 * Equal fingerprints mean: need not be recreated. What only tells when or how many (depends_on, replicas, profiles,
 * watch rules, pull policy) does not count, as in docker compose's config hash. The networks and the names of the volumes it uses do
 * count, so that a replacement that was interrupted half way is still seen afterwards.
 */
export function fingerprintService(service: Service, project: Project): string {
  const { replicas: _r, dependsOn: _d, profiles: _p, watch: _w, pullPolicy: _q, attach: _a, ...counted } = service;
  const grants = [...service.configs, ...service.secrets].map((grant) => grant.source);
  const sources = [...project.configs, ...project.secrets].filter((source) => grants.includes(source.key));
  const attached = service.networks.map((attachment) => attachment.network);
  const networks = project.networks.filter((network) => attached.includes(network.key)).map(fingerprintNetwork);
  const mounted = service.mounts.map((mount) => (mount.type === 'volume' ? mount.source : undefined));
  const volumes = project.volumes.filter((volume) => mounted.includes(volume.key)).map((volume) => volume.name);
  return digest({ counted, sources, networks, volumes });
}

export function fingerprintNetwork(network: NetworkSpec): string {
  const { key: _key, labels: _labels, ...counted } = network;
  return digest(counted);
}

export function fingerprintVolume(volume: VolumeSpec): string {
  const { key: _key, labels: _labels, ...counted } = volume;
  return digest(counted);
}

function digest(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/** JSON with sorted keys and without undefined values, so that equal values give equal text. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(',')}}`;
}
