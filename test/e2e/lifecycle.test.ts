import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { makeProject, type PsRow } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { busybox, composeOf, idle } from './busybox.ts';

const two = composeOf({ a: idle, b: idle });

describe('up', () => {
  test('starts every service once, and down removes every trace', async () => {
    const project = makeProject(two);
    await project.ok('up', '-d');
    expect(namesAndStates(await project.ps())).toEqual([`${project.name}-a-1 running`, `${project.name}-b-1 running`]);
    await project.ok('down');
    expect(await project.ps()).toEqual([]);
    await eventually('the supervisor to be gone', () => project.supervisorPid() === undefined);
  });

  test('of an unchanged file changes nothing', async () => {
    const project = makeProject(two);
    await project.ok('up', '-d');
    const before = await identities(project.ps(), project);
    await project.ok('up', '-d');
    expect(await identities(project.ps(), project)).toEqual(before);
  });

  test('recreates only the service whose environment changed', async () => {
    const project = makeProject(composeOf({ a: `${idle}environment: {MODE: one}\n`, b: idle }));
    await project.ok('up', '-d');
    const [a, b] = [await project.container('a'), await project.container('b')];
    project.write('compose.yaml', composeOf({ a: `${idle}environment: {MODE: two}\n`, b: idle }));
    expect((await project.run('plan', '--detailed-exitcode')).code).toBe(2);
    await project.ok('up', '-d');
    expect((await project.container('a')).ID).not.toBe(a.ID);
    expect((await project.container('b')).ID).toBe(b.ID);
    expect((await project.ok('exec', '-T', 'a', 'sh', '-c', 'echo $MODE')).stdout).toBe('two\n');
  });

  test.each([
    { name: '--force-recreate gives every service a new container', flags: ['--force-recreate'], isNew: true },
    { name: '--no-recreate keeps even what changed', flags: ['--no-recreate'], isNew: false },
  ])('$name', async ({ flags, isNew }) => {
    const project = makeProject(composeOf({ a: idle }));
    await project.ok('up', '-d');
    const before = await project.container('a');
    if (!isNew) project.write('compose.yaml', composeOf({ a: `${idle}environment: {CHANGED: "1"}\n` }));
    await project.ok('up', '-d', ...flags);
    expect((await project.container('a')).ID !== before.ID).toBe(isNew);
  });

  test('starts the named service and what it depends on, nothing else', async () => {
    const project = makeProject(composeOf({ a: idle, b: `${idle}depends_on: [a]\n`, c: idle }));
    await project.ok('up', '-d', 'b');
    expect((await project.ps()).map((row) => row.Service).sort()).toEqual(['a', 'b']);
  });

  test('removes orphans only when asked', async () => {
    const project = makeProject(two);
    await project.ok('up', '-d');
    project.write('compose.yaml', composeOf({ a: idle }));
    const finished = await project.ok('up', '-d');
    expect(finished.stderr).toContain(`${project.name}-b-1`);
    expect(await project.ps()).toHaveLength(2);
    await project.ok('up', '-d', '--remove-orphans');
    expect((await project.ps()).map((row) => row.Service)).toEqual(['a']);
  });

  test('--scale makes replicas, and fewer take the highest numbers away', async () => {
    const project = makeProject(composeOf({ a: idle }));
    await project.ok('up', '-d', '--scale', 'a=3');
    const first = await project.container('a');
    expect((await project.ps()).map((row) => row.Name).sort()).toEqual([1, 2, 3].map((number) => `${project.name}-a-${number}`));
    await project.ok('up', '-d', '--scale', 'a=1');
    expect((await project.ps()).map((row) => row.ID)).toEqual([first.ID]);
  });

  test('--dry-run shows the steps and takes none', async () => {
    const project = makeProject(two);
    const finished = await project.ok('--dry-run', 'up', '-d');
    expect(finished.stdout + finished.stderr).toContain(`${project.name}-a-1`);
    expect(await project.ps()).toEqual([]);
  });

  test('attached, it shows what the services say and stops them on the first Ctrl-C', async () => {
    const project = makeProject(
      composeOf({ a: 'command: [sh, -c, "trap exit TERM; echo hello from a; while :; do sleep 0.1; done"]\n' }),
    );
    const up = project.start('up');
    await eventually('the line of a', () => /a-1\s+\| hello from a/.test(up.stdout()));
    up.process.kill('SIGINT');
    expect((await up.finished).code).toBe(130);
    expect((await project.container('a')).State).toBe('exited');
  });

  test('twice at once: both succeed and there is one container of each', async () => {
    const project = makeProject(two);
    const finished = await Promise.all([project.run('up', '-d'), project.run('up', '-d')]);
    expect(finished.map(({ code, stderr }) => (code === 0 ? 0 : stderr))).toEqual([0, 0]);
    expect(namesAndStates(await project.ps())).toEqual([`${project.name}-a-1 running`, `${project.name}-b-1 running`]);
  });
});

test('every command finds the name of a project whose file is JSON', async () => {
  const project = makeProject({ files: {}, env: { COMPOSE_PROJECT_NAME: '' } });
  const services = { a: { image: busybox, command: ['sleep', 'infinity'], init: true } };
  project.write('compose.yaml', JSON.stringify({ name: project.name, services }));
  await project.ok('up', '-d');
  expect((await project.ps()).map((row) => row.Name)).toEqual([`${project.name}-a-1`]);
});

