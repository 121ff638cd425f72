import { createHash } from 'node:crypto';
import type { NetworkSpec, Project, Service, VolumeSpec } from './project.ts';

/**
 * Equal fingerprints mean: need not be recreated. What only tells when or how many (depends_on, replicas, profiles,
 * watch rules, pull policy) does not count, as in docker compose's config hash.
 */
export function fingerprintService(service: Service, project: Project): string {
  const { replicas: _r, dependsOn: _d, profiles: _p, watch: _w, pullPolicy: _q, attach: _a, ...counted } = service;
  const grants = [...service.configs, ...service.secrets].map((grant) => grant.source);
  const sources = [...project.configs, ...project.secrets].filter((source) => grants.includes(source.key));
  return digest({ counted, sources });
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
