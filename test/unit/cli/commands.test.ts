import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { commandTable } from '../../../src/cli/command-table.ts';
import { whyUnsuitable } from '../../../src/cli/platform.ts';
import { version } from '../../../src/cli/version.ts';
import { TscomposeError } from '../../../src/errors.ts';
import { fakeWorld, makeContainer, makeService, NOW } from './fakes.ts';

describe('the command line', () => {
  test.each([
    [['upp'], "unknown command 'upp'", 'up'],
    [['up', '--detatch'], "unknown option '--detatch'", '--detach'],
    [['--progres', 'json', 'ps'], "unknown option '--progres'", '--progress'],
    [['port', 'web'], "missing required argument 'port'", ''],
    [['up', '-t', 'soon'], "option '-t, --timeout <seconds>' argument 'soon' is invalid", ''],
    [['--ansi', 'maybe', 'ps'], 'Allowed choices are never, always, auto', ''],
  ])('%j is refused with exit status 1 and a suggestion', async (argv, message, suggestion) => {
    const world = fakeWorld();
    expect(await world.run(...argv)).toBe(1);
    expect(world.stderr()).toContain(message);
    expect(world.stderr()).toContain(suggestion);
    expect(world.stdout()).toBe('');
  });

  test('without a command shows its help', async () => {
    const world = fakeWorld();
    expect(await world.run()).toBe(0);
    expect(world.stdout()).toContain('Usage: tscompose [options] [command]');
  });

  test.each([['-v'], ['--version'], ['version']])('%s shows the version', async (argument) => {
    const world = fakeWorld();
    expect(await world.run(argument)).toBe(0);
    expect(world.stdout()).toBe(`tscompose version v${version}\n`);
  });

  test.each([
    [['version', '--short'], version],
    [['version', '--format', 'json'], JSON.stringify({ version: `v${version}` })],
  ])('%j prints %s', async (argv, text) => {
    const world = fakeWorld();
    await world.run(...argv);
    expect(world.stdout()).toBe(`${text}\n`);
  });

  test('has the version of the package', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string };
    expect(version).toBe(manifest.version);
  });

  test.each(commandTable.map((spec) => [spec.name, spec] as const))(
    '%s has help with an example that parses',
    async (name, spec) => {
      const world = fakeWorld();
      expect(await world.run(name, '--help')).toBe(0);
      expect(world.stdout()).toContain(`Example:\n  ${spec.example}`);
      expect(spec.example).toMatch(new RegExp(`^tscompose ${name} ?`));
      const words = spec.example.split(' ').slice(1);
      expect(await fakeWorld().run('--help', ...words)).toBe(0);
      expect(typeof (await spec.load())).toBe('function');
    },
  );

  test('hands errors of the registry on as exit statuses, told once', async () => {
    const world = fakeWorld({
      doors: {
        observe: async () => Promise.reject(new TscomposeError('COMMAND_NOT_FOUND', 'no such program', { hint: 'look' })),
      },
    });
    expect(await world.run('ps')).toBe(127);
    expect(world.stderr()).toBe('error COMMAND_NOT_FOUND: no such program\nhint: look\n');
  });

  test('in JSON tells errors in JSON', async () => {
    const world = fakeWorld({ doors: { observe: async () => Promise.reject(new TscomposeError('NOT_ROOT', 'no')) } });
    await world.run('--progress', 'json', 'ps');
    expect(JSON.parse(world.stderr())).toEqual({ error: true, code: 'NOT_ROOT', message: 'no' });
  });

  test('refuses a project name that could leave its folder', async () => {
    const world = fakeWorld();
    expect(await world.run('-p', '../etc', 'ps')).toBe(1);
    expect(world.stderr()).toContain('NAME_INVALID');
  });

  test('tells all faults of the file and does nothing', async () => {
    const at = { file: '/src/shop/compose.yaml', line: 1, column: 1 };
    const diagnostics = ['one', 'two'].map((message) => ({ severity: 'error' as const, code: 'FILE_INVALID', message, at }));
    const world = fakeWorld({ doors: { load: async () => ({ diagnostics, secrets: {}, environment: async () => ({}) }) } });
    expect(await world.run('up', '-d')).toBe(1);
    expect(world.stderr()).toBe('compose.yaml:1:1: error FILE_INVALID: one\ncompose.yaml:1:1: error FILE_INVALID: two\n');
    expect(world.calls).toEqual([]);
  });
});

