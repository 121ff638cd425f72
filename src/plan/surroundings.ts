import { TscomposeError } from '../errors.ts';
import { fingerprintNetwork, fingerprintVolume } from '../model/fingerprint.ts';
import type { Observed, ObservedContainer, ObservedNetwork } from '../model/observed.ts';
import type { NetworkSpec, Project, Service, VolumeSpec } from '../model/project.ts';
import { compareNetwork, compareVolume } from './compare.ts';
import { compareText, isLive } from './container.ts';

/** One network of the selected services, and what has to happen to it. */
export interface NetworkDecision {
  readonly network: NetworkSpec;
  readonly fingerprint: string;
  /** leave · create: not there, or external and to be looked for · rebuild: other than wanted, so its containers are replaced. */
  readonly action: 'leave' | 'create' | 'rebuild';
  readonly because: string;
  /** Networks of the project that this one takes the place of; with `rebuild` its own old self. */
  readonly removed: readonly ObservedNetwork[];
}

export interface VolumeDecision {
  readonly volume: VolumeSpec;
  readonly fingerprint: string;
  readonly action: 'leave' | 'create';
  readonly because: string;
  readonly notice?: string;
}

/** What becomes of the networks these services are attached to. Networks nobody uses are not made (as docker compose does). */
export function decideNetworks(project: Project, observed: Observed, services: readonly Service[]): readonly NetworkDecision[] {
  const keys = new Set(services.flatMap((service) => service.networks.map((attachment) => attachment.network)));
  const used = project.networks.filter((network) => keys.has(network.key));
  return [...used].sort((a, b) => compareText(a.key, b.key)).map((network) => decideNetwork(network, project, observed));
}

/** What becomes of the named volumes these services mount. A volume that exists is never made again: its data would be lost. */
export function decideVolumes(project: Project, observed: Observed, services: readonly Service[]): readonly VolumeDecision[] {
  const keys = new Set(services.flatMap(volumeKeys));
  const used = project.volumes.filter((volume) => keys.has(volume.key));
  return [...used].sort((a, b) => compareText(a.key, b.key)).map((volume) => decideVolume(volume, observed));
}

/** Whether this container is, or was when it last ran, on a network of this name or key. */
export function isOnNetwork(container: ObservedContainer, network: { readonly key: string; readonly name: string }): boolean {
  if (container.attachments.length > 0) return container.attachments.some((attachment) => attachment.network === network.name);
  return container.spec.networks.some((attachment) => attachment.network === network.key);
}

/** Keys of the named volumes a service mounts. */
export function volumeKeys(service: Service): readonly string[] {
  return service.mounts.flatMap((mount) => (mount.type === 'volume' && mount.source !== undefined ? [mount.source] : []));
}

/**
 * A network cannot be made again under a container that this plan does not touch.
 * @throws CONFLICT
 */
export function requireUnused(decisions: readonly NetworkDecision[], untouched: readonly ObservedContainer[]): void {
  for (const { removed } of decisions) {
    for (const network of removed) {
      const user = untouched.find((container) => isLive(container) && isOnNetwork(container, network));
      if (user !== undefined) throw stillInUse(network, user);
    }
  }
}

function decideNetwork(network: NetworkSpec, project: Project, observed: Observed): NetworkDecision {
  const current = observed.networks.find((candidate) => candidate.name === network.name);
  const compared = compareNetwork(network, current);
  const renamed = observed.networks.filter((candidate) => isFormerSelf(candidate, network, project));
  const common = { network, fingerprint: fingerprintNetwork(network) };
  if (compared.is === 'changed' && !network.external && current !== undefined && !current.external) {
    return { ...common, action: 'rebuild', because: compared.because, removed: [current, ...renamed] };
  }
  if (renamed.length > 0) {
    const because = `name changed (${renamed[0]?.name} → ${network.name})`;
    return { ...common, action: compared.is === 'same' ? 'leave' : 'rebuild', because, removed: renamed };
  }
  if (compared.is === 'same') return { ...common, action: 'leave', because: '', removed: [] };
  const because = compared.is === 'changed' ? compared.because : network.external ? 'external, must be there' : 'not there';
  return { ...common, action: 'create', because, removed: [] };
}

/** The same network of the file under an earlier name. */
function isFormerSelf(candidate: ObservedNetwork, network: NetworkSpec, project: Project): boolean {
  if (candidate.key !== network.key || candidate.name === network.name || candidate.external) return false;
  return !project.networks.some((other) => other.name === candidate.name);
}

function decideVolume(volume: VolumeSpec, observed: Observed): VolumeDecision {
  const compared = compareVolume(
    volume,
    observed.volumes.find((candidate) => candidate.name === volume.name),
  );
  const common = { volume, fingerprint: fingerprintVolume(volume) };
  if (compared.is === 'missing')
    return { ...common, action: 'create', because: volume.external ? 'external, must be there' : 'not there' };
  if (compared.is === 'same' || volume.external) return { ...common, action: 'leave', because: '' };
  const notice = `volume ${volume.name}: ${compared.because} in the file, but it is kept as it is: making it again would lose its data`;
  return { ...common, action: 'leave', because: '', notice };
}

function stillInUse(network: ObservedNetwork, user: ObservedContainer): TscomposeError {
  return new TscomposeError(
    'CONFLICT',
    `network ${network.name} has changed and must be made again, but ${user.name} is still using it`,
    {
      service: user.service,
      hint: user.oneOff ? `end ${user.name} first` : `stop ${user.name} first, or remove it with --remove-orphans`,
    },
  );
}
