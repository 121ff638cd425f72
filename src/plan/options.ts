import type { Service } from '../model/project.ts';

/** What `up` and `create` may ask of the planner. */
export interface PlanOptions {
  /** Empty: all. Their dependencies come along unless noDeps. */
  readonly services: readonly string[];
  readonly noDeps: boolean;
  readonly recreate: 'changed' | 'always' | 'never';
  readonly alwaysRecreateDeps: boolean;
  readonly removeOrphans: boolean;
  /** false: only lay containers down, as `create` does. */
  readonly start: boolean;
  /** Service → number of containers, in place of the file's. */
  readonly scale: Readonly<Record<string, number>>;
  readonly wait: boolean;
  readonly waitTimeoutMs?: number;
  /** Grace on stop in place of the services' own. */
  readonly timeoutMs?: number;
  readonly renewAnonVolumes: boolean;
}

/** `up` without any flag. */
export const defaultPlanOptions: PlanOptions = {
  services: [],
  noDeps: false,
  recreate: 'changed',
  alwaysRecreateDeps: false,
  removeOrphans: false,
  start: true,
  scale: {},
  wait: false,
  renewAnonVolumes: false,
};

/** What `down` may ask of the planner. */
export interface DownPlanOptions {
  /** Empty: everything the project made. */
  readonly services: readonly string[];
  /** Also named volumes that are not external, and anonymous ones. */
  readonly volumes: boolean;
  /** Only of use together with `services`: without them orphans go in any case. */
  readonly removeOrphans: boolean;
  readonly timeoutMs?: number;
}

export interface StartOptions {
  readonly services: readonly string[];
  readonly wait: boolean;
  readonly waitTimeoutMs?: number;
}

export interface StopOptions {
  readonly services: readonly string[];
  /** In place of the services' own grace. */
  readonly graceMs?: number;
}

export interface RestartOptions {
  readonly services: readonly string[];
  readonly graceMs?: number;
  /** Leave dependants with `depends_on … restart: true` alone. */
  readonly noDeps: boolean;
}

export interface KillOptions {
  readonly services: readonly string[];
  /** "SIGKILL", "HUP", "9" */
  readonly signal: string;
}

export interface PauseOptions {
  readonly services: readonly string[];
}

export interface RemoveOptions {
  readonly services: readonly string[];
  /** Stop them first; otherwise running containers stay. */
  readonly stop: boolean;
  /** Their anonymous volumes too. */
  readonly volumes: boolean;
}

export interface RunOptions {
  readonly service: string;
  /** The service as the flags of `run` changed it. */
  readonly spec: Service;
  /** Default "PROJECT-SERVICE-run-N". */
  readonly name?: string;
  readonly noDeps: boolean;
  /** false: it does not answer to the aliases of the service's networks. */
  readonly useAliases: boolean;
}
