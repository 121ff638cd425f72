import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { HealthCheck } from '../../../src/model/project.ts';
import { type HealthState, afterProbe, healthAtAdoption, healthAtStart, nextProbe } from '../../../src/supervise/health.ts';
import { aHealthCheck } from '../../support/builders.ts';

interface Look {
  readonly atMs: number;
  readonly status: HealthState['status'];
}

/** Lets a container live for so long; `passes` says how it answers at a time. Every probe takes `probeMs`. */
function live(check: HealthCheck, untilMs: number, passes: (atMs: number) => boolean, probeMs = 0): readonly Look[] {
  const looks: Look[] = [];
  let state = healthAtStart(check, 0);
  for (let atMs = nextProbe(check, state); atMs <= untilMs; atMs = nextProbe(check, state)) {
    state = afterProbe(check, state, { beganAtMs: atMs, endedAtMs: atMs + probeMs, passed: passes(atMs) });
    looks.push({ atMs, status: state.status });
  }
  return looks;
}

function firstTime(looks: readonly Look[], status: HealthState['status']): number | undefined {
  return looks.find((look) => look.status === status)?.atMs;
}

test('the first probes come soon and then ever later, up to the interval', () => {
  const looks = live(aHealthCheck({ intervalMs: 1000, retries: 100 }), 5000, () => false);
  expect(looks.map(({ atMs }) => atMs)).toEqual([50, 150, 350, 750, 1000, 2000, 3000, 4000, 5000]);
});

test('the first success makes it healthy at once, from then on it is probed at the interval', () => {
  const looks = live(aHealthCheck({ intervalMs: 30_000 }), 90_000, (atMs) => atMs >= 300);
  expect(looks).toEqual([
    { atMs: 50, status: 'starting' },
    { atMs: 150, status: 'starting' },
    { atMs: 350, status: 'healthy' },
    { atMs: 30_350, status: 'healthy' },
    { atMs: 60_350, status: 'healthy' },
  ]);
});

test.each([
  ['without a start period after retries × interval', aHealthCheck({ intervalMs: 10_000, retries: 3 }), 30_000],
  ['with one retry after one interval', aHealthCheck({ intervalMs: 10_000, retries: 1 }), 10_000],
  ['with a start period that much later', aHealthCheck({ intervalMs: 10_000, retries: 3, startPeriodMs: 60_000 }), 80_000],
])('one that never answers is unhealthy %s', (_title, check, atMs) => {
  expect(
    firstTime(
      live(check, 200_000, () => false),
      'unhealthy',
    ),
  ).toBe(atMs);
});

test('in the start period it is probed at start_interval at the latest', () => {
  const check = aHealthCheck({ intervalMs: 60_000, startPeriodMs: 20_000, startIntervalMs: 2000 });
  const looks = live(check, 20_000, () => false).map(({ atMs }) => atMs);
  const pauses = looks.slice(1).map((atMs, index) => atMs - (looks[index] as number));
  expect(Math.max(...pauses)).toBe(2000);
});

test('a healthy one takes `retries` failures in a row, and one success to come back', () => {
  const check = aHealthCheck({ intervalMs: 1000, retries: 2 });
  const answers = [true, false, true, false, false, false, true];
  let answer = 0;
  const looks = live(check, 6500, () => answers[answer++] as boolean);
  expect(looks.map(({ status }) => status)).toEqual([
    'healthy',
    'healthy',
    'healthy',
    'healthy',
    'unhealthy',
    'unhealthy',
    'healthy',
  ]);
});

test('one that a new supervisor finds keeps its status and is looked at soon', () => {
  const check = aHealthCheck({ intervalMs: 30_000 });
  const state = healthAtAdoption(check, 'healthy', 0, 500_000);
  expect(state.status).toBe('healthy');
  expect(nextProbe(check, state)).toBe(500_000);
  expect(nextProbe(check, healthAtAdoption(check, 'starting', 0, 500_000))).toBe(500_050);
});

const anyCheck = fc.record({
  intervalMs: fc.integer({ min: 1, max: 60_000 }),
  timeoutMs: fc.constant(1000),
  retries: fc.integer({ min: 1, max: 5 }),
  startPeriodMs: fc.nat(60_000),
  startIntervalMs: fc.nat(10_000),
  test: fc.constant(['CMD', 'x']),
});

test('probes never overlap, never stand still, and never come later than the interval', () => {
  fc.assert(
    fc.property(anyCheck, fc.array(fc.tuple(fc.boolean(), fc.nat(5000)), { minLength: 1, maxLength: 60 }), (check, answers) => {
      let state = healthAtStart(check, 0);
      let endedAtMs = 0;
      for (const [passed, tookMs] of answers) {
        const beganAtMs = nextProbe(check, state);
        expect(beganAtMs).toBeGreaterThan(endedAtMs);
        expect(beganAtMs - endedAtMs).toBeLessThanOrEqual(Math.max(check.intervalMs, check.startIntervalMs));
        endedAtMs = beganAtMs + tookMs;
        state = afterProbe(check, state, { beganAtMs, endedAtMs, passed });
      }
    }),
  );
});

test('early looks never make it unhealthy sooner than docker would', () => {
  fc.assert(
    fc.property(anyCheck, fc.nat(200_000), (check, healthyFromMs) => {
      const soonest = Math.max(check.startPeriodMs, check.intervalMs) + (check.retries - 1) * check.intervalMs;
      const unhealthyAt = firstTime(
        live({ ...check, intervalMs: Math.max(100, check.intervalMs) }, 100_000, (atMs) => atMs >= healthyFromMs),
        'unhealthy',
      );
      if (unhealthyAt !== undefined && check.startPeriodMs === 0) expect(unhealthyAt).toBeGreaterThanOrEqual(soonest);
      if (unhealthyAt !== undefined)
        expect(unhealthyAt).toBeGreaterThanOrEqual(check.startPeriodMs + (check.retries - 1) * check.intervalMs);
    }),
    { numRuns: 50 },
  );
});
