/**
 * The other rooms as the commands use them. The real ones are in real-doors.ts, which opens each only when it is needed,
 * because loading code costs time; tests give their own.
 */
import type { ConfigModel } from '../load/load.ts';
import type { Finding } from './output/error.ts';
import type { Observed, ObservedContainer } from '../model/observed.ts';
import type { Project } from '../model/project.ts';
import type { Plan } from '../plan/step.ts';
import type { StateRoots } from '../state/paths.ts';
import type { ProjectRecord } from '../state/record.ts';
import type { ControlClient } from '../supervise/client.ts';
import type { DownOptions, UpOptions } from '../supervise/control.ts';

export interface LoadWish {
  readonly cwd: string;
  /** From `-f`; empty: look for them. */
  readonly files: readonly string[];
  readonly projectName?: string;
  readonly projectDirectory?: string;
  readonly profiles: readonly string[];
  readonly envFiles: readonly string[];
  /** Services named on the command line: their profiles count as active. */
  readonly services: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Loaded {
  /** Absent when a file is at fault. */
  readonly project?: Project;
  readonly diagnostics: readonly Finding[];
  /** Canonical plain model, for `config`. */
  readonly model?: ConfigModel;
  /** Values of secrets and configs that come from the environment. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Variables that interpolation sees: .env, then the shell's. */
  environment(): Promise<Readonly<Record<string, string>>>;
}

export interface LogWish {
  /** The last lines only; undefined: all. */
  readonly tail?: number;
  /** A time stamp or a span such as "10m", as docker takes them. */
  readonly since?: string;
  readonly until?: string;
  readonly follow: boolean;
}

export interface LogLine {
  readonly containerId: string;
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

export interface ExecWish {
  readonly project: string;
  readonly container: ObservedContainer;
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly user?: string;
  readonly workingDir?: string;
  readonly privileged: boolean;
  readonly tty: boolean;
  readonly detach: boolean;
}

/** A line to a container's stdio, through its shim. */
export interface Attachment {
  /** From now on output comes; a container that waits for this starts its program. */
  attach(withStdin: boolean): Promise<void>;
  /** undefined closes it. */
  stdin(data: Uint8Array | undefined): void;
  resize(rows: number, columns: number): void;
  /** Signal number to the container's first process. */
  signal(number: number): Promise<void>;
  /** Exit code, once all output has been handed on. */
  readonly ended: Promise<number>;
  close(): void;
}

export type AttachOutput = (stream: 'stdout' | 'stderr', data: Uint8Array) => void;

export interface Doors {
  readonly roots: StateRoots;
  load(wish: LoadWish): Promise<Loaded>;
  /** The project's name without reading a compose file properly; undefined when that cannot be. */
  guessName(wish: LoadWish): Promise<string | undefined>;
  formatConfig(model: ConfigModel, format: 'yaml' | 'json'): Promise<string>;

  observe(project: string): Promise<Observed>;
  projects(): Promise<readonly string[]>;
  record(project: string): Promise<ProjectRecord | undefined>;
  /** There are folders of the project, whatever is in them. */
  isKnown(project: string): Promise<boolean>;

  /** Starts the project's supervisor and returns at once; `supervisor` then finds it. */
  startSupervisor(project: string): Promise<void>;
  supervisor(project: string): Promise<ControlClient>;

  planUp(project: Project, observed: Observed, options: UpOptions): Promise<Plan>;
  planDown(project: Project | undefined, observed: Observed, options: DownOptions): Promise<Plan>;
  printPlan(plan: Plan): Promise<string>;

  /**
   * Lines of these containers in the order of their times. When following, an abort ends it after what was written by then has
   * been given out.
   */
  logs(project: string, containerIds: readonly string[], wish: LogWish, signal: AbortSignal): AsyncIterable<LogLine>;
  /** Runs a command in a container with this process' stdio; resolves to its exit code. */
  exec(wish: ExecWish): Promise<number>;
  attachment(socketPath: string, onOutput: AttachOutput): Promise<Attachment>;
}
