import { fingerprintNetwork, fingerprintVolume } from '../model/fingerprint.ts';
import type { ObservedContainer, ObservedNetwork, ObservedVolume } from '../model/observed.ts';
import type { NetworkSpec, Service, VolumeSpec } from '../model/project.ts';
import { describeDifferences, serviceDifferences } from './difference.ts';

/** What is there, held against what is wanted. `because` says which attributes differ, old → new. */
export type Comparison =
  | { readonly is: 'same' }
  | { readonly is: 'missing' }
  | {
      readonly is: 'changed';
      readonly because: string;
      /** The thing itself reads the same; something it uses differs. */
      readonly onlyAround?: boolean;
    };

/** A container that is there against the service it should be a container of, whose fingerprint is given. */
export function compareContainer(container: ObservedContainer | undefined, service: Service, fingerprint: string): Comparison {
  if (container === undefined) return { is: 'missing' };
  if (container.fingerprint === fingerprint) return { is: 'same' };
  const differences = serviceDifferences(container.spec, service);
  if (differences.length === 0) return { is: 'changed', because: describeSurroundings(service), onlyAround: true };
  return { is: 'changed', because: describeDifferences(differences) };
}

/** A network of the file against the one of its name. An external one is only looked at. */
export function compareNetwork(network: NetworkSpec, observed: ObservedNetwork | undefined): Comparison {
  if (observed === undefined || !observed.present) return { is: 'missing' };
  if (observed.fingerprint === fingerprintNetwork(network)) return { is: 'same' };
  if (observed.external !== network.external)
    return { is: 'changed', because: network.external ? 'is external now' : 'is no longer external' };
  return { is: 'changed', because: 'its settings changed' };
}

/** A volume of the file against the one of its name. */
export function compareVolume(volume: VolumeSpec, observed: ObservedVolume | undefined): Comparison {
  if (observed === undefined || !observed.present) return { is: 'missing' };
  return observed.fingerprint === fingerprintVolume(volume) ? { is: 'same' } : { is: 'changed', because: 'its settings changed' };
}

/** The service reads the same, so what it uses must differ: the record of a container does not hold that. */
function describeSurroundings(service: Service): string {
  const uses = [
    ...service.networks.map((attachment) => `network ${attachment.network}`),
    ...service.mounts.flatMap((mount) =>
      mount.type === 'volume' && mount.source !== undefined ? [`volume ${mount.source}`] : [],
    ),
    ...service.configs.map((grant) => `config ${grant.source}`),
    ...service.secrets.map((grant) => `secret ${grant.source}`),
  ];
  return uses.length === 0 ? 'made by another version' : `changed: ${uses.join(' or ')}`;
}
