import { describe, expect, test } from 'vitest';
import { combinedStatus } from '../../../src/cli/commands/ls.ts';
import { formatTable } from '../../../src/cli/output/table.ts';
import { commandWords, humanDuration, portWords, shownPorts, statusWords } from '../../../src/cli/output/words.ts';
import { makeContainer, makeService, NOW } from './fakes.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

test.each([
  [0, 'Less than a second'],
  [999, 'Less than a second'],
  [second, '1 second'],
  [1999, '1 second'],
  [2 * second, '2 seconds'],
  [59_999, '59 seconds'],
  [minute, 'About a minute'],
  [119_999, 'About a minute'],
  [2 * minute, '2 minutes'],
  [59 * minute, '59 minutes'],
  [hour, 'About an hour'],
  [1.4 * hour, 'About an hour'],
  [1.5 * hour, '2 hours'],
  [47 * hour, '47 hours'],
  [48 * hour, '2 days'],
  [13 * day, '13 days'],
  [14 * day, '2 weeks'],
  [59 * day, '8 weeks'],
  [60 * day, '2 months'],
  [729 * day, '24 months'],
  [730 * day, '2 years'],
])('%d ms is "%s"', (milliseconds, words) => {
  expect(humanDuration(milliseconds)).toBe(words);
});

test.each([
  [{ state: 'created' }, 'Created'],
  [{ state: 'running' }, 'Up 3 seconds'],
  [{ state: 'running', health: 'healthy' }, 'Up 3 seconds (healthy)'],
  [{ state: 'running', health: 'unhealthy' }, 'Up 3 seconds (unhealthy)'],
  [{ state: 'running', health: 'starting' }, 'Up 3 seconds (health: starting)'],
  [{ state: 'paused' }, 'Up 3 seconds (Paused)'],
  [{ state: 'exited', exitCode: 1, finishedAt: NOW - 5 * minute }, 'Exited (1) 5 minutes ago'],
  [{ state: 'restarting', exitCode: 1, finishedAt: NOW - 2 * second }, 'Restarting (1) 2 seconds ago'],
  [{ state: 'running', startedAt: NOW + hour }, 'Up Less than a second'],
] as const)('the status of %o is "%s"', (change, words) => {
  expect(statusWords(makeContainer('web', change), NOW)).toBe(words);
});

const port = (published: number, target: number, hostIp = '0.0.0.0', protocol: 'tcp' | 'udp' = 'tcp') => ({
  published,
  target,
  hostIp,
  protocol,
});

test.each([
  [[], ''],
  [[port(8080, 80)], '0.0.0.0:8080->80/tcp'],
  [[port(8080, 80, '::')], '[::]:8080->80/tcp'],
  [[port(0, 80, '')], '80/tcp'],
  [[port(8000, 8000), port(8001, 8001), port(8002, 8002)], '0.0.0.0:8000-8002->8000-8002/tcp'],
  [[port(8000, 80), port(8001, 82)], '0.0.0.0:8000->80/tcp, 0.0.0.0:8001->82/tcp'],
  [[port(53, 53, '127.0.0.1', 'udp'), port(53, 53, '127.0.0.1')], '127.0.0.1:53->53/tcp, 127.0.0.1:53->53/udp'],
  [[port(0, 9001, ''), port(0, 9000, ''), port(8080, 80)], '0.0.0.0:8080->80/tcp, 9000-9001/tcp'],
])('ports %j are drawn as "%s"', (ports, words) => {
  expect(portWords(ports)).toBe(words);
});

describe('the ports a container shows', () => {
  const spec = makeService('web', { expose: ['80', '53/udp', '9000-9001'] });

  test('are the published ones and what it exposes besides', () => {
    const shown = shownPorts(makeContainer('web', { spec, ports: [port(8080, 80)] }));
    expect(portWords(shown)).toBe('0.0.0.0:8080->80/tcp, 9000-9001/tcp, 53/udp');
  });

  test('are none once it has ended', () => {
    expect(shownPorts(makeContainer('web', { spec, state: 'exited', ports: [port(8080, 80)] }))).toEqual([]);
  });
});

test.each([
  [['sh'], true, '"sh"'],
  [['node', '/app/server.js', '--port', '80'], true, '"node /app/server.js…"'],
  [['node', '/app/server.js', '--port', '80'], false, '"node /app/server.js --port 80"'],
])('the command %j (shortened: %s) is shown as %s', (command, truncate, words) => {
  expect(commandWords(makeContainer('web', { spec: makeService('web', { command }) }), truncate)).toBe(words);
});

test('a table has cells of ten characters at least and three blanks between, and no blanks at the end', () => {
  expect(
    formatTable(
      ['NAME', 'IMAGE', 'PORTS'],
      [
        ['shop-web-1', 'a', ''],
        ['b', 'c', '80/tcp'],
      ],
    ),
  ).toBe('NAME         IMAGE     PORTS\nshop-web-1   a         \nb            c         80/tcp\n');
});

test('the states of a project are counted in alphabetical order', () => {
  expect(combinedStatus([{ state: 'running' }, { state: 'exited' }, { state: 'running' }])).toBe('exited(1), running(2)');
});
