import { appendFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lineJoiner, parseLogPiece, parseLogTime } from '../../../src/runtime/log-lines.ts';
import { followLogs, type LogOptions, replayLogs } from '../../../src/runtime/logs.ts';

const time = (number: number): string => `2026-11-22T05:56:48.${String(number).padStart(9, '0')}Z`;
const line = (number: number, text: string, stream = 'stdout', tag = 'F'): string => `${time(number)} ${stream} ${tag} ${text}\n`;

describe('a line', () => {
  test.each([
    [`${time(1)} stdout F hello`, { time: time(1), stream: 'stdout', partial: false, text: 'hello' }],
    [`${time(1)} stderr P a b `, { time: time(1), stream: 'stderr', partial: true, text: 'a b ' }],
    [`${time(1)} stdout F `, { time: time(1), stream: 'stdout', partial: false, text: '' }],
    [`${time(1)} stdout F`, { time: time(1), stream: 'stdout', partial: false, text: '' }],
    [`${time(1)} stdout F cr\r`, { time: time(1), stream: 'stdout', partial: false, text: 'cr\r' }],
    ['', undefined],
    ['hello', undefined],
    [`${time(1)} stdin F x`, undefined],
    [`${time(1)} stdout X x`, undefined],
    ['2026-11-22 stdout F x', undefined],
  ])('%j', (text, piece) => {
    expect(parseLogPiece(text)).toEqual(piece);
  });

  test('pieces of two streams come together each for itself, at the time they began', () => {
    const joiner = lineJoiner();
    const add = (number: number, stream: 'stdout' | 'stderr', partial: boolean, text: string) =>
      joiner.add({ time: time(number), stream, partial, text });
    expect(add(1, 'stdout', true, 'a')).toBeUndefined();
    expect(add(2, 'stderr', true, 'x')).toBeUndefined();
    expect(add(3, 'stdout', false, 'b')).toEqual({ time: time(1), stream: 'stdout', text: 'ab' });
    expect(joiner.rest()).toEqual([{ time: time(2), stream: 'stderr', text: 'x' }]);
    expect(joiner.rest()).toEqual([]);
  });
});

