import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openProject, type Project } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { composeOf, idle } from './busybox.ts';

describe('exec', () => {
  let project: Project;
  beforeAll(async () => {
    project = openProject(
      composeOf({ a: `${idle}environment: {COLOUR: green}\ndeploy: {replicas: 2}\n`, stopped: 'command: ["true"]\n' }),
    );
    await project.ok('up', '-d');
  });
  afterAll(() => project.remove());

  test.each([
    { words: ['a', 'true'], code: 0 },
    { words: ['a', 'sh', '-c', 'exit 42'], code: 42 },
    { words: ['a', 'sh', '-c', 'kill -9 $$'], code: 137 },
    { words: ['a', 'no-such-program'], code: 127 },
    { words: ['a', '/etc/passwd'], code: 126 },
    { words: ['stopped', 'true'], code: 1 },
    { words: ['nobody', 'true'], code: 1 },
  ])('of $words ends with $code', async ({ words, code }) => {
    expect((await project.run('exec', '-T', ...words)).code).toBe(code);
  });

  test.each([
    { flags: [], command: 'echo $COLOUR', prints: 'green\n' },
    { flags: ['-e', 'COLOUR=red'], command: 'echo $COLOUR', prints: 'red\n' },
    { flags: ['-w', '/usr'], command: 'pwd', prints: '/usr\n' },
    { flags: ['-u', '1000:1000'], command: 'id -u', prints: '1000\n' },
  ])('with $flags: $command', async ({ flags, command, prints }) => {
    expect((await project.ok('exec', '-T', ...flags, 'a', 'sh', '-c', command)).stdout).toBe(prints);
  });

  test('--index chooses the replica', async () => {
    const names = await Promise.all(
      ['1', '2'].map(async (index) => (await project.ok('exec', '-T', '--index', index, 'a', 'hostname')).stdout),
    );
    expect(new Set(names).size).toBe(2);
  });

  test('standard input reaches the program, and its end too', async () => {
    const running = project.start('exec', '-T', 'a', 'wc', '-c');
    running.process.stdin?.end('x'.repeat(100_000));
    expect((await running.finished).stdout.trim()).toBe('100000');
  });

  test('standard output and standard error stay apart', async () => {
    expect(await project.ok('exec', '-T', 'a', 'sh', '-c', 'echo out; echo err >&2')).toMatchObject({
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  test('it is bound by the rules of the container: same capabilities, same filter', async () => {
    const { stdout } = await project.ok('exec', '-T', 'a', 'grep', '-E', '^(CapBnd|Seccomp):', '/proc/self/status');
    expect(stdout).toBe('CapBnd:\t00000000a80425fb\nSeccomp:\t2\n');
  });

  test('-d comes back at once and leaves the program running', async () => {
    await project.ok('exec', '-d', 'a', 'sh', '-c', 'echo $$ > /tmp/pid; exec sleep 50');
    await eventually(
      'the program to run',
      async () => (await project.run('exec', '-T', 'a', 'sh', '-c', 'kill -0 $(cat /tmp/pid)')).code === 0,
    );
  });
});
