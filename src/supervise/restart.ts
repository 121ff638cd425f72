import type { RestartPolicy } from '../model/project.ts';

/*
 * Docker's restart rules (moby restartmanager): the first restart after 100 ms, each further one after twice that, 60 s at most; a run
 * of 10 s or more starts over at 100 ms. The shim carries out the same rules by itself; this is their readable twin, for decisions
 * that are made without a shim.
 */
export const firstDelayMs = 100;
export const longestDelayMs = 60_000;
export const goodRunMs = 10_000;

/** What is known about a container's life when it has just ended. */
export interface RestartHistory {
  /** 128+n after signal n. */
  readonly exitCode: number;
  /** How long it ran this time. */
  readonly ranMs: number;
  /** How long the last restart was put off; 0: there was none. */
  readonly lastDelayMs: number;
  /** Restarts so far; what `on-failure:N` bounds. */
  readonly restarts: number;
  /** A stop command ended it. */
  readonly stoppedByUser: boolean;
}

export type RestartDecision = { readonly restart: false } | { readonly restart: true; readonly delayMs: number };

/** Whether and when a container that has just ended is started again. */
export function decideRestart(policy: RestartPolicy, history: RestartHistory): RestartDecision {
  if (history.stoppedByUser || !wantsRestart(policy, history)) return { restart: false };
  return { restart: true, delayMs: nextDelayMs(history) };
}

/** Whether a container is started when the machine or its supervision comes up again: `always` even when it was stopped by hand. */
export function decideBoot(
  policy: RestartPolicy,
  history: Pick<RestartHistory, 'exitCode' | 'restarts' | 'stoppedByUser'>,
): boolean {
  if (policy.kind === 'always') return true;
  return !history.stoppedByUser && wantsRestart(policy, history);
}

function wantsRestart(policy: RestartPolicy, { exitCode, restarts }: Pick<RestartHistory, 'exitCode' | 'restarts'>): boolean {
  switch (policy.kind) {
    case 'no':
      return false;
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure':
      return exitCode !== 0 && (policy.maxAttempts === 0 || restarts < policy.maxAttempts);
  }
}

function nextDelayMs({ ranMs, lastDelayMs }: RestartHistory): number {
  if (lastDelayMs === 0 || ranMs >= goodRunMs) return firstDelayMs;
  return Math.min(lastDelayMs * 2, longestDelayMs);
}
