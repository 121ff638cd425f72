import { expect, test } from 'vitest';
import { makeProject } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { composeOf } from './busybox.ts';

const speaker = composeOf({ a: 'command: [sh, -c, "for i in 1 2 3 4 5; do echo line $$i; done; echo oops >&2"]\n' });

async function spoken(compose: string) {
  const project = makeProject(compose);
  await project.ok('up', '-d');
  await eventually('a to have ended', async () => (await project.container('a')).State === 'exited');
  return project;
}

test.each([
  { flags: ['--no-log-prefix'], is: 'line 1\nline 2\nline 3\nline 4\nline 5\noops\n' },
  { flags: ['--no-log-prefix', '--tail', '2'], is: 'line 5\noops\n' },
  { flags: ['--no-log-prefix', '-n', '0'], is: '' },
  { flags: ['--no-log-prefix', '--since', '1h', '--tail', '1'], is: 'oops\n' },
  { flags: ['--no-log-prefix', '--until', '1h'], is: '' },
])('logs $flags', async ({ flags, is }) => {
  const project = await spoken(speaker);
  const { stdout, stderr } = await project.ok('logs', ...flags);
  // The two streams of a container are two pipes: their order among each other is not promised.
  expect(sortedLines(stdout + stderr)).toEqual(sortedLines(is));
});

test('lines carry the name of their container, and with -t the time', async () => {
  const project = await spoken(composeOf({ a: 'command: [echo, hello]\n' }));
  expect((await project.ok('logs', '--no-color')).stdout).toMatch(/^a-1\s+\| hello\n$/);
  expect((await project.ok('logs', '--no-color', '-t')).stdout).toMatch(/\| \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z hello\n$/);
});

test('logs -f shows what is there, then what comes, and ends with the containers', async () => {
  const project = makeProject(
    composeOf({ a: 'command: [sh, -c, "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo second"]\n' }),
  );
  await project.ok('up', '-d');
  const follow = project.start('logs', '-f', '--no-log-prefix');
  await eventually('the first line', () => follow.stdout() === 'first\n');
  await project.ok('exec', '-T', 'a', 'touch', '/go');
  await eventually('the second line', () => follow.stdout() === 'first\nsecond\n');
  follow.process.kill('SIGINT');
  await follow.finished;
});

test('nothing of a burst is lost', async () => {
  const project = await spoken(composeOf({ a: 'command: [seq, "20000"]\n' }));
  const { stdout } = await project.ok('logs', '--no-log-prefix');
  const expected = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join('');
  expect(stdout.length).toBe(expected.length);
  expect(stdout === expected).toBe(true);
});

function sortedLines(text: string): string[] {
  return text.split('\n').sort();
}
