import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatError, formatFinding } from '../../../src/cli/output/error.ts';
import { frameHeader, frameLines, type Rows, withStep } from '../../../src/cli/output/frame.ts';
import { logFormatter, rotation } from '../../../src/cli/output/log-lines.ts';
import { chooseMode, createProgress, type ProgressMode } from '../../../src/cli/output/progress.ts';
import { painter, wantsColour } from '../../../src/cli/output/style.ts';
import { makeVisible } from '../../../src/cli/output/visible.ts';
import { TscomposeError } from '../../../src/errors.ts';
import type { Event } from '../../../src/events.ts';
import { NOW } from './fakes.ts';

const plain = painter(false);
const context = { paint: plain, cwd: '/src/shop' };

describe('an error', () => {
  test('shows place, code, the line with carets under what is meant, and what to do', () => {
    expect(
      formatFinding(
        {
          severity: 'error',
          code: 'PORT_TAKEN',
          message: 'host port 8080 is already in use',
          hint: 'publish another port',
          at: { file: '/src/shop/compose.yaml', line: 12, column: 10, length: 4 },
          sourceLine: '      - "8080:80"',
        },
        context,
      ),
    ).toBe(
      [
        'compose.yaml:12:10: error PORT_TAKEN: host port 8080 is already in use',
        '   12 |       - "8080:80"',
        '      |          ^^^^',
        'hint: publish another port',
        '',
      ].join('\n'),
    );
  });

  test('without a place is one line', () => {
    expect(formatError(new TscomposeError('NOT_ROOT', 'root only'), context, false)).toBe('error NOT_ROOT: root only\n');
  });

  test('of a file elsewhere shows its whole path', () => {
    expect(
      formatFinding({ severity: 'warning', code: 'X', message: 'm', at: { file: '/etc/a.yaml', line: 1, column: 1 } }, context),
    ).toBe('/etc/a.yaml:1:1: warning X: m\n');
  });

  test('keeps tabs in front of the caret, so that it stands below its word', () => {
    const text = formatFinding(
      { severity: 'error', code: 'X', message: 'm', at: { file: 'a', line: 1, column: 2 }, sourceLine: '\tkey' },
      context,
    );
    expect(text).toContain('    1 | \tkey\n      | \t^');
  });

  test('cuts a very long line around the place', () => {
    const sourceLine = `${'a'.repeat(5000)}HERE${'b'.repeat(5000)}`;
    const lines = formatFinding(
      { severity: 'error', code: 'X', message: 'm', at: { file: 'a', line: 1, column: 5001, length: 4 }, sourceLine },
      context,
    ).split('\n');
    const column = (lines[2] as string).indexOf('^');
    expect((lines[1] as string).slice(column, column + 4)).toBe('HERE');
    expect((lines[1] as string).length).toBeLessThan(130);
  });

  test('that is a bug shows its stack only when asked', () => {
    const bug = new TypeError('x is undefined');
    expect(formatError(bug, context, false)).not.toContain('at ');
    expect(formatError(bug, context, true)).toContain('output.test.ts');
  });

  test('cannot carry escape sequences of a file to the terminal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (message, sourceLine) => {
        const text = formatFinding(
          { severity: 'error', code: 'X', message, at: { file: 'a', line: 1, column: 1 }, sourceLine },
          context,
        );
        expect(text).not.toMatch(/[\u001b\u0007\u009b\r]/);
      }),
    );
  });
});

