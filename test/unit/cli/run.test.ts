import { describe, expect, test } from 'vitest';
import type { Attachment, AttachOutput } from '../../../src/cli/doors.ts';
import { processRow } from '../../../src/cli/processes.ts';
import { parsePublish, type RunSpecFlags, runSpec, splitWords } from '../../../src/cli/run-spec.ts';
import { execFailure } from '../../../src/cli/exec-program.ts';
import { fakeWorld, makeContainer, makeService } from './fakes.ts';

const noFlags: RunSpecFlags = { env: [], label: [], volume: [], publish: [], capAdd: [], capDrop: [] };
const terminal = { tty: false, stdinOpen: true, cwd: '/src', env: { FROM_SHELL: 's' }, volumes: ['data'] };

describe('the service of a run', () => {
  const service = makeService('web', {
    command: ['serve'],
    restart: { kind: 'always' },
    replicas: 3,
    containerName: 'fixed',
    environment: { A: '1', B: '2' },
    ports: [{ target: 80, published: 8080, hostIp: '', protocol: 'tcp' }],
    mounts: [{ type: 'volume', source: 'data', target: '/data', readOnly: false, noCopy: false }],
  });

  test('is alone, does not restart, and publishes nothing', () => {
    expect(runSpec(service, [], noFlags, terminal)).toMatchObject({
      replicas: 1,
      restart: { kind: 'no' },
      ports: [],
      command: ['serve'],
      stdinOpen: true,
    });
    expect(runSpec(service, [], noFlags, terminal)).not.toHaveProperty('containerName');
  });

  test('takes flags over', () => {
    const spec = runSpec(
      service,
      ['sh'],
      {
        ...noFlags,
        env: ['B=3', 'FROM_SHELL', 'NOWHERE'],
        volume: ['./x:/data:ro', 'data:/more', '/anon'],
        publish: ['9000:90'],
        servicePorts: true,
        user: 'u',
        workdir: '/w',
        name: 'n',
        label: ['k=v'],
      },
      terminal,
    );
    expect(spec).toMatchObject({
      command: ['sh'],
      environment: { A: '1', B: '3', FROM_SHELL: 's' },
      user: 'u',
      workingDir: '/w',
      containerName: 'n',
      labels: { k: 'v' },
      ports: [{ target: 80 }, { target: 90, published: 9000 }],
      mounts: [
        { type: 'bind', source: '/src/x', target: '/data', readOnly: true },
        { type: 'volume', source: 'data', target: '/more' },
        { type: 'volume', target: '/anon' },
      ],
    });
    expect(spec.environment).not.toHaveProperty('NOWHERE');
  });

  test('with another entrypoint drops the command', () => {
    expect(runSpec(service, [], { ...noFlags, entrypoint: 'sh -c "a b"' }, terminal)).toMatchObject({
      entrypoint: ['sh', '-c', 'a b'],
      command: [],
    });
  });

  test.each(['a:b:c:d', 'rel:ative', '/a:/b:rx', 'unknown:/x'])('refuses the volume %s', (volume) => {
    expect(() => runSpec(service, [], { ...noFlags, volume: [volume] }, terminal)).toThrow(/volume/);
  });
});

test.each([
  ['80', 0, 80, '', 'tcp'],
  ['8080:80', 8080, 80, '', 'tcp'],
  ['127.0.0.1:8080:80/udp', 8080, 80, '127.0.0.1', 'udp'],
  ['[::1]:1:2', 1, 2, '::1', 'tcp'],
  ['127.0.0.1::80', 0, 80, '127.0.0.1', 'tcp'],
])('-p %s', (text, published, target, hostIp, protocol) => {
  expect(parsePublish(text)).toEqual({ published, target, hostIp, protocol });
});

test.each(['', 'x', '0:80', '80:0', '70000', '1:2:3:4', '80/icmp'].filter((text) => text !== '0:80'))(
  '-p %j is refused',
  (text) => {
    expect(() => parsePublish(text)).toThrow(/invalid port/);
  },
);

