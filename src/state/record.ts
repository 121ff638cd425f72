import type { Attachment, PublishedPort } from '../model/observed.ts';
import type { NetworkSpec, Project, Service, StringMap, VolumeSpec } from '../model/project.ts';

/**
 * What is remembered of a project, in one file: written whole by the supervisor alone, read by everybody. It holds what the
 * kernel cannot tell; whether a container runs, its shim's status file says.
 */
export interface ProjectRecord {
  readonly version: 1;
  readonly project: string;
  workingDir: string;
  configFiles: readonly string[];
  networks: NetworkRecord[];
  volumes: VolumeRecord[];
  containers: ContainerRecord[];
  /** The project as the last `up` had it, for commands that come without its files. Values of secrets are not in it. */
  definition?: Project;
}

export interface NetworkRecord {
  readonly spec: NetworkSpec;
  readonly fingerprint: string;
  /** Name of the bridge. */
  readonly bridge: string;
  /** "10.89.0.0/24" */
  readonly subnet: string;
  readonly gateway: string;
}

export interface VolumeRecord {
  readonly spec: VolumeSpec;
  readonly fingerprint: string;
}

export interface ContainerRecord {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  readonly number: number;
  readonly oneOff: boolean;
  readonly fingerprint: string;
  readonly spec: Service;
  readonly labels: StringMap;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  attachments: readonly Attachment[];
  /** Filled when it starts: ports the system chose stay the same until it is removed. */
  ports: readonly PublishedPort[];
  /** Target → name of the volume made for it alone. */
  readonly anonymousVolumes: StringMap;
  stoppedByUser: boolean;
  /** It has been started at least once, so that after a reboot it counts as exited and not as new. */
  everStarted: boolean;
}

export function emptyRecord(project: string): ProjectRecord {
  return { version: 1, project, workingDir: '', configFiles: [], networks: [], volumes: [], containers: [] };
}

/** The record in a file's text; undefined when the text is damaged or of another version. */
export function parseRecord(text: string, project: string): ProjectRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isRecord(value, project) ? value : undefined;
}

function isRecord(value: unknown, project: string): value is ProjectRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record = value as Partial<ProjectRecord>;
  return (
    record.version === 1 &&
    record.project === project &&
    Array.isArray(record.networks) &&
    record.networks.every((network) => typeof network?.bridge === 'string' && typeof network.spec?.name === 'string') &&
    Array.isArray(record.volumes) &&
    record.volumes.every((volume) => typeof volume?.spec?.name === 'string') &&
    Array.isArray(record.containers) &&
    record.containers.every(isContainer)
  );
}

function isContainer(value: unknown): value is ContainerRecord {
  const container = value as Partial<ContainerRecord> | null;
  return (
    typeof container === 'object' &&
    container !== null &&
    typeof container.id === 'string' &&
    /^[0-9a-f]{64}$/.test(container.id) &&
    typeof container.name === 'string' &&
    typeof container.spec?.name === 'string' &&
    Array.isArray(container.attachments) &&
    Array.isArray(container.ports)
  );
}
