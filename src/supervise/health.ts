import type { HealthCheck } from '../model/project.ts';

/*
 * Health as docker judges it, with earlier first looks. Docker first probes after a whole interval; here the first probes come
 * after 50, 100, 200 … ms, so that a dependant need not wait longer than its dependency takes. Good news counts at once. Bad news counts
 * only at docker's pace (one failure an interval, none in the start period), so early looks never make a container unhealthy sooner.
 */
export const firstProbeMs = 50;

/** A container's health; all times on the clock of Machine.now(). */
export interface HealthState {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  /** Failures in a row that count. */
  readonly failures: number;
  /** When the container started. */
  readonly startedAtMs: number;
  /** When the last probe ended; the start when there was none. */
  readonly lookedAtMs: number;
  /** Growing pause before the next probe while no probe has succeeded yet. */
  readonly pauseMs: number;
  /** From when on the next failure counts. */
  readonly countsFromMs: number;
}

export interface ProbeOutcome {
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  /** Exit status 0 within the timeout. */
  readonly passed: boolean;
}

/** The state of a container that starts now, also after a restart. */
export function healthAtStart(check: HealthCheck, nowMs: number): HealthState {
  return {
    status: 'starting',
    failures: 0,
    startedAtMs: nowMs,
    lookedAtMs: nowMs,
    pauseMs: Math.min(firstProbeMs, longestPauseMs(check, nowMs, nowMs)),
    countsFromMs: nowMs + (check.startPeriodMs > 0 ? check.startPeriodMs : check.intervalMs),
  };
}

/** The state of a container that is found running after a restart of the supervisor; it is looked at soon. */
export function healthAtAdoption(
  check: HealthCheck,
  status: HealthState['status'],
  startedAtMs: number,
  nowMs: number,
): HealthState {
  const fresh = healthAtStart(check, startedAtMs);
  return {
    ...fresh,
    status,
    lookedAtMs: nowMs - (status === 'starting' ? 0 : check.intervalMs),
    countsFromMs: Math.max(fresh.countsFromMs, nowMs),
  };
}

/** When the next probe begins. Counted from the end of the last one, so probes never overlap. */
export function nextProbe(check: HealthCheck, state: HealthState): number {
  if (state.status !== 'starting') return state.lookedAtMs + check.intervalMs;
  const early = state.lookedAtMs + state.pauseMs;
  // A failure that counts must not come later than it would with docker.
  return state.countsFromMs > state.lookedAtMs ? Math.min(early, state.countsFromMs) : early;
}

/** The state after a probe. A container that was healthy is unhealthy after `retries` failures in a row. */
export function afterProbe(check: HealthCheck, state: HealthState, probe: ProbeOutcome): HealthState {
  const looked = { ...state, lookedAtMs: probe.endedAtMs };
  if (probe.passed) return { ...looked, status: 'healthy', failures: 0, countsFromMs: probe.endedAtMs };
  if (state.status === 'starting' && probe.beganAtMs < state.countsFromMs)
    return { ...looked, pauseMs: longerPauseMs(check, state, probe) };
  const failures = state.failures + 1;
  return {
    ...looked,
    failures,
    status: failures >= Math.max(1, check.retries) ? 'unhealthy' : state.status,
    pauseMs: longerPauseMs(check, state, probe),
    countsFromMs: probe.endedAtMs + check.intervalMs,
  };
}

function longerPauseMs(check: HealthCheck, { pauseMs, startedAtMs }: HealthState, { endedAtMs }: ProbeOutcome): number {
  return Math.min(pauseMs * 2, longestPauseMs(check, startedAtMs, endedAtMs));
}

/** The pace the file asks for: start_interval within the start period, interval after it. */
function longestPauseMs(check: HealthCheck, startedAtMs: number, nowMs: number): number {
  const isStartPeriod = nowMs - startedAtMs < check.startPeriodMs;
  return Math.max(1, isStartPeriod && check.startIntervalMs > 0 ? check.startIntervalMs : check.intervalMs);
}
