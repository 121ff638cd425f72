import { describe, expect, test } from 'vitest';
import { parseStatus } from '../../../src/core/status.ts';

const running = [
  'state=running',
  'shim=41',
  'pid=42',
  'starttime=12345678901',
  'boot=b007',
  'started=1790000000000',
  'finished=0',
  'exit=-1',
  'oom=0',
  'restarts=2',
  'stopped=0',
  'next=0',
  'error=',
  '',
].join('\n');

describe('parseStatus', () => {
  test('reads a container that runs', () => {
    expect(parseStatus(running)).toEqual({
      state: 'running',
      shim: 41,
      pid: 42,
      startTime: 12345678901n,
      bootId: 'b007',
      startedAt: 1790000000000,
      oomKilled: false,
      restarts: 2,
      stoppedByRequest: false,
    });
  });

  test('reads one that ended, with words that contain "="', () => {
    const text = running
      .replace('state=running', 'state=exited')
      .replace('exit=-1', 'exit=0')
      .replace('oom=0', 'oom=1')
      .replace('finished=0', 'finished=7')
      .replace('stopped=0', 'stopped=1')
      .replace('next=0', 'next=9')
      .replace('error=', 'error=mount a=b: no');
    expect(parseStatus(text)).toMatchObject({
      state: 'exited',
      exitCode: 0,
      oomKilled: true,
      finishedAt: 7,
      stoppedByRequest: true,
      nextRestartAt: 9,
      error: 'mount a=b: no',
    });
  });

  test('ignores keys of a later version', () => expect(parseStatus(`${running}later=1\n`)).toMatchObject({ pid: 42 }));

  test.each(['', 'state=\n', 'state=dancing\n', 'pid=1\n', running.slice(0, -1)])('%j is damaged', (text) => {
    expect(() => parseStatus(text)).toThrow('damaged');
  });
});