test.each([
  ['18.20.0', 'linux', 'NODE_TOO_OLD'],
  ['20.18.9', 'linux', 'NODE_TOO_OLD'],
  ['20.19.0', 'linux', ''],
  ['20.20.2', 'linux', ''],
  ['24.0.0', 'linux', ''],
  ['22.0.0', 'darwin', 'NOT_LINUX'],
  ['9.11.2', 'linux', 'NODE_TOO_OLD'],
])('Node %s on %s: %s', (node, platform, code) => {
  const reason = whyUnsuitable(node, platform);
  expect(reason === '' ? '' : /^error (\w+): .*\nhint: /.exec(reason)?.[1]).toBe(code);
});

describe('ps', () => {
  const containers = [
    makeContainer('web', {
      ports: [{ target: 80, published: 8080, hostIp: '', protocol: 'tcp' }],
      health: 'healthy',
      labels: { a: 'b' },
    }),
    makeContainer('api', { number: 2 }),
    makeContainer('migrate', { state: 'exited', exitCode: 0, finishedAt: NOW - 2000 }),
    makeContainer('task', { oneOff: true, name: 'shop-task-run-1' }),
  ];

  test('shows what runs as docker compose does', async () => {
    const world = fakeWorld({ containers });
    expect(await world.run('ps')).toBe(0);
    expect(world.stdout()).toBe(
      [
        'NAME         IMAGE       COMMAND            SERVICE   CREATED              STATUS                   PORTS',
        'shop-api-2   host:/usr   "node server.js"   api       About a minute ago   Up 3 seconds             ',
        'shop-web-1   host:/usr   "node server.js"   web       About a minute ago   Up 3 seconds (healthy)   0.0.0.0:8080->80/tcp',
        '',
      ].join('\n'),
    );
  });

  test.each([
    [['-a', '-q'], 4],
    [['-q'], 2],
    [['-q', '--status', 'exited'], 1],
    [['-q', '--filter', 'status=running'], 2],
    [['-q', 'web'], 1],
  ])('%j lists %d containers', async (flags, count) => {
    const world = fakeWorld({ containers });
    await world.run('ps', ...flags);
    expect(
      world
        .stdout()
        .trimEnd()
        .split('\n')
        .map((id) => id.length),
    ).toEqual(Array.from({ length: count }, () => 64));
  });

  test('in JSON is an object a line with the fields of docker compose', async () => {
    const world = fakeWorld({ containers });
    await world.run('ps', '--format', 'json', 'web');
    const row = JSON.parse(world.stdout()) as Record<string, unknown>;
    expect(Object.keys(row).join(' ')).toBe(
      'Command CreatedAt ExitCode Health ID Image Labels LocalVolumes Mounts Name Names Networks Ports Project Publishers RunningFor Service Size State Status',
    );
    expect(row).toMatchObject({
      Name: 'shop-web-1',
      Health: 'healthy',
      State: 'running',
      Labels: 'a=b',
      CreatedAt: '2026-11-22 05:59:00 +0000 UTC',
      Publishers: [{ URL: '0.0.0.0', TargetPort: 80, PublishedPort: 8080, Protocol: 'tcp' }],
    });
  });

  test('names the services when one does not exist', async () => {
    const world = fakeWorld({ containers });
    expect(await world.run('ps', 'wbe')).toBe(1);
    expect(world.stderr()).toMatch(/NO_SUCH_SERVICE: no such service: wbe\nhint: services of this project: .*web/);
  });

  test('accepts a service of the file that has no container', async () => {
    expect(await fakeWorld({ containers, services: [makeService('later')] }).run('ps', 'later')).toBe(0);
  });
});

test('ls shows a table, JSON or names', async () => {
  const containers = [makeContainer('web'), makeContainer('job', { state: 'exited' })];
  const world = fakeWorld({ containers });
  await world.run('ls');
  await world.run('ls', '--format', 'json');
  await world.run('ls', '-q');
  expect(world.stdout()).toBe(
    [
      'NAME                STATUS                  CONFIG FILES',
      'shop                exited(1), running(1)   /src/shop/compose.yaml',
      '[{"Name":"shop","Status":"exited(1), running(1)","ConfigFiles":"/src/shop/compose.yaml"}]',
      'shop',
      '',
    ].join('\n'),
  );
});