describe('a line of a log', () => {
  const layout = { prefix: true, timestamps: false, isTerminal: true, paint: plain };

  test('has its name in front, all as wide as the widest', () => {
    const formatter = logFormatter(layout);
    formatter.expect(['web-1', 'worker-1']);
    expect(formatter.format({ source: 'web-1', text: 'hello' })).toBe('web-1     | hello\n');
    expect(formatter.format({ source: 'worker-1', text: 'hi' })).toBe('worker-1  | hi\n');
  });

  test('has the colour of its container, ten in rotation', () => {
    const formatter = logFormatter({ ...layout, paint: (colour, text) => `<${colour}>${text}` });
    const sources = Array.from({ length: 11 }, (_unused, index) => `s${index}`);
    const colours = sources.map((source) => /^<(\w+)>/.exec(formatter.format({ source, text: '' }))?.[1]);
    expect(colours).toEqual([...rotation, 'cyan']);
    expect(formatter.format({ source: 's1', text: '' })).toMatch(/^<yellow>/);
  });

  test('may show its time', () => {
    expect(logFormatter({ ...layout, timestamps: true, prefix: false }).format({ source: 'a', time: 'T', text: 'x' })).toBe(
      'T x\n',
    );
  });

  test.each([
    ['\u001b]0;title\u0007x', '^[]0;title^Gx'],
    ['\u001b[2J\u001b[Hx', '^[[2J^[[Hx'],
    ['\u001b]52;c;aGk=\u0007', '^[]52;c;aGk=^G'],
    ['\u001b[6n', '^[[6n'],
    ['safe\rweb-1  | forged', 'safe^Mweb-1  | forged'],
    ['\u001b[31mred\u001b[0m', '\u001b[31mred\u001b[0m'],
    ['a\tb', 'a\tb'],
    ['\u202Eabc', '<U+202E>abc'],
    ['\u009b31m', '<U+009B>31m'],
    ['naïve ☃ 日本', 'naïve ☃ 日本'],
  ])('shows %j on a terminal as %j', (text, shown) => {
    expect(makeVisible(text)).toBe(shown);
  });

  test('goes unchanged into a file or pipe', () => {
    expect(logFormatter({ ...layout, isTerminal: false }).format({ source: 'a', text: '\u001b[2Jx' })).toBe('a  | \u001b[2Jx\n');
  });

  test('cannot forge the prefix of another: each physical line has its own', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const printed = logFormatter(layout).format({ source: 'evil-1', text });
        expect(printed.endsWith('\n')).toBe(true);
        for (const line of printed.slice(0, -1).split('\n')) expect(line).toMatch(/^evil-1 {2}\| /);
        expect(printed.replaceAll(/\u001b\[[0-9;:]*m/g, '')).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      }),
    );
  });

  test('cannot colour what comes after it', () => {
    expect(logFormatter(layout).format({ source: 'a', text: '\u001b[31mred' })).toBe('a  | \u001b[31mred\u001b[0m\n');
  });
});

const recorded: readonly Event[] = [
  { type: 'plan', steps: 2, notices: ['volume "data" changed'] },
  { type: 'step', id: 0, resource: 'Network', name: 'shop_default', status: 'working', text: 'Creating' },
  { type: 'step', id: 0, resource: 'Network', name: 'shop_default', status: 'done', text: 'Created' },
  {
    type: 'step',
    id: 1,
    resource: 'Container',
    name: 'shop-web-1',
    status: 'error',
    text: 'Error',
    details: 'port taken',
    because: 'not there',
  },
  { type: 'error', error: { code: 'PORT_TAKEN', message: 'host port 80 is taken', details: { hint: 'use another' } } },
];

