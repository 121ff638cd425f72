/** The flags that `up`, `create`, `scale`, `plan` and `watch` share, as what the supervisor understands. */
import { TscomposeError } from '../../errors.ts';
import type { UpOptions } from '../../supervise/control.ts';
import { type Invocation, noteWithoutMeaning } from '../invocation.ts';
import { isSwitchedOn } from '../surroundings.ts';

export interface UpFlags {
  readonly build?: boolean;
  readonly pull?: string;
  readonly quietPull?: boolean;
  readonly quietBuild?: boolean;
  /** `--no-deps` makes it false. */
  readonly deps?: boolean;
  readonly forceRecreate?: boolean;
  /** `--no-recreate` makes it false. */
  readonly recreate?: boolean;
  readonly alwaysRecreateDeps?: boolean;
  readonly renewAnonVolumes?: boolean;
  readonly removeOrphans?: boolean;
  readonly scale?: readonly string[];
  /** `--no-start` makes it false. */
  readonly start?: boolean;
  readonly wait?: boolean;
  /** Seconds. */
  readonly waitTimeout?: number;
  readonly timeout?: number;
}

/** @throws USAGE when flags contradict one another */
export function upOptions(invocation: Invocation, services: readonly string[], flags: UpFlags): UpOptions {
  if (flags.forceRecreate === true && flags.recreate === false) {
    throw new TscomposeError('USAGE', '--force-recreate and --no-recreate are incompatible', { hint: 'leave one of them out' });
  }
  return {
    services,
    noDeps: flags.deps === false,
    recreate: flags.forceRecreate === true ? 'always' : flags.recreate === false ? 'never' : 'changed',
    alwaysRecreateDeps: flags.alwaysRecreateDeps === true,
    removeOrphans: flags.removeOrphans ?? isSwitchedOn(invocation.around.env, 'COMPOSE_REMOVE_ORPHANS'),
    start: flags.start !== false,
    scale: parseScale(flags.scale ?? []),
    wait: flags.wait === true || flags.waitTimeout !== undefined,
    renewAnonVolumes: flags.renewAnonVolumes === true,
    ...(flags.waitTimeout !== undefined && { waitTimeoutMs: flags.waitTimeout * 1000 }),
    ...(flags.timeout !== undefined && { timeoutMs: flags.timeout * 1000 }),
  };
}

/** ["api=3"] → {api: 3}. @throws USAGE */
export function parseScale(texts: readonly string[]): Readonly<Record<string, number>> {
  const scale: Record<string, number> = Object.create(null);
  for (const text of texts) {
    const match = /^([^=]+)=(\d+)$/.exec(text);
    if (!match) throw new TscomposeError('USAGE', `invalid scale "${text}"`, { hint: 'write SERVICE=NUMBER, e.g. api=3' });
    scale[match[1] as string] = Number(match[2]);
  }
  return scale;
}

/** Accepts what docker compose accepts and says what it does not do. */
export function noteImageFlags(invocation: Invocation, flags: UpFlags): void {
  noteWithoutMeaning(invocation, [
    ...(flags.build === true ? ['--build'] : []),
    ...(flags.pull !== undefined ? [`--pull ${flags.pull}`] : []),
  ]);
}
