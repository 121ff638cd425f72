/**
 * What the command line and the supervisor say to each other: one JSON object a line on `supervisor.sock` (0600).
 * A request is answered by any number of events and then one result or error, all with the request's id.
 */
import type { ErrorRecord } from '../errors.ts';
import type { Event } from '../events.ts';
import type { Observed } from '../model/observed.ts';
import type { Project } from '../model/project.ts';
import type { DownPlanOptions, PlanOptions } from '../plan/options.ts';
import type { Plan } from '../plan/step.ts';

/** Method → its parameters and its result. */
export interface ControlMethods {
  hello: { params: { version: number }; result: { version: number; pid: number; project: string } };
  observe: { params: Record<string, never>; result: Observed };
  /** The plan `up` would carry out, without effects. */
  plan: { params: { project: Project; options: UpOptions }; result: Plan };
  up: {
    params: { project: Project; secrets: Readonly<Record<string, string>>; options: UpOptions } & Pace;
    result: { plan: Plan };
  };
  down: { params: { project?: Project; options: DownOptions } & Pace; result: { plan: Plan } };
  /** On containers of these services (all when empty), in dependency order (stop: reversed). */
  start: { params: { services: readonly string[]; wait: boolean; waitTimeoutMs?: number }; result: null };
  stop: { params: { services: readonly string[]; timeoutMs?: number }; result: null };
  restart: { params: { services: readonly string[]; timeoutMs?: number; noDeps: boolean }; result: null };
  kill: { params: { services: readonly string[]; signal: string; removeOrphans: boolean }; result: null };
  pause: { params: { services: readonly string[] }; result: null };
  unpause: { params: { services: readonly string[] }; result: null };
  rm: { params: { services: readonly string[]; stop: boolean; volumes: boolean }; result: { removed: readonly string[] } };
  /** Creates and starts a one-off container whose gate waits for the caller to attach at `socket`. */
  run: { params: RunParams; result: { id: string; name: string; socket: string } };
  remove: { params: { id: string; volumes: boolean }; result: null };
  /** Resolves when the container has ended for good. */
  wait: { params: { id: string }; result: { exitCode: number } };
  /** From now on every ContainerChange comes as an event, until the connection ends. */
  subscribe: { params: Record<string, never>; result: null };
  /** The caller needs nothing more. `ending`: nobody does; the connection ends once every trace of the project is gone. */
  leave: { params: Record<string, never>; result: { ending: boolean } };
  /** Files into a running container, for `watch`. */
  sync: { params: { id: string; operations: readonly SyncOperation[] }; result: { done: number } };
  /** A hook or `sync+exec`; output cut at 4 KiB. */
  probe: {
    params: { id: string; command: readonly string[]; timeoutMs: number };
    result: { exitCode: number; timedOut: boolean; output: string };
  };
}

export type ControlMethod = keyof ControlMethods;

export type UpOptions = PlanOptions;
export type DownOptions = DownPlanOptions;

/** How many steps at once; absent: as many as the plan allows. */
export interface Pace {
  readonly parallel?: number;
}

export interface RunParams {
  readonly project: Project;
  readonly secrets: Readonly<Record<string, string>>;
  readonly service: string;
  /** The service as `run`'s flags changed it: command, environment, tty, ports … */
  readonly spec: Project['services'][number];
  readonly name?: string;
  readonly noDeps: boolean;
  readonly useAliases: boolean;
  readonly waitAttach: boolean;
}

export type SyncOperation =
  | { readonly op: 'write'; readonly path: string; readonly mode: number; readonly contentBase64: string }
  | { readonly op: 'mkdir'; readonly path: string; readonly mode: number }
  | { readonly op: 'symlink'; readonly path: string; readonly target: string }
  | { readonly op: 'remove'; readonly path: string };

export type ControlRequest = {
  [M in ControlMethod]: { readonly id: number; readonly method: M; readonly params: ControlMethods[M]['params'] };
}[ControlMethod];

export type ControlReply =
  | { readonly id: number; readonly event: Event }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ErrorRecord };