describe('a moment', () => {
  const now = Date.parse('2026-11-22T12:00:00Z');
  test.each([
    ['10m', '2026-11-22T11:50:00.000000000Z'],
    ['1h30m', '2026-11-22T10:30:00.000000000Z'],
    ['2026-11-22T05:56:48Z', '2026-11-22T05:56:48.000000000Z'],
    ['2026-11-22T05:56:48.123456789Z', '2026-11-22T05:56:48.123456789Z'],
    ['2026-11-22T05:56:48.5+02:00', '2026-11-22T03:56:48.500000000Z'],
    ['1700000000', '2023-11-14T22:13:20.000000000Z'],
    ['1700000000.25', '2023-11-14T22:13:20.250000000Z'],
    ['0', '1970-01-01T00:00:00.000000000Z'],
  ])('%s is %s', (text, moment) => {
    expect(parseLogTime(text, now)).toBe(moment);
  });

  test.each(['', 'yesterday', '10 minutes', '2026-13-01', '2026-11-22T25:00:00Z', '1.2.3'])('%j is refused', (text) => {
    expect(() => parseLogTime(text, now)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'runtime-logs-'));
  log = join(folder, 'log');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function rotate(path: string): void {
  let last = 0;
  while (existsSync(`${path}.${last + 1}`)) last++;
  for (let number = last; number >= 0; number--) renameSync(number === 0 ? path : `${path}.${number}`, `${path}.${number + 1}`);
  writeFileSync(path, '');
}

async function replayed(paths: readonly string[], options: LogOptions = {}): Promise<string[]> {
  const texts: string[] = [];
  for await (const one of replayLogs(paths, options)) texts.push(one.text);
  return texts;
}

describe('replay', () => {
  test('reads rotated files first, and passes damage over', async () => {
    writeFileSync(`${log}.10`, line(1, 'a'));
    writeFileSync(`${log}.2`, `${line(2, 'b')}\0\0rubbish\n`);
    writeFileSync(`${log}.1`, line(3, 'c', 'stdout', 'P'));
    writeFileSync(log, line(4, 'd') + line(5, 'e') + time(6));
    expect(await replayed([log])).toEqual(['a', 'b', 'cd', 'e']);
  });

  test('several logs come in one order of time, with their path', async () => {
    const other = join(folder, 'other');
    writeFileSync(log, line(1, 'a') + line(4, 'd'));
    writeFileSync(other, line(2, 'b') + line(3, 'c') + line(5, 'e'));
    expect(await replayed([log, other])).toEqual(['a', 'b', 'c', 'd', 'e']);
    const paths: string[] = [];
    for await (const one of replayLogs([log, other])) paths.push(one.path);
    expect(paths).toEqual([log, other, other, log, other]);
  });

  test('since counts the moment in, until counts it out', async () => {
    writeFileSync(log, [1, 2, 3, 4].map((number) => line(number, String(number))).join(''));
    expect(await replayed([log], { since: time(2), until: time(4) })).toEqual(['2', '3']);
  });

  test('a log that is not there is empty; a line that never ended is given out at the end', async () => {
    expect(await replayed([join(folder, 'none/log')])).toEqual([]);
    writeFileSync(log, line(1, 'half', 'stdout', 'P'));
    expect(await replayed([log])).toEqual(['half']);
  });

  test('the last lines are the last lines, wherever files and chunks end', async () => {
    const anyTexts = fc.array(fc.tuple(fc.constantFrom(0, 5, 70_000), fc.boolean(), fc.boolean()), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(anyTexts, fc.nat(14), async (rows, tail) => {
        rmSync(folder, { recursive: true });
        mkdirSync(folder);
        writeFileSync(log, '');
        rows.forEach(([size, partial, turn], index) => {
          appendFileSync(
            log,
            line(index, `${index}:${'x'.repeat(size)}`, 'stdout', partial && index < rows.length - 1 ? 'P' : 'F'),
          );
          if (turn) rotate(log);
        });
        const all = await replayed([log]);
        const last = await replayed([log], { tail });
        expect(last.map((text) => text.length)).toEqual(tail === 0 ? [] : all.slice(-tail).map((text) => text.length));
      }),
      { numRuns: 60 },
    );
  });
});

describe('follow', () => {
  const follow = (
    options: LogOptions = {},
  ): { texts: string[]; stop: () => Promise<void>; seen: (count: number) => Promise<void> } => {
    const stopping = new AbortController();
    const texts: string[] = [];
    let look = (): void => {};
    const running = (async () => {
      for await (const one of followLogs([log], options, stopping.signal)) {
        texts.push(one.text);
        look();
      }
    })();
    return {
      texts,
      stop: () => {
        stopping.abort();
        return running;
      },
      seen: (count) =>
        new Promise((resolve) => {
          look = () => {
            if (texts.length >= count) resolve();
          };
          look();
        }),
    };
  };

  test('gives out what is there, what comes, and what was written before the end', async () => {
    writeFileSync(log, line(1, 'a'));
    const reader = follow();
    await reader.seen(1);
    appendFileSync(log, line(2, 'b'));
    await reader.seen(2);
    appendFileSync(log, line(3, 'c'));
    await reader.stop();
    expect(reader.texts).toEqual(['a', 'b', 'c']);
  });

  test('starts before the log does', async () => {
    const reader = follow();
    writeFileSync(log, line(1, 'a'));
    await reader.seen(1);
    await reader.stop();
    expect(reader.texts).toEqual(['a']);
  });

  test('loses and doubles nothing over many rotations, faster than it can look', async () => {
    writeFileSync(log, '');
    const reader = follow();
    const count = 3000;
    for (let number = 0; number < count; number++) {
      appendFileSync(log, line(number, String(number)));
      if (number % 40 === 0) rotate(log);
      if (number % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await reader.seen(count);
    await reader.stop();
    expect(reader.texts).toEqual(Array.from({ length: count }, (_, index) => String(index)));
  }, 20_000);

  test('half a line waits for its other half', async () => {
    const whole = line(1, 'whole');
    writeFileSync(log, whole.slice(0, 20));
    const reader = follow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(reader.texts).toEqual([]);
    appendFileSync(log, whole.slice(20));
    await reader.seen(1);
    await reader.stop();
    expect(reader.texts).toEqual(['whole']);
  });

  test('ends by itself when the folder is gone, and at until', async () => {
    writeFileSync(log, line(1, 'a') + line(2, 'b'));
    const bounded: string[] = [];
    for await (const one of followLogs([log], { until: time(2) }, new AbortController().signal)) bounded.push(one.text);
    expect(bounded).toEqual(['a']);
    const texts: string[] = [];
    for await (const one of followLogs([log], {}, new AbortController().signal)) {
      texts.push(one.text);
      if (texts.length === 2) rmSync(folder, { recursive: true });
    }
    expect(texts).toEqual(['a', 'b']);
  });
});
