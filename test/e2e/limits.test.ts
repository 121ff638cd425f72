import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cgroupCounter, cgroupFolder, cgroupMembers } from '../support/cgroups.ts';
import { makeProject, openProject, type Project } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { composeOf, idle } from './busybox.ts';

const services = composeOf({
  crowd: `${idle}\npids_limit: 20`,
  busy: 'command: ["sh", "-c", "while :; do :; done"]\ncpus: 0.1\nstop_grace_period: 0s',
  ticking: 'command: ["sh", "-c", "i=0; while :; do i=$$((i+1)); echo $$i > /count; done"]\nstop_grace_period: 0s',
});

describe('limits bite', () => {
  let project: Project;
  beforeAll(async () => {
    project = openProject(services);
    await project.ok('up', '-d');
  });
  afterAll(() => project.remove());

  test('a fork bomb is bounded', async () => {
    const bomb = await project.run('exec', '-T', 'crowd', 'sh', '-c', 'while sleep 1000 >/dev/null 2>&1 & do :; done');
    expect(bomb.stderr).toMatch(/can't fork/);
    const folder = cgroupFolder(await project.pidOf('crowd'), 'pids');
    expect(Number(fs.readFileSync(`${folder}/pids.current`, 'utf8'))).toBeLessThanOrEqual(20);
    expect(cgroupCounter(folder, 'pids.events', 'max')).toBeGreaterThan(0);
  });

  test('a busy loop is throttled', async () => {
    const folder = cgroupFolder(await project.pidOf('busy'), 'cpu');
    await eventually('throttling', () => cgroupCounter(folder, 'cpu.stat', 'nr_throttled') > 0);
  });

  test('a paused container stands still, and goes on when told to', async () => {
    const count = `/proc/${await project.pidOf('ticking')}/root/count`;
    const hasMovedOn = (from: string): boolean => !['', from].includes(fs.readFileSync(count, 'utf8'));
    await project.ok('pause', 'ticking');
    expect((await project.container('ticking')).State).toBe('paused');
    const paused = fs.readFileSync(count, 'utf8');
    // Two runs of the program are some hundred thousand rounds of the loop.
    await project.ok('ps');
    expect(fs.readFileSync(count, 'utf8')).toBe(paused);
    await project.ok('unpause', 'ticking');
    await eventually('the next round', () => hasMovedOn(paused));
    expect((await project.container('ticking')).State).toBe('running');
  });
});

test('who eats too much memory is killed: 137, and the status says why', async () => {
  const project = makeProject(composeOf({ eater: 'command: [tail, /dev/zero]\nmem_limit: 16m\nmemswap_limit: 16m' }));
  await project.ok('up', '-d');
  await eventually('its end', async () => (await project.container('eater')).State === 'exited');
  const { ID, ExitCode } = await project.container('eater');
  expect(ExitCode).toBe(137);
  const status = path.join(project.root, 'run/projects', project.name, 'containers', ID.slice(0, 12), 'status');
  expect(fs.readFileSync(status, 'utf8')).toMatch(/^oom=1$/m);
});

test("a restart by policy starts with its limits and without the last run's processes", async () => {
  const dying = `command: ["sh", "-c", "sleep 1000 & [ -e /again ] && exec sleep 1000; touch /again; exit 3"]
restart: on-failure
init: true
pids_limit: 30`;
  const project = makeProject(composeOf({ dying }));
  await project.ok('up', '-d');
  const folder = await eventually('the second run', async () => {
    const pid = await project.pidOf('dying');
    return fs.existsSync(`/proc/${pid}/root/again`) ? cgroupFolder(pid, 'pids') : undefined;
  });
  await eventually('init and two sleeps', () => cgroupMembers(folder).length === 3);
  expect(fs.readFileSync(`${folder}/pids.max`, 'utf8').trim()).toBe('30');
});

test('exec is in the cgroup of the container, and down removes the cgroups made below it', async () => {
  const project = makeProject(composeOf({ host: idle }));
  await project.ok('up', '-d');
  expect((await project.ok('exec', '-T', 'host', 'cut', '-d:', '-f3', '/proc/self/cgroup')).stdout).toMatch(/^(\/\n)+$/);
  const folder = cgroupFolder(await project.pidOf('host'), 'pids');
  project.start('exec', '-T', 'host', 'sleep', '1000');
  const sleeper = await eventually('the sleeper', () =>
    cgroupMembers(folder).find((pid) => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8') === 'sleep\x001000\x00'),
  );
  fs.mkdirSync(`${folder}/inner/most`, { recursive: true });
  fs.writeFileSync(`${folder}/inner/most/cgroup.procs`, String(sleeper));
  await project.ok('down', '-t', '0');
  await eventually('the project’s cgroup to go', () => !fs.existsSync(path.dirname(folder)));
});

test('device nodes: those of every container work, a disk of the host is refused', async () => {
  const project = makeProject(composeOf({ box: idle }));
  await project.ok('up', '-d');
  const script = `set -e
for node in null zero full random urandom tty; do [ -c /dev/$node ]; done
echo x > /dev/null; head -c 8 /dev/zero | wc -c; head -c 8 /dev/urandom | wc -c; [ -c /dev/ptmx ] || ls -l /dev/ptmx
mknod /disk b 254 0; head -c 1 /disk || echo refused`;
  const { stdout, stderr } = await project.ok('exec', '-T', 'box', 'sh', '-c', script);
  expect(stdout.trim().split('\n').at(-1)).toBe('refused');
  expect(stderr).toMatch(/Operation not permitted/);
});
