/** Processes that are killed at the worst moment, and commands that race. SOAK_ROUNDS makes each of them longer. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeProject, type Project } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { repository } from '../support/repository.ts';
import { expectUnchanged, takeSnapshot } from '../support/snapshot.ts';
import { isRunning } from '../support/processes.ts';
import { composeOf, idle } from './busybox.ts';

const rounds = Number(process.env['SOAK_ROUNDS'] ?? 2);
const longTest = 60_000 + rounds * 20_000;
const names = ['a', 'b', 'c', 'd', 'e', 'f'];
const stack = composeOf(Object.fromEntries(names.map((name) => [name, `${idle}restart: always\nstop_grace_period: 1s\n`])));

test(
  'a supervisor that is killed during up or at steady state takes nothing along',
  async () => {
    const env = { ...process.env, ROUNDS: String(rounds + 2), SERVICES: '10', STEADY: '2' };
    const soak = spawn(process.execPath, [path.join(repository, 'test/soak/kill-supervisor.mjs')], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [soak.stdout, soak.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    const code = await new Promise((resolve) => soak.once('close', resolve));
    expect(code, said).toBe(0);
  },
  longTest,
);

test(
  'a supervisor that loses its native program gives way to one that has it',
  async () => {
    const project = makeProject(stack);
    await project.ok('up', '-d');
    const pids = await pidsOf(project);
    for (let round = 0; round < rounds; round++) {
      const supervisor = await anotherSupervisor(project, undefined);
      kill(nativeOf(supervisor));
      await anotherSupervisor(project, supervisor);
      expect(await pidsOf(project)).toEqual(pids);
    }
    expect((await project.ok('up', '-d')).stderr).toContain('Nothing to do');
  },
  longTest,
);

test(
  'an up whose native program is killed fails in words, and the next one converges',
  async () => {
    const before = takeSnapshot();
    for (let round = 0; round < rounds; round++) {
      const project = makeProject(stack);
      const up = project.start('up', '-d');
      const supervisor = await eventually('a supervisor', () => project.supervisorPid());
      const native = await eventually('its native program', () => nativeOf(supervisor));
      await sleep(Math.random() * 300);
      kill(native);
      const { code, stderr } = await up.finished;
      if (code !== 0) expect(stderr).toMatch(/CORE_FAILED|SUPERVISOR_UNREACHABLE/);
      expect(stderr).not.toMatch(/^ +at /m);
      await converge(project);
      await project.ok('down', '-t', '1');
      await expectUnchanged(before, project.name);
    }
  },
  longTest,
);

test(
  'a shim that is killed takes its container along, and the policy brings both back',
  async () => {
    const before = takeSnapshot();
    const project = makeProject(stack);
    await project.ok('up', '-d');
    for (let round = 0; round < rounds; round++) {
      const pid = await project.pidOf('a');
      kill(parentOf(pid));
      await eventually('a new process', async () => ![pid, 0].includes(await pidOrNothing(project, 'a')));
      expect(isRunning(pid)).toBe(false);
    }
    await converge(project);
    await project.ok('down', '-t', '1');
    await expectUnchanged(before, project.name);
  },
  longTest,
);

test('a shim that is killed together with the supervisor is replaced by the next supervisor', async () => {
  const project = makeProject(stack);
  await project.ok('up', '-d');
  const [pid, others] = [await project.pidOf('a'), await Promise.all(names.slice(1).map((name) => project.pidOf(name)))];
  kill(project.supervisorPid());
  kill(parentOf(pid));
  await eventually('a new process', async () => ![pid, 0].includes(await pidOrNothing(project, 'a')));
  expect(await Promise.all(names.slice(1).map((name) => project.pidOf(name)))).toEqual(others);
});

test(
  'when supervisor and shims are all killed at once, the next up starts everything, and nothing is left',
  async () => {
    const before = takeSnapshot();
    const project = makeProject(stack);
    for (let round = 0; round < rounds; round++) {
      await project.ok('up', '-d');
      const pids = await pidsOf(project);
      const shims = pids.map(parentOf);
      kill(project.supervisorPid());
      for (const shim of shims) kill(shim);
      await converge(project);
      for (const pid of pids) expect(isRunning(pid)).toBe(false);
    }
    await project.ok('down', '-t', '1');
    await expectUnchanged(before, project.name);
  },
  longTest,
);

test.each(['SIGKILL', 'SIGINT'] as const)(
  'after %s of an up the next one finishes its work',
  async (signal) => {
    const before = takeSnapshot();
    for (let round = 0; round < rounds; round++) {
      const project = makeProject(stack);
      const up = project.start('up', '-d');
      await eventually('a supervisor', () => project.supervisorPid());
      await sleep(Math.random() * 400);
      up.process.kill(signal);
      const { code } = await up.finished;
      expect([0, signal === 'SIGINT' ? 130 : 137]).toContain(code);
      await converge(project);
      await project.ok('down', '-t', '1');
      await expectUnchanged(before, project.name);
    }
  },
  longTest,
);

test(
  'after SIGKILL of a down the next one finishes its work',
  async () => {
    const before = takeSnapshot();
    for (let round = 0; round < rounds; round++) {
      const project = makeProject(stack);
      await project.ok('up', '-d');
      const down = project.start('down', '-t', '1');
      await sleep(Math.random() * 400);
      down.process.kill('SIGKILL');
      await down.finished;
      if (round % 2 === 0) await converge(project);
      await project.ok('down', '-t', '1');
      await expectUnchanged(before, project.name);
    }
  },
  longTest,
);

test.each([2, 4])(
  '%i simultaneous ups all end well and make one stack',
  async (many) => {
    for (let round = 0; round < rounds; round++) {
      const project = makeProject(stack);
      const ups = Array.from({ length: many }, () => project.run('up', '-d'));
      for (const { code, stderr } of await Promise.all(ups)) expect(code, stderr).toBe(0);
      expect((await project.ps()).map(({ Service, State }) => `${Service} ${State}`).sort()).toEqual(
        names.map((name) => `${name} running`),
      );
      await project.ok('down', '-t', '1');
    }
  },
  longTest,
);

test(
  'an up that races a down ends with all or with nothing, and both end well',
  async () => {
    const before = takeSnapshot();
    for (let round = 0; round < rounds; round++) {
      const project = makeProject(stack);
      await project.ok('up', '-d');
      const down = project.run('down', '-t', '1');
      await sleep(Math.random() * 500);
      const up = project.run('up', '-d');
      for (const { code, stderr } of await Promise.all([down, up])) expect(code, stderr).toBe(0);
      const states = (await project.ps()).map(({ State }) => State);
      expect([names.map(() => 'running'), []]).toContainEqual(states);
      await project.ok('down', '-t', '1');
      await expectUnchanged(before, project.name);
    }
  },
  longTest,
);

/** The next `up` brings everything up, and the one after it has nothing to do. */
async function converge(project: Project): Promise<void> {
  await project.ok('up', '-d');
  expect((await project.ps()).map(({ State }) => State)).toEqual(names.map(() => 'running'));
  expect((await project.ok('up', '-d')).stderr).toContain('Nothing to do');
}

function pidsOf(project: Project): Promise<number[]> {
  return Promise.all(names.map((name) => project.pidOf(name)));
}

/** Between two runs of a container there may be no status file. */
function pidOrNothing(project: Project, service: string): Promise<number> {
  return project.pidOf(service).catch(() => 0);
}

function anotherSupervisor(project: Project, former: number | undefined): Promise<number> {
  return eventually('another supervisor', () => {
    const pid = project.supervisorPid();
    return pid === former ? undefined : pid;
  });
}

/** `core serve`: the one child a supervisor has for as long as it lives. */
function nativeOf(supervisor: number): number | undefined {
  const children = fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && statusLine(Number(name), 'PPid') === String(supervisor));
  return children.map(Number).find((pid) => !/^(shim|tscompose-shim)/.test(statusLine(pid, 'Name') ?? ''));
}

function parentOf(pid: number): number {
  return Number(statusLine(pid, 'PPid'));
}

/** proc_pid_status(5); undefined when there is no such process. */
function statusLine(pid: number, key: string): string | undefined {
  try {
    return new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

function kill(pid: number | undefined): void {
  if (pid === undefined || pid <= 1) throw new Error(`${pid} is not to be killed`);
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It had ended already.
  }
}
