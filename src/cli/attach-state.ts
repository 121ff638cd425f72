/** Which attached containers still run, and what a change of one means for an attached `up`. Pure. */
import type { ContainerChange } from '../events.ts';
import type { ObservedContainer } from '../model/observed.ts';

export interface AttachRules {
  /** Services whose output is shown and whose end counts. */
  readonly isAttached: (service: string) => boolean;
  readonly abortOn: 'never' | 'exit' | 'failure';
  /** `--exit-code-from` */
  readonly exitCodeFrom?: string;
}

export interface AttachState {
  /** Ids of attached containers that run or will run again. */
  readonly live: ReadonlySet<string>;
  /** Set once the rules ask to stop everything. */
  readonly abortCode?: number;
  /** Exit code of the service that `--exit-code-from` names. */
  readonly exitCode?: number;
}

export const nothingAttached: AttachState = { live: new Set() };

/** What is to be done besides remembering. */
export interface Attention {
  readonly state: AttachState;
  /** Show the log of this container from now on. */
  readonly follow: boolean;
  /** Tell that it ended. */
  readonly ended?: { readonly exitCode: number; readonly willRestart: boolean };
}

export function afterChange(state: AttachState, change: ContainerChange, rules: AttachRules): Attention {
  if (change.oneOff || !rules.isAttached(change.service)) return { state, follow: false };
  switch (change.action) {
    case 'start':
    case 'restart':
      return { state: { ...state, live: new Set([...state.live, change.id]) }, follow: true };
    case 'die':
      return afterDeath(state, change, rules);
    case 'destroy':
      return { state: { ...state, live: without(state.live, change.id) }, follow: false };
    default:
      return { state, follow: false };
  }
}

function afterDeath(state: AttachState, change: ContainerChange, rules: AttachRules): Attention {
  const exitCode = change.exitCode ?? 0;
  if (change.restartInMs !== undefined) return { state, follow: false, ended: { exitCode, willRestart: true } };
  const next: AttachState = {
    ...state,
    live: without(state.live, change.id),
    ...(abortsOn(exitCode, rules) && state.abortCode === undefined && { abortCode: exitCode }),
    ...(rules.exitCodeFrom === change.service && { exitCode }),
  };
  return { state: next, follow: false, ended: { exitCode, willRestart: false } };
}

function abortsOn(exitCode: number, { abortOn }: AttachRules): boolean {
  return abortOn === 'exit' || (abortOn === 'failure' && exitCode !== 0);
}

function without(ids: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return new Set([...ids].filter((other) => other !== id));
}

/** After a look at everything: what is seen beats what events told, of which some may have been missed. */
export function afterLook(
  state: AttachState,
  containers: readonly ObservedContainer[],
  rules: AttachRules,
): { state: AttachState; follow: readonly ObservedContainer[] } {
  const attached = containers.filter((container) => !container.oneOff && rules.isAttached(container.service));
  const running = attached.filter(({ state: containerState }) => containerState !== 'created' && containerState !== 'exited');
  return { state: { ...state, live: new Set(running.map((container) => container.id)) }, follow: running };
}

/** The exit status of an `up` that ended by itself or was aborted by its rules. */
export function attachedExitCode(state: AttachState): number {
  return state.exitCode ?? state.abortCode ?? 0;
}
