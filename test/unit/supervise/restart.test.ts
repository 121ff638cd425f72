import { describe, expect, test } from 'vitest';
import type { RestartPolicy } from '../../../src/model/project.ts';
import { type RestartHistory, decideBoot, decideRestart } from '../../../src/supervise/restart.ts';

const crashed: RestartHistory = { exitCode: 1, ranMs: 5, lastDelayMs: 0, restarts: 0, stoppedByUser: false };

describe('who is restarted', () => {
  test.each<[string, RestartPolicy, Partial<RestartHistory>, boolean]>([
    ['no: never', { kind: 'no' }, {}, false],
    ['always: after a failure', { kind: 'always' }, {}, true],
    ['always: after success', { kind: 'always' }, { exitCode: 0 }, true],
    ['always: not after a stop by hand', { kind: 'always' }, { stoppedByUser: true }, false],
    ['unless-stopped: after success', { kind: 'unless-stopped' }, { exitCode: 0 }, true],
    ['unless-stopped: not after a stop by hand', { kind: 'unless-stopped' }, { stoppedByUser: true }, false],
    ['on-failure: not after success', { kind: 'on-failure', maxAttempts: 0 }, { exitCode: 0 }, false],
    ['on-failure: without bound', { kind: 'on-failure', maxAttempts: 0 }, { restarts: 1000 }, true],
    ['on-failure:3: the third time', { kind: 'on-failure', maxAttempts: 3 }, { restarts: 2 }, true],
    ['on-failure:3: not a fourth time', { kind: 'on-failure', maxAttempts: 3 }, { restarts: 3 }, false],
  ])('%s', (_title, policy, history, restart) => {
    expect(decideRestart(policy, { ...crashed, ...history }).restart).toBe(restart);
  });
});

test('the delay doubles from 100 ms to a minute', () => {
  const delays: number[] = [];
  for (let restarts = 0; restarts < 12; restarts++) {
    const decision = decideRestart({ kind: 'always' }, { ...crashed, restarts, lastDelayMs: delays.at(-1) ?? 0 });
    delays.push(decision.restart ? decision.delayMs : -1);
  }
  expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
});

test.each([
  [9_999, 12_800],
  [10_000, 100],
])('after a run of %i ms the next delay is %i ms', (ranMs, delayMs) => {
  expect(decideRestart({ kind: 'always' }, { ...crashed, ranMs, lastDelayMs: 6400 })).toEqual({ restart: true, delayMs });
});

test.each<[RestartPolicy['kind'], boolean, boolean]>([
  ['no', false, false],
  ['always', false, true],
  ['always', true, true],
  ['unless-stopped', false, true],
  ['unless-stopped', true, false],
  ['on-failure', false, true],
  ['on-failure', true, false],
])('at boot "%s", stopped by hand: %s, is started: %s', (kind, stoppedByUser, started) => {
  const policy: RestartPolicy = kind === 'on-failure' ? { kind, maxAttempts: 0 } : { kind };
  expect(decideBoot(policy, { exitCode: 1, restarts: 0, stoppedByUser })).toBe(started);
});
