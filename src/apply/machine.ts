import type { ContainerChange } from '../events.ts';
import type { Observed, ObservedContainer } from '../model/observed.ts';
import type { NetworkSpec, Project, Service, VolumeSpec } from '../model/project.ts';

/**
 * The one port for effects: apply and supervise see time and the world only through it. `wire.ts` builds the real one from the
 * effect rooms; the tests have a simulated one whose every operation can fail, or be the last before a crash.
 * Every operation can be run twice: what is already as asked is no error.
 */
export interface Machine {
  /** Milliseconds on a clock that never jumps. */
  now(): number;
  /** Resolves after `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;

  observe(): Promise<Observed>;
  /** The container as it is now; undefined when it is gone. */
  inspect(id: string): ObservedContainer | undefined;
  /** Calls `listener` on every change of any container of the project; returns the way to stop it. */
  onChange(listener: (change: ContainerChange) => void): () => void;

  /** Fails before any effect with IMAGE_…, BIND_SOURCE_MISSING, PORT_TAKEN … when these services could not be started here. */
  preflight(project: Project, services: readonly Service[], replaced: readonly string[]): Promise<void>;

  createNetwork(network: NetworkSpec, fingerprint: string): Promise<void>;
  removeNetwork(name: string): Promise<void>;
  createVolume(volume: VolumeSpec, fingerprint: string): Promise<void>;
  removeVolume(name: string): Promise<void>;

  /** Lays a container down without a process; returns its id. */
  createContainer(request: CreateContainer): Promise<string>;
  /** Starts it; resolves when its program is executing. @throws LAUNCH_FAILED, COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, PORT_TAKEN … */
  startContainer(id: string): Promise<void>;
  /** Stop signal, grace, SIGKILL; resolves when it is dead. `graceMs` overrides the service's. */
  stopContainer(id: string, graceMs?: number): Promise<void>;
  killContainer(id: string, signal: string): Promise<void>;
  pauseContainer(id: string): Promise<void>;
  unpauseContainer(id: string): Promise<void>;
  /** Removes a container that is not running, and its anonymous volumes when asked. */
  removeContainer(id: string, volumes: boolean): Promise<void>;

  /** Runs a command in the container, as health checks and hooks do. Output is cut at 4 KiB. 124-like: `timedOut`. */
  probe(id: string, command: readonly string[], timeoutMs: number): Promise<ProbeResult>;
  /** Remembers and announces a container's health. */
  setHealth(id: string, health: 'starting' | 'healthy' | 'unhealthy'): void;
}

export interface CreateContainer {
  readonly name: string;
  readonly service: Service;
  readonly number: number;
  readonly oneOff: boolean;
  readonly fingerprint: string;
  readonly replaces?: string;
}

export interface ProbeResult {
  readonly exitCode: number;
  readonly timedOut: boolean;
  readonly output: string;
}
