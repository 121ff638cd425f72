import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeProject, type Project, rootfsFolder } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { repository } from '../support/repository.ts';
import { expectUnchanged, takeSnapshot } from '../support/snapshot.ts';
import { composeOf, idle } from './busybox.ts';

test('a service that crashes is started again, in the same container', async () => {
  const project = makeProject(composeOf({ a: `${idle}restart: always\n` }));
  await project.ok('up', '-d');
  const [container, pid] = [await project.container('a'), await project.pidOf('a')];
  process.kill(pid, 'SIGKILL');
  await eventually('a new process', async () => ![pid, 0].includes(await project.pidOf('a')));
  expect((await project.container('a')).ID).toBe(container.ID);
});

test.each([
  { policy: '"no"', exit: 1, starts: 1 },
  { policy: 'on-failure', exit: 0, starts: 1 },
  { policy: 'on-failure:2', exit: 1, starts: 3 },
])('restart: $policy and exit status $exit make $starts starts', async ({ policy, exit, starts }) => {
  const project = makeProject(composeOf({ a: `command: [sh, -c, "echo started; exit ${exit}"]\nrestart: ${policy}\n` }));
  await project.ok('up', '-d');
  await eventually('it to have ended for good', async () => (await project.container('a')).State === 'exited');
  const { stdout } = await project.ok('logs', '--no-log-prefix', 'a');
  expect(stdout).toBe('started\n'.repeat(starts));
});

test('when the supervisor is killed, containers go on, are adopted and lose no line', async () => {
  const project = makeProject(
    composeOf({
      counter:
        'command: [sh, -c, "i=0; while :; do i=$$((i+1)); echo $$i; sleep 0.01; done"]\ninit: true\nstop_grace_period: 1s\n',
      other: `${idle}restart: always\n`,
    }),
  );
  await project.ok('up', '-d');
  const before = [await project.pidOf('counter'), await project.pidOf('other')];
  await killSupervisor(project);
  await eventually('another supervisor', () => project.supervisorPid());
  expect([await project.pidOf('counter'), await project.pidOf('other')]).toEqual(before);
  await project.ok('stop', 'counter');
  expectCounted((await project.ok('logs', '--no-log-prefix', 'counter')).stdout);
});

test('a crash while there is no supervisor is healed all the same', async () => {
  const project = makeProject(composeOf({ a: `${idle}restart: always\n` }));
  await project.ok('up', '-d');
  const pid = await project.pidOf('a');
  await killSupervisor(project);
  process.kill(pid, 'SIGKILL');
  await eventually('a new process', async () => ![pid, 0].includes(await project.pidOf('a')));
});

test('when the supervisor is killed during up, the next up converges and down leaves nothing', async () => {
  const before = takeSnapshot();
  const folder = path.join(repository, 'examples/fifty');
  const env = { ROOTFS_DIR: rootfsFolder('busybox') };
  for (const afterMs of [20, 80, 200, 350, 600]) {
    const project = makeProject({ from: folder, env });
    const up = project.start('up', '-d');
    const supervisor = await eventually('a supervisor', () => project.supervisorPid());
    await sleep(afterMs);
    kill(supervisor);
    await up.finished;
    await project.ok('up', '-d');
    const rows = await project.ps();
    expect(rows.filter((row) => row.State === 'running')).toHaveLength(50);
    await project.remove();
    await expectUnchanged(before);
  }
}, 180_000);

test('when up itself is killed, the next one finishes its work', async () => {
  const project = makeProject({ from: path.join(repository, 'examples/fifty'), env: { ROOTFS_DIR: rootfsFolder('busybox') } });
  const up = project.start('up', '-d');
  await eventually('a supervisor', () => project.supervisorPid());
  up.process.kill('SIGKILL');
  await up.finished;
  await project.ok('up', '-d');
  expect((await project.ps()).filter((row) => row.State === 'running')).toHaveLength(50);
});

test('a shim that is killed takes its container along, and the next up brings it back', async () => {
  const project = makeProject(composeOf({ a: idle }));
  await project.ok('up', '-d');
  const pid = await project.pidOf('a');
  kill(parentOf(pid));
  await eventually('the container to be seen as dead', async () => (await project.container('a')).State !== 'running');
  await project.ok('up', '-d');
  expect((await project.container('a')).State).toBe('running');
  expect(await project.pidOf('a')).not.toBe(pid);
});

async function killSupervisor(project: Project): Promise<void> {
  kill(await eventually('a supervisor', () => project.supervisorPid()));
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It had ended already.
  }
}

function parentOf(pid: number): number {
  return Number(execFileSync('awk', ['/^PPid:/ {print $2}', `/proc/${pid}/status`], { encoding: 'utf8' }));
}

/** 1, 2, 3 … without a gap or a repetition. */
function expectCounted(text: string): void {
  const numbers = text.trim().split('\n').map(Number);
  expect(numbers.length).toBeGreaterThan(5);
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
}
