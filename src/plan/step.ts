import type { NetworkSpec, Service, VolumeSpec } from '../model/project.ts';

/**
 * A container named in a step: one that is there already (`id`), or the one that an earlier `create-container` step of the same
 * plan makes under this name (no `id`).
 */
export interface ContainerRef {
  readonly name: string;
  readonly service: string;
  readonly id?: string;
}

/** One effect each; whoever carries it out decides nothing. */
export type Step =
  | { readonly do: 'create-network'; readonly network: NetworkSpec; readonly fingerprint: string }
  | { readonly do: 'remove-network'; readonly name: string }
  | { readonly do: 'create-volume'; readonly volume: VolumeSpec; readonly fingerprint: string }
  | { readonly do: 'remove-volume'; readonly name: string }
  | {
      readonly do: 'create-container';
      readonly name: string;
      readonly service: Service;
      readonly number: number;
      readonly oneOff: boolean;
      readonly fingerprint: string;
      /** Id of the container it takes the place of; its anonymous volumes pass on. */
      readonly replaces?: string;
    }
  | { readonly do: 'start-container'; readonly container: ContainerRef }
  | { readonly do: 'stop-container'; readonly container: ContainerRef; readonly graceMs?: number }
  | { readonly do: 'kill-container'; readonly container: ContainerRef; readonly signal: string }
  | { readonly do: 'pause-container'; readonly container: ContainerRef }
  | { readonly do: 'unpause-container'; readonly container: ContainerRef }
  | { readonly do: 'remove-container'; readonly container: ContainerRef; readonly volumes: boolean }
  | {
      /** Holds back dependants; fails when the condition can no longer come true. */
      readonly do: 'wait-container';
      readonly container: ContainerRef;
      readonly until: 'started' | 'healthy' | 'completed' | 'running-or-healthy';
      readonly timeoutMs?: number;
      /** false: a failure is a warning (depends_on … required: false). */
      readonly required: boolean;
    };

export interface PlannedStep {
  /** Its index in the plan's list. */
  readonly id: number;
  readonly step: Step;
  /** Why: "not there", "image changed (a:1 → a:2)", "no longer in the file". Shown, logged and tested. */
  readonly because: string;
  /** Ids of the steps that must have ended before. */
  readonly after: readonly number[];
}

export interface Plan {
  readonly project: string;
  readonly steps: readonly PlannedStep[];
  /** What the user should know: orphans left alone, and so on. */
  readonly notices: readonly string[];
}
