import type { ErrorRecord } from './errors.ts';

/** What the program tells while it works. Renderers in `cli/` only listen; nothing else prints. */
export type Event =
  | { readonly type: 'plan'; readonly steps: number; readonly notices: readonly string[] }
  | {
      readonly type: 'step';
      /** Number of the step within its plan. */
      readonly id: number;
      readonly resource: ResourceKind;
      /** Name as docker compose shows it: "shop-api-1", "shop_default". */
      readonly name: string;
      readonly status: 'working' | 'done' | 'warning' | 'error';
      /** "Creating" / "Created", "Starting" / "Started", "Waiting" / "Healthy" … */
      readonly text: string;
      readonly because?: string;
      readonly details?: string;
    }
  | { readonly type: 'container'; readonly change: ContainerChange }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'error'; readonly error: ErrorRecord };

export type ResourceKind = 'Container' | 'Network' | 'Volume' | 'Image' | 'Service';

/** Something happened to a container, whether or not a command asked for it. */
export interface ContainerChange {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly id: string;
  readonly name: string;
  readonly service: string;
  readonly number: number;
  readonly oneOff: boolean;
  readonly action: 'create' | 'start' | 'die' | 'restart' | 'stop' | 'kill' | 'destroy' | 'health' | 'oom' | 'pause' | 'unpause';
  /** With `die`: the exit code. */
  readonly exitCode?: number;
  /** With `die`: the shim will start it again after this many milliseconds. */
  readonly restartInMs?: number;
  /** With `die`: its shim was killed, so nobody but the supervisor can start it again. */
  readonly lost?: boolean;
  readonly health?: 'starting' | 'healthy' | 'unhealthy';
}

export type EventSink = (event: Event) => void;