describe('progress', () => {
  async function render(mode: ProgressMode, dryRun = false): Promise<string> {
    const texts: string[] = [];
    const output = { isTTY: false, columns: 80, rows: 24, write: (data: string | Uint8Array) => void texts.push(String(data)) };
    const progress = createProgress({ mode, output, paint: plain, cwd: '/', dryRun, command: 'up', now: () => NOW });
    recorded.forEach(progress.tell);
    await progress.end();
    return texts.join('');
  }

  test('in plain form is a line a step', async () => {
    expect(await render('plain')).toBe(
      [
        'warning: volume "data" changed',
        ' Network shop_default  Creating',
        ' Network shop_default  Created',
        ' Container shop-web-1  Error port taken',
        'error PORT_TAKEN: host port 80 is taken',
        'hint: use another',
        '',
      ].join('\n'),
    );
  });

  test('of a dry run says so on every step', async () => {
    expect(await render('plain', true)).toContain('DRY-RUN MODE -  Network shop_default  Created\n');
  });

  test('in JSON is an object a line with the fields of docker compose', async () => {
    const lines = (await render('json'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(lines).toEqual([
      { warning: true, message: 'volume "data" changed' },
      { id: 'Network shop_default', status: 'Working', text: 'Creating' },
      { id: 'Network shop_default', status: 'Done', text: 'Created' },
      { id: 'Container shop-web-1', status: 'Error', text: 'Error', details: 'port taken', because: 'not there' },
      { error: true, code: 'PORT_TAKEN', message: 'host port 80 is taken' },
    ]);
  });

  test('when quiet tells errors only', async () => {
    expect(await render('quiet')).toBe('error PORT_TAKEN: host port 80 is taken\nhint: use another\n');
  });

  test.each([
    ['auto', true, 'tty'],
    ['auto', false, 'plain'],
    ['tty', false, 'tty'],
    ['plain', true, 'plain'],
    ['none', true, 'quiet'],
    ['quiet', true, 'quiet'],
    ['json', true, 'json'],
  ])('asked for as %s with a terminal %s is %s', (asked, isTTY, mode) => {
    expect(chooseMode(asked, { isTTY, columns: 80, rows: 24, write: () => undefined })).toBe(mode);
  });

  const step = (name: string, status: 'working' | 'done' | 'error', text: string): Extract<Event, { type: 'step' }> => ({
    type: 'step',
    id: 0,
    resource: 'Container',
    name,
    status,
    text,
  });
  const frame = { command: 'up', dryRun: false, now: NOW + 1500, columns: 50, height: 10, tick: 0, paint: plain };

  test('on a terminal has a row a resource, with times at the right edge', () => {
    let rows: Rows = new Map();
    rows = withStep(rows, step('a', 'working', 'Starting'), NOW);
    rows = withStep(rows, step('bb', 'working', 'Creating'), NOW + 500);
    rows = withStep(rows, step('a', 'done', 'Started'), NOW + 400);
    expect(frameHeader(rows, frame)).toBe('[+] up 1/2');
    expect(frameLines(rows, frame)).toEqual([
      ` ✔ Container a   Started${' '.repeat(22)}0.4s`,
      ` ⠋ Container bb  Creating${' '.repeat(21)}1.0s`,
    ]);
  });

  test('on a small terminal keeps what works and what failed', () => {
    let rows: Rows = new Map();
    for (let index = 0; index < 20; index++)
      rows = withStep(rows, step(`c${index}`, index === 3 ? 'error' : index === 9 ? 'working' : 'done', 'x'), NOW);
    const lines = frameLines(rows, { ...frame, height: 5 });
    expect(lines).toHaveLength(5);
    expect(lines.join('\n')).toMatch(/✘ Container c3 [\s\S]*⠋ Container c9 [\s\S]*and 16 more/);
  });

  test('on a terminal never draws a line wider than the screen', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 40, max: 200 }),
        fc.string({ maxLength: 15 }),
        fc.string({ maxLength: 300 }),
        (columns, name, text) => {
          const rows = withStep(new Map(), { ...step(name.replace(/[^a-z]/g, ''), 'error', 'Error'), details: text }, NOW);
          for (const line of frameLines(rows, { ...frame, columns })) expect([...line].length).toBeLessThanOrEqual(columns);
        },
      ),
    );
  });
});

test.each([
  [{ ansi: 'auto', isTerminal: true, env: {} }, true],
  [{ ansi: 'auto', isTerminal: false, env: {} }, false],
  [{ ansi: 'auto', isTerminal: true, env: { NO_COLOR: '1' } }, false],
  [{ ansi: 'auto', isTerminal: true, env: { NO_COLOR: '' } }, true],
  [{ ansi: 'auto', isTerminal: true, env: { TERM: 'dumb' } }, false],
  [{ ansi: 'always', isTerminal: false, env: { NO_COLOR: '1' } }, true],
  [{ ansi: 'never', isTerminal: true, env: {} }, false],
] as const)('colours with %j: %s', (switches, wanted) => {
  expect(wantsColour(switches)).toBe(wanted);
});
