import { expect, test } from 'vitest';
import type { ShimStatus } from '../../../src/core/status.ts';
import { changesBetween } from '../../../src/wire/shims.ts';

const created: ShimStatus = {
  state: 'created',
  shim: 9,
  pid: 0,
  startTime: 0n,
  bootId: '',
  oomKilled: false,
  restarts: 0,
  stoppedByRequest: false,
};
const running: ShimStatus = { ...created, state: 'running', pid: 10, startedAt: 1 };
const exited: ShimStatus = { ...running, state: 'exited', pid: 0, exitCode: 3, finishedAt: 2 };
const restarting: ShimStatus = { ...exited, state: 'restarting', nextRestartAt: 0 };

test.each<[string, ShimStatus, ShimStatus, object[]]>([
  ['starts', created, running, [{ action: 'start' }]],
  ['ends', running, exited, [{ action: 'die', exitCode: 3 }]],
  ['ends and will be started again', running, restarting, [{ action: 'die', exitCode: 3, restartInMs: 0 }]],
  ['is started again', restarting, { ...running, pid: 11 }, [{ action: 'start' }]],
  ['fails again at once', restarting, { ...restarting, finishedAt: 5 }, [{ action: 'die', exitCode: 3, restartInMs: 0 }]],
  ['is killed for memory', running, { ...exited, oomKilled: true }, [{ action: 'oom' }, { action: 'die', exitCode: 3 }]],
  ['is paused', running, { ...running, state: 'paused' }, [{ action: 'pause' }]],
  ['goes on', { ...running, state: 'paused' }, running, [{ action: 'unpause' }]],
  ['never got to run', created, exited, []],
  ['is told twice', running, running, []],
])('a container that %s', (_name, before, after, expected) => {
  expect(changesBetween(before, after)).toEqual(expected);
});