describe('port', () => {
  const containers = [makeContainer('web', { ports: [{ target: 80, published: 8080, hostIp: '127.0.0.1', protocol: 'tcp' }] })];

  test('prints the address on the host', async () => {
    const world = fakeWorld({ containers });
    expect(await world.run('port', 'web', '80')).toBe(0);
    expect(world.stdout()).toBe('127.0.0.1:8080\n');
  });

  test.each([
    [['web', '81'], 'no port 81/tcp'],
    [['web', '80/udp'], 'no port 80/udp'],
    [['web', 'http'], 'invalid port'],
  ])('%j fails', async (operands, message) => {
    const world = fakeWorld({ containers });
    expect(await world.run('port', ...operands)).toBe(1);
    expect(world.stderr()).toContain(message);
  });
});

describe('plan', () => {
  test('says what is to be done and exits with 2 when asked for details', async () => {
    const world = fakeWorld();
    expect(await world.run('plan', '--detailed-exitcode')).toBe(2);
    expect(world.stdout()).toMatch(/^\+ create-container +shop-web-1 +/m);
    expect(await world.run('plan')).toBe(0);
    expect(world.calls).toEqual([]);
  });

  test('is 0 when there is nothing to do', async () => {
    const world = fakeWorld({ services: [] });
    expect(await world.run('plan', '--detailed-exitcode')).toBe(0);
    expect(world.stdout()).toContain('Nothing to do');
  });

  test('in JSON is the plan itself', async () => {
    const world = fakeWorld();
    await world.run('plan', '--format', 'json');
    expect(JSON.parse(world.stdout())).toMatchObject({
      project: 'shop',
      steps: [{ step: { do: 'create-container', name: 'shop-web-1' } }, { step: { do: 'start-container' } }],
    });
  });
});

describe('down', () => {
  test('of a project that is not there is no failure', async () => {
    const world = fakeWorld({ nothing: true });
    expect(await world.run('down')).toBe(0);
    expect(world.stderr()).toBe('warning: No resource found to remove for project "shop".\n');
    expect(world.calls).toEqual([]);
  });

  test('works with a name and without a file', async () => {
    const world = fakeWorld({ doors: { load: async () => Promise.reject(new TscomposeError('FILE_NOT_FOUND', 'no file')) } });
    world.answers.down = () => ({ plan: { project: 'shop', steps: [], notices: [] } });
    expect(await world.run('-p', 'shop', 'down', '-v', '-t', '3')).toBe(0);
    expect(world.calls).toContainEqual({
      method: 'down',
      params: { options: { services: [], volumes: true, removeOrphans: false, timeoutMs: 3000 } },
    });
  });

  test('run dry shows the plan on stdout', async () => {
    const world = fakeWorld({ containers: [makeContainer('web')] });
    expect(await world.run('down', '--dry-run')).toBe(0);
    expect(world.stdout()).toMatch(/^DRY-RUN MODE - ~ stop-container +shop-web-1/m);
    expect(world.calls).toEqual([]);
  });
});

test.each([
  [['stop', '-t', '5', 'web'], { method: 'stop', params: { services: ['web'], timeoutMs: 5000 } }],
  [['start', '--wait'], { method: 'start', params: { services: [], wait: true } }],
  [['restart', '--no-deps', 'web'], { method: 'restart', params: { services: ['web'], noDeps: true } }],
  [['kill', '-s', 'HUP'], { method: 'kill', params: { services: [], signal: 'HUP', removeOrphans: false } }],
  [['pause'], { method: 'pause', params: { services: [] } }],
  [['unpause', 'web'], { method: 'unpause', params: { services: ['web'] } }],
  [['rm', '-fs'], { method: 'rm', params: { services: [], stop: true, volumes: false } }],
])('%j asks the supervisor for %j', async (argv, call) => {
  const world = fakeWorld({ containers: [makeContainer('web')] });
  expect(await world.run(...argv)).toBe(0);
  expect(world.calls).toEqual([call]);
});

test('what changes containers needs root, what looks does not', async () => {
  const containers = [makeContainer('web')];
  for (const argv of [['up'], ['stop'], ['exec', 'web', 'true'], ['run', 'web']]) {
    const world = fakeWorld({ containers, uid: 1000 });
    expect(await world.run(...argv)).toBe(1);
    expect(world.stderr()).toContain('NOT_ROOT');
    expect(world.calls).toEqual([]);
  }
  for (const argv of [['ps'], ['logs'], ['plan'], ['config'], ['ls']])
    expect(await fakeWorld({ containers, uid: 1000 }).run(...argv)).toBe(0);
});

test.each([
  ['5.9.16', false],
  ['4.19.0-27-amd64', false],
  ['5.10.0', true],
  ['6.18.44', true],
])('up on Linux %s: %s', async (kernel, suits) => {
  const world = fakeWorld({ kernel });
  world.answers.up = () => ({ plan: { project: 'shop', steps: [], notices: [] } });
  expect(await world.run('up', '-d')).toBe(suits ? 0 : 1);
  expect(world.stderr().includes('KERNEL_TOO_OLD')).toBe(!suits);
});