describe('order', () => {
  test('a dependant starts only after its dependency is healthy', async () => {
    const late = `
      command: [sleep, infinity]
      init: true
      healthcheck: {test: [CMD, test, -e, /ready], interval: 1s, start_period: 600s, start_interval: 100ms}`;
    const project = makeProject(composeOf({ late, user: `${idle}depends_on:\n  late: {condition: service_healthy}\n` }));
    const up = project.start('up', '-d');
    await eventually('late to run', async () => (await project.container('late')).State === 'running');
    expect((await project.ps()).find((row) => row.Service === 'user')?.State).not.toBe('running');
    await project.ok('exec', '-T', 'late', 'touch', '/ready');
    expect((await up.finished).code).toBe(0);
    expect((await project.container('late')).Health).toBe('healthy');
    expect((await project.container('user')).State).toBe('running');
  });

  test('a dependant starts only after a one-shot has ended with success', async () => {
    const project = makeProject(
      composeOf(
        {
          setup: 'command: [sh, -c, "sleep 0.5; echo done > /shared/marker"]\nvolumes: [shared:/shared]\n',
          user: 'command: [sh, -c, "cat /shared/marker; exec sleep 60"]\ninit: true\nvolumes: [shared:/shared]\ndepends_on:\n  setup: {condition: service_completed_successfully}\n',
        },
        'volumes: {shared: {}}\n',
      ),
    );
    await project.ok('up', '-d');
    await eventually('the line of user', async () => (await project.ok('logs', '--no-log-prefix', 'user')).stdout === 'done\n');
  });

  test('when a one-shot fails, its dependants are not started and up says so', async () => {
    const project = makeProject(
      composeOf({
        setup: 'command: [sh, -c, "exit 3"]\n',
        user: `${idle}depends_on:\n  setup: {condition: service_completed_successfully}\n`,
      }),
    );
    const finished = await project.run('up', '-d');
    expect(finished.code).toBe(1);
    expect(finished.stderr).toMatch(/setup.*(3|didn't complete|fail)/);
    expect((await project.ps()).find((row) => row.Service === 'user')?.State).not.toBe('running');
  });

  test('stop goes the other way: the dependant is dead before its dependency is told', async () => {
    const service = (name: string) => `
      command: [sh, -c, "trap 'echo ${name} >> /shared/order; exit' TERM; echo ready; while :; do sleep 0.05; done"]
      volumes: ["./shared:/shared"]`;
    const files = {
      'compose.yaml': composeOf({ base: service('base'), top: `${service('top')}\n      depends_on: [base]` }),
      'shared/order': '',
    };
    const project = makeProject({ files });
    await project.ok('up', '-d');
    await eventually(
      'both to listen to signals',
      async () => (await project.ok('logs', '--no-log-prefix')).stdout === 'ready\nready\n',
    );
    await project.ok('stop');
    expect(fs.readFileSync(`${project.folder}/shared/order`, 'utf8')).toBe('top\nbase\n');
  });
});

describe('single services', () => {
  test('restart gives a running service a new process in the same container', async () => {
    const project = makeProject(two);
    await project.ok('up', '-d');
    const [container, pid, other] = [await project.container('a'), await project.pidOf('a'), await project.pidOf('b')];
    await project.ok('restart', 'a');
    expect((await project.container('a')).ID).toBe(container.ID);
    expect(await project.pidOf('a')).not.toBe(pid);
    expect(await project.pidOf('b')).toBe(other);
  });

  test('stop, start and kill leave the other service alone', async () => {
    const project = makeProject(two);
    await project.ok('up', '-d');
    const other = await project.pidOf('b');
    await project.ok('stop', 'a');
    expect((await project.container('a')).State).toBe('exited');
    await project.ok('start', 'a');
    expect((await project.container('a')).State).toBe('running');
    await project.ok('kill', 'a');
    await eventually('a to be dead', async () => (await project.container('a')).State === 'exited');
    expect((await project.container('a')).ExitCode).toBe(137);
    expect(await project.pidOf('b')).toBe(other);
  });

  test('a program that does not hear the stop signal is killed after the grace', async () => {
    const project = makeProject(composeOf({ deaf: 'command: [sh, -c, "trap : TERM; while :; do sleep 0.1; done"]\n' }));
    await project.ok('up', '-d');
    await project.ok('stop', '-t', '1');
    expect((await project.container('deaf')).ExitCode).toBe(137);
  });

  test('run executes a one-off command, passes its exit status on and leaves nothing with --rm', async () => {
    const project = makeProject(composeOf({ a: `${idle}environment: {GREETING: hello}\n` }));
    const finished = await project.run('run', '--rm', '-T', 'a', 'sh', '-c', 'echo "$GREETING"; exit 5');
    expect(finished).toMatchObject({ code: 5, stdout: 'hello\n' });
    expect(await project.ps()).toEqual([]);
  });
});

function namesAndStates(rows: readonly PsRow[]): string[] {
  return rows.map((row) => `${row.Name} ${row.State}`).sort();
}

async function identities(rows: Promise<PsRow[]>, project: { pidOf(service: string): Promise<number> }): Promise<string[]> {
  return Promise.all((await rows).map(async (row) => `${row.Name} ${row.ID} ${await project.pidOf(row.Service)}`));
}