test.each([
  ['a b', ['a', 'b']],
  ['  a  ', ['a']],
  ['a "b c"', ['a', 'b c']],
  ["a 'b \"c'", ['a', 'b "c']],
  ['a\\ b', ['a b']],
  ['"a \\"b\\""', ['a "b"']],
  ['a"b"c', ['abc']],
  ['', []],
])('%j is the words %j', (text, words) => {
  expect(splitWords(text)).toEqual(words);
});

describe('run', () => {
  function attachable(exitCode: number, log: string[]): (path: string, onOutput: AttachOutput) => Promise<Attachment> {
    return async (path, onOutput) => {
      let end: (code: number) => void = () => undefined;
      const ended = new Promise<number>((resolve) => {
        end = resolve;
      });
      return {
        attach: async (withStdin) => {
          log.push(`attach ${path} ${withStdin}`);
          onOutput('stdout', Buffer.from('out'));
          onOutput('stderr', Buffer.from('err'));
          end(exitCode);
        },
        stdin: () => undefined,
        resize: (rows, columns) => void log.push(`resize ${rows} ${columns}`),
        signal: async (number) => void log.push(`signal ${number}`),
        ended,
        close: () => void log.push('close'),
      };
    };
  }

  test('attaches, passes output and exit code on, and removes when asked', async () => {
    const log: string[] = [];
    const world = fakeWorld({ doors: { attachment: attachable(5, log) } });
    world.answers.run = () => ({ id: 'abc', name: 'shop-web-run-1', socket: '/s' });
    expect(await world.run('run', '--rm', 'web', 'sh', '-c', 'exit 5')).toBe(5);
    expect([world.stdout(), world.stderr(), log]).toEqual(['out', 'err', ['attach /s true', 'close']]);
    expect(world.calls.map(({ method }) => method)).toEqual(['run', 'remove']);
    expect(world.calls[0]?.params).toMatchObject({ service: 'web', spec: { command: ['sh', '-c', 'exit 5'] }, waitAttach: true });
  });

  test('on a terminal makes it raw, tells its size, and gives it back', async () => {
    const log: string[] = [];
    const world = fakeWorld({ terminal: true, doors: { attachment: attachable(0, log) } });
    const raw: boolean[] = [];
    Object.assign(world.around.stdin, { setRawMode: (on: boolean) => raw.push(on) });
    world.answers.run = () => ({ id: 'abc', name: 'n', socket: '/s' });
    expect(await world.run('run', 'web', 'sh')).toBe(0);
    expect([raw, log[0]]).toEqual([[true, false], 'resize 24 80']);
    expect(world.calls[0]?.params).toMatchObject({ spec: { tty: true } });
  });

  test('-d prints the name and does not wait', async () => {
    const world = fakeWorld();
    world.answers.run = () => ({ id: 'abc', name: 'shop-web-run-1', socket: '' });
    expect(await world.run('run', '-d', 'web')).toBe(0);
    expect(world.stdout()).toBe('shop-web-run-1\n');
  });

  test('of a service that does not exist fails', async () => {
    expect(await fakeWorld().run('run', 'nope')).toBe(1);
  });
});

test.each([
  ['70 12 2 execve: No such file or directory', 'COMMAND_NOT_FOUND', 127],
  ['70 12 13 execve: Permission denied', 'COMMAND_NOT_EXECUTABLE', 126],
  ['5 0 3 setns: No such process', 'LAUNCH_FAILED', 125],
  ['something else', 'LAUNCH_FAILED', 125],
])('a failed exec "%s" is %s', (text, code, exitCode) => {
  const error = execFailure(text, { command: ['nope'], container: makeContainer('web') });
  expect([error.code, error.exitCode]).toEqual([code, exitCode]);
});

test('a line of top is read from /proc as ps does', () => {
  const stat = '4711 (a) b (c)) S 1 4711 4711 34817 4711 4194560 1 2 3 4 250 50 0 0 20 0 1 0 6000 1 1';
  const row = processRow(
    { stat, status: 'Name:\tx\nUid:\t1000\t1001\t1000\t1000\n', cmdline: 'node\0server.js\0' },
    { bootSeconds: 1_000_000, now: 1_000_160_000 },
  );
  expect([...row.slice(0, 4), ...row.slice(5)]).toEqual(['1001', '4711', '1', '3', 'pts/1', '00:00:03', 'node server.js']);
});