describe('config', () => {
  test.each([
    [['--services'], 'api\nweb\n'],
    [['--images'], 'host:/usr\n'],
    [['--environment'], 'A=1\nB=2\n'],
    [['-q'], ''],
    [[], '{"name":"shop"}\n'],
  ])('%j prints %j', async (flags, text) => {
    const world = fakeWorld({ services: [makeService('api'), makeService('web')] });
    expect(await world.run('config', ...flags)).toBe(0);
    expect(world.stdout()).toBe(text);
  });

  test('--hash gives each service its own', async () => {
    const world = fakeWorld({ services: [makeService('api'), makeService('web')] });
    await world.run('config', '--hash', '*');
    expect(world.stdout()).toMatch(/^api [0-9a-f]{64}\nweb [0-9a-f]{64}\n$/);
  });
});

describe('logs', () => {
  const containers = [makeContainer('web'), makeContainer('api', { state: 'exited' })];
  const line = (service: string, time: string, text: string) => ({
    containerId: makeContainer(service).id,
    time,
    stream: 'stdout' as const,
    text,
  });

  test('shows all containers with aligned names', async () => {
    const world = fakeWorld({ containers });
    world.lines.push(line('web', '1', 'hello'), line('api', '2', 'bye'));
    expect(await world.run('logs')).toBe(0);
    expect(world.stdout()).toBe('web-1  | hello\napi-1  | bye\n');
  });

  test('followed, ends with the last container and misses nothing', async () => {
    const world = fakeWorld({ containers });
    const running = world.run('logs', '-f', '--no-log-prefix');
    await new Promise((resolve) => setTimeout(resolve, 30));
    world.lines.push(line('web', '3', 'late'));
    world.observed = { ...world.observed, containers: [makeContainer('web', { state: 'exited' })] };
    expect(await running).toBe(0);
    expect(world.stdout()).toBe('late\n');
  });

  test('followed, ends with Ctrl-C and leaves no listener behind', async () => {
    const world = fakeWorld({ containers });
    const running = world.run('logs', '-f');
    await new Promise((resolve) => setTimeout(resolve, 30));
    world.signal('SIGINT');
    expect(await running).toBe(0);
    expect([...world.signals.values()].every((listeners) => listeners.size === 0)).toBe(true);
  });

  test('refuses a tail that is no number', async () => {
    expect(await fakeWorld({ containers }).run('logs', '--tail', 'many')).toBe(1);
  });
});

describe('exec', () => {
  test('hands the command on with its flags, and its exit code back', async () => {
    const wishes: unknown[] = [];
    const world = fakeWorld({
      containers: [makeContainer('web')],
      env: { PASSED: 'on' },
      doors: { exec: async ({ container: _container, ...wish }) => 41 + wishes.push(wish) },
    });
    expect(
      await world.run(
        'exec',
        '-T',
        '-e',
        'A=1',
        '-e',
        'PASSED',
        '-e',
        'UNSET',
        '-u',
        'nobody',
        '-w',
        '/tmp',
        'web',
        'sh',
        '-c',
        'exit 42',
      ),
    ).toBe(42);
    expect(wishes).toEqual([
      {
        project: 'shop',
        command: ['sh', '-c', 'exit 42'],
        environment: ['A=1', 'PASSED=on'],
        user: 'nobody',
        workingDir: '/tmp',
        privileged: false,
        tty: false,
        detach: false,
      },
    ]);
  });

  test.each([
    [['web', 'true'], [makeContainer('web', { state: 'exited' })], 'is not running'],
    [['web', 'true'], [makeContainer('web', { state: 'paused' })], 'is paused'],
    [['--index', '3', 'web', 'true'], [makeContainer('web')], 'no container with index 3'],
    [['web'], [makeContainer('web')], 'no command'],
  ])('%j fails when it cannot be', async (argv, containers, message) => {
    const world = fakeWorld({ containers });
    expect(await world.run('exec', ...argv)).toBe(1);
    expect(world.stderr()).toContain(message);
  });
});

test('wait gives the exit code of the container that ended first', async () => {
  const world = fakeWorld({ containers: [makeContainer('web')] });
  world.answers.wait = () => ({ exitCode: 7 });
  expect(await world.run('wait', 'web')).toBe(7);
  expect(world.stdout()).toBe('container "shop-web-1" exited with status code 7\n');
});
