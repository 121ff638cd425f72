import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { block } from '../../../src/core/frames.ts';
import { findNative } from '../../../src/core/native.ts';
import { encodeProgram } from '../../../src/core/program.ts';
import { OpFlag, type ProgramOp, ShimFlag } from '../../../src/core/protocol.ts';
import { LaunchFailure } from '../../../src/core/shim-client.ts';
import { eventually } from '../../support/eventually.ts';
import { CLONE_NEWNS, CLONE_NEWPID, commandProgram, isAlive, openDescriptors, shellProgram, useLab } from './lab.ts';

const lab = useLab();
const EWOULDBLOCK = 11;

describe('a run', () => {
  const ends: readonly [string, string, number][] = [
    ['exit 0', 'exit 0', 0],
    ['exit 7', 'exit 7', 7],
    ['death by a signal', 'exec /bin/sh -c "kill -9 \\$\\$" & wait $!; exit $?', 137],
  ];
  test.each(ends)('that ends with %s leaves its code in the status file, and no shim', async (_name, text, code) => {
    const container = await lab().shim(await lab().core(), shellProgram(text));
    const client = await container.connect();
    await client.start();
    const status = await container.until('exited');
    expect(status).toMatchObject({ exitCode: code, pid: 0, restarts: 0, stoppedByRequest: false, oomKilled: false });
    expect(status.finishedAt).toBeGreaterThanOrEqual(status.startedAt ?? Number.POSITIVE_INFINITY);
    await eventually('the shim has gone', () => !isAlive(container.shimPid));
  });

  test('writes both streams to the log, with times, streams and an unfinished last line', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('echo one; echo two >&2; printf three'));
    await (await container.connect()).start();
    await container.until('exited');
    expect(container.lines('stdout')).toEqual(['one', 'three']);
    expect(container.lines('stderr')).toEqual(['two']);
    expect(readFileSync(container.log, 'utf8')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout F one$/m);
  });

  test('waits at the gate between prepare and start', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('echo started'));
    const client = await container.connect();
    await client.prepare();
    await client.prepare();
    expect(container.status().state).toBe('created');
    expect(container.lines()).toEqual([]);
    await client.start();
    await container.until('exited');
    expect(container.lines()).toEqual(['started']);
  });

  test('tells its clients every change of its state', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('exit 3'));
    const client = await container.connect();
    const states: string[] = [];
    client.onStatus((status) => states.push(status.state));
    const gone = new Promise<void>((resolve) => client.onLost(resolve));
    expect(await client.hello(true)).toMatchObject({ state: 'created', shim: container.shimPid, pid: 0 });
    await client.start();
    await gone;
    expect(states).toEqual(['running', 'exited']);
  });

  test('says who init is and when it started', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('sleep 60'));
    await (await container.connect()).start();
    const { pid, startTime, bootId } = container.status();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    expect(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]).toBe(String(startTime));
    expect(bootId).toBe(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  });
});

describe('a launch that fails', () => {
  const failures: readonly [string, string[], string, number][] = [
    ['a command that is not there', ['/nowhere/nothing'], 'COMMAND_NOT_FOUND', 127],
    ['a command that is not executable', ['/etc/passwd'], 'COMMAND_NOT_EXECUTABLE', 126],
  ];
  test.each(failures)('%s: the caller learns why, and nothing is tried again', async (_name, argv, code, exitCode) => {
    const container = await lab().shim(await lab().core(), commandProgram(argv), { restart: 'always' });
    const error = await (await container.connect()).start().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LaunchFailure);
    expect(error).toMatchObject({ code, op: 70, index: 2 });
    expect(await container.until('exited')).toMatchObject({
      exitCode,
      restarts: 0,
      error: expect.stringContaining(argv[0] as string),
    });
  });

  test('of an operation: its code, its place, its errno', async () => {
    const program = shellProgram('true', [{ op: 'unshare', x: 1 }]);
    const container = await lab().shim(await lab().core(), program);
    const error = await (await container.connect()).prepare().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'LAUNCH_FAILED', op: 21, index: 1, errno: 22 });
    expect(await container.until('exited')).toMatchObject({ exitCode: 125 });
  });

  test('a program that is none never gets a shim', async () => {
    const core = await lab().core();
    await expect(lab().shim(core, new Uint8Array(100))).rejects.toMatchObject({ name: 'RequestFailed' });
  });
});

describe('restarts', () => {
  test("on-failure stops after the most, with docker's waits between", async () => {
    const container = await lab().shim(await lab().core(), shellProgram('date +%s%N; exit 4'), {
      restart: 'on-failure',
      mostRestarts: 3,
    });
    await (await container.connect()).start();
    expect(await container.until('exited')).toMatchObject({ restarts: 3, exitCode: 4 });
    const times = container.lines().map((nanoseconds) => Number(BigInt(nanoseconds) / 1_000_000n));
    const waits = times.slice(1).map((time, index) => time - (times[index] as number));
    expect(waits).toHaveLength(3);
    for (const [index, least] of [100, 200, 400].entries()) expect(waits[index]).toBeGreaterThanOrEqual(least - 1);
  });

  test('on-failure lets a success be the end', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('exit 0'), { restart: 'on-failure' });
    await (await container.connect()).start();
    expect(await container.until('exited')).toMatchObject({ restarts: 0, exitCode: 0 });
  });

  test('always goes on until it is stopped, also while it waits', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('echo again'), { restart: 'always' });
    const client = await container.connect();
    await client.start();
    await eventually('three runs', () => container.lines().length >= 3);
    await client.stop();
    expect(container.status()).toMatchObject({ state: 'exited', stoppedByRequest: true, exitCode: 0 });
    expect(container.status().restarts).toBeGreaterThanOrEqual(2);
  });

  test('a policy that changes meanwhile counts', async () => {
    const folder = lab().folder;
    const wait = `while [ ! -e ${folder}/go ]; do sleep 0.02; done; exit 1`;
    const container = await lab().shim(await lab().core(), shellProgram(wait), { restart: 'always' });
    const client = await container.connect();
    await client.start();
    await client.policy('no', 0);
    writeFileSync(path.join(folder, 'go'), '');
    expect(await container.until('exited')).toMatchObject({ restarts: 0, exitCode: 1 });
  });

  test('keep the network namespace', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('readlink /proc/self/ns/net; exit 1'), {
      network: 'new',
      restart: 'on-failure',
      mostRestarts: 1,
    });
    const netns = readlinkSync(`/proc/${container.shimPid}/ns/net`);
    expect(netns).not.toBe(readlinkSync('/proc/self/ns/net'));
    await (await container.connect()).start();
    await container.until('exited');
    expect(container.lines()).toEqual([netns, netns]);
  });
});

describe('stopping', () => {
  test('a process that obeys SIGTERM ends with its own code', async () => {
    const container = await lab().shim(
      await lab().core(),
      shellProgram('trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.02; done'),
      {
        graceMs: 30_000,
      },
    );
    const client = await container.connect();
    await client.start();
    await eventually('it runs', () => container.lines().includes('up'));
    await client.stop();
    expect(container.status()).toMatchObject({ state: 'exited', exitCode: 5, stoppedByRequest: true });
    expect(container.lines()).toEqual(['up', 'bye']);
  });

  test('a process that ignores SIGTERM is killed after the grace', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('trap "" TERM; echo up; while :; do sleep 0.02; done'), {
      graceMs: 300,
    });
    const client = await container.connect();
    await client.start();
    await eventually('it runs', () => container.lines().includes('up'));
    const begun = performance.now();
    await client.stop();
    expect(performance.now() - begun).toBeGreaterThanOrEqual(290);
    expect(container.status()).toMatchObject({ exitCode: 137 });
  });

  test('a second stop shortens the first', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('trap "" TERM; echo up; while :; do sleep 0.02; done'), {
      graceMs: 600_000,
    });
    const client = await container.connect();
    await client.start();
    await eventually('it runs', () => container.lines().includes('up'));
    const first = client.stop();
    await client.stop(0, 0);
    await first;
    expect(container.status()).toMatchObject({ exitCode: 137 });
  });

  test('a signal reaches init and touches no policy', async () => {
    const container = await lab().shim(
      await lab().core(),
      shellProgram('trap "echo usr1; exit 9" USR1; echo up; while :; do sleep 0.02; done'),
      {
        restart: 'on-failure',
        mostRestarts: 1,
      },
    );
    const client = await container.connect();
    await client.start();
    await eventually('it runs', () => container.lines().includes('up'));
    await client.signal(10);
    await eventually('it runs again', () => container.lines().filter((line) => line === 'up').length === 2);
    expect(container.status()).toMatchObject({ restarts: 1, exitCode: 9, stoppedByRequest: false });
  });

  test('what was never started stays "created" when its shim is told to go', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('true'));
    const client = await container.connect();
    await client.prepare();
    await client.quit();
    expect(container.status()).toMatchObject({ state: 'created', shim: 0, pid: 0 });
  });

  test('quit kills what runs', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('sleep 1000'), { restart: 'always' });
    const client = await container.connect();
    await client.start();
    const { pid } = container.status();
    await client.quit();
    expect(isAlive(pid)).toBe(false);
    expect(container.status()).toMatchObject({ state: 'exited', exitCode: 137, stoppedByRequest: false });
  });
});

describe('streams', () => {
  test('an owner feeds stdin, sees the output, and closes it', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('cat; echo end >&2'), {
      flags: ShimFlag.stdinOpen | ShimFlag.waitAttach,
    });
    const client = await container.connect();
    const seen = { stdout: '', stderr: '' };
    client.onOutput((stream, bytes) => {
      seen[stream] += Buffer.from(bytes).toString();
    });
    const gone = new Promise<void>((resolve) => client.onLost(resolve));
    const started = client.start();
    await client.attach(true);
    await started;
    await client.stdin(Buffer.from('hello\n'));
    await client.stdin(new Uint8Array());
    await gone;
    expect(seen).toEqual({ stdout: 'hello\n', stderr: 'end\n' });
    expect(container.status()).toMatchObject({ exitCode: 0 });
  });

  test('a megabyte through stdin and back arrives whole, with a slow reader', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('cat'), { flags: ShimFlag.stdinOpen });
    const client = await container.connect();
    const sent = Buffer.alloc(1024 * 1024, 'abcdefghijklmnopqrstuvwxyz\n');
    const chunks: Uint8Array[] = [];
    client.onOutput((_stream, bytes) => {
      chunks.push(bytes);
      client.hold(true);
      setTimeout(() => client.hold(false), 1);
    });
    const gone = new Promise<void>((resolve) => client.onLost(resolve));
    await client.attach(true);
    await client.start();
    await client.stdin(sent);
    await client.stdin(new Uint8Array());
    await gone;
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  });

  test('a terminal: one stream, echo, and the size that was asked for', async () => {
    const program = encodeProgram([
      { op: 'clone', x: CLONE_NEWPID | CLONE_NEWNS },
      { op: 'rootPropagation', x: 0x4000 | 0x40000 },
      { op: 'rootfs', a: '/' },
      { op: 'mount', a: 'devpts', b: '/dev/pts', c: 'devpts', d: 'newinstance,ptmxmode=0666' },
      { op: 'console', x: 30, y: 100 },
      { op: 'gate' },
      {
        op: 'exec',
        a: block(['/bin/sh', '-c', 'read line; stty size; echo "got $line" >&2; exit 4']),
        b: block(['PATH=/usr/bin:/bin']),
      },
    ]);
    const container = await lab().shim(await lab().core(), program, { flags: ShimFlag.tty | ShimFlag.stdinOpen });
    const client = await container.connect();
    let seen = '';
    client.onOutput((stream, bytes) => {
      expect(stream).toBe('stdout');
      seen += Buffer.from(bytes).toString();
    });
    const gone = new Promise<void>((resolve) => client.onLost(resolve));
    client.resize(40, 120);
    await client.attach(true);
    await client.start();
    await client.stdin(Buffer.from('hello\n'));
    await gone;
    expect(seen).toBe('hello\r\n40 120\r\ngot hello\r\n');
    expect(container.status()).toMatchObject({ exitCode: 4 });
  });

  test('an onlooker that never reads is dropped, and the container goes on', async () => {
    const container = await lab().shim(
      await lab().core(),
      shellProgram('yes 0123456789012345678901234567890123456789 | head -c 8000000; echo; echo done'),
    );
    const starter = await container.connect();
    const onlooker = await container.connect();
    await onlooker.attach(false);
    onlooker.hold(true);
    await starter.start();
    await container.until('exited');
    expect(container.lines().at(-1)).toBe('done');
    onlooker.close();
  });

  test('a grandchild that keeps the streams does not keep the shim', async () => {
    const program = encodeProgram([
      { op: 'clone', x: 0 },
      { op: 'gate' },
      { op: 'exec', a: block(['/bin/sh', '-c', 'sleep 1000 & echo $!; exit 0']), b: block(['PATH=/usr/bin:/bin']) },
    ]);
    const container = await lab().shim(await lab().core(), program);
    await (await container.connect()).start();
    await container.until('exited');
    const grandchild = Number(container.lines()[0]);
    lab().later(() => void process.kill(grandchild, 'SIGKILL'));
    expect(isAlive(grandchild)).toBe(true);
    await eventually('the shim has gone', () => !isAlive(container.shimPid));
  });
});

describe('cgroups', () => {
  test('are emptied and removed at the end, whatever was left in them', async () => {
    const groups = makeGroups('leftovers');
    const leader = lab().child('sleep', '1000');
    writeFileSync(path.join(groups[0] as string, 'cgroup.procs'), String(leader.pid));
    const container = await lab().shim(await lab().core(), shellProgram('true'), { cgroups: groups });
    await (await container.connect()).start();
    await container.until('exited');
    expect(groups.filter((group) => existsSync(group))).toEqual([]);
    await eventually('what was left is dead', () => leader.signalCode === 'SIGKILL');
  });

  test('freeze and thaw; a frozen container can be stopped', async () => {
    const groups = makeGroups('frozen');
    const container = await lab().shim(
      await lab().core(),
      shellProgram('while :; do echo tick; sleep 0.02; done', attachTo(groups)),
      {
        cgroups: groups,
      },
    );
    const client = await container.connect();
    await client.start();
    await eventually('it ticks', () => container.lines().length > 0);
    await client.pause(true);
    expect(container.status().state).toBe('paused');
    await client.pause(false);
    expect(container.status().state).toBe('running');
    const before = container.lines().length;
    await eventually('it ticks again', () => container.lines().length > before);
    await client.pause(true);
    await client.stop(15, 100);
    expect(container.status()).toMatchObject({ state: 'exited', exitCode: 137 });
    expect(groups.filter((group) => existsSync(group))).toEqual([]);
  });

  test('tell that memory ran out', async () => {
    const groups = makeGroups('oom');
    const memory = groups.find(
      (group) => existsSync(path.join(group, 'memory.max')) || existsSync(path.join(group, 'memory.limit_in_bytes')),
    );
    if (memory === undefined) throw new Error('no memory controller');
    const limit = ['memory.max', 'memory.limit_in_bytes'].find((file) => existsSync(path.join(memory, file))) as string;
    writeFileSync(path.join(memory, limit), String(16 * 1024 * 1024));
    const container = await lab().shim(
      await lab().core(),
      shellProgram('head -c 200000000 /dev/zero | tail', attachTo([memory])),
      { cgroups: groups },
    );
    await (await container.connect()).start();
    expect(await container.until('exited')).toMatchObject({ oomKilled: true });
  });
});

/** One group in every hierarchy that matters: v1's freezer and memory where they are, v2 where it is. */
function makeGroups(name: string): string[] {
  const parents = ['freezer', 'memory'].map((controller) => `/sys/fs/cgroup/${controller}`).filter((place) => existsSync(place));
  const places = parents.length > 0 ? parents : ['/sys/fs/cgroup'];
  const groups = places.map((place) => path.join(place, `tscompose-core-${name}-${process.pid}`));
  for (const group of groups) mkdirSync(group);
  lab().later(async () => (await lab().core()).removeCgroups(groups));
  return groups;
}

function attachTo(groups: readonly string[]): ProgramOp[] {
  return groups.map((group) => ({ op: 'cgroupAttach', flags: OpFlag.parent, a: group }));
}

describe('the log', () => {
  test('is rotated without losing a line', async () => {
    const text = 'i=1; while [ $i -le 20000 ]; do echo "line $i"; i=$((i+1)); done';
    const container = await lab().shim(await lab().core(), shellProgram(text), { rotateBytes: 200_000, keepLogs: 8 });
    await (await container.connect()).start();
    await container.until('exited');
    expect(container.lines()).toEqual(Array.from({ length: 20_000 }, (_, index) => `line ${index + 1}`));
    expect(readFileSync(container.log).length).toBeLessThanOrEqual(200_000);
    expect(readFileSync(`${container.log}.1`).length).toBeGreaterThan(190_000);
  });

  test('keeps no more files than asked', async () => {
    const text = 'i=1; while [ $i -le 3000 ]; do echo "line $i"; i=$((i+1)); done';
    const container = await lab().shim(await lab().core(), shellProgram(text), { rotateBytes: 20_000, keepLogs: 2 });
    await (await container.connect()).start();
    await container.until('exited');
    expect(container.lines().at(-1)).toBe('line 3000');
    expect(() => readFileSync(`${container.log}.2`)).toThrow('ENOENT');
    expect(readFileSync(`${container.log}.1`).length).toBeLessThanOrEqual(20_000);
  });

  test('cuts a line longer than 16 KiB into pieces that say so', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('head -c 40000 /dev/zero | tr "\\0" x; echo'));
    await (await container.connect()).start();
    await container.until('exited');
    const tags = readFileSync(container.log, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[2]);
    expect(tags).toEqual(['P', 'P', 'F']);
    expect(container.lines().join('')).toBe('x'.repeat(40_000));
  });
});

describe('the shim itself', () => {
  test('holds no descriptor of who started it', async () => {
    const core = await lab().core();
    await core.lock(path.join(lab().folder, 'lock'));
    const container = await lab().shim(core, shellProgram('true'), { network: 'new' });
    const open = (): string[] =>
      openDescriptors(container.shimPid).map((fd) => readlinkSync(`/proc/${container.shimPid}/fd/${fd}`));
    await eventually('its report is closed', () => !open().some((target) => target.startsWith('pipe:')));
    expect(open().filter((target) => target.endsWith('/lock'))).toEqual([]);
    expect(open().filter((target) => target.startsWith('socket:'))).toHaveLength(1);
  });

  test('is small, and says what it is', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('sleep 100'), { network: 'new' });
    const client = await container.connect();
    await client.hello(true);
    await client.start();
    const rollup = readFileSync(`/proc/${container.shimPid}/smaps_rollup`, 'utf8');
    // A sanitizer's shadow memory is none of its own.
    const most = findNative().includes('asan') ? 4096 : 1024;
    expect(Number(/^Pss_Anon:\s+(\d+)/m.exec(rollup)?.[1])).toBeLessThan(most);
    expect(readFileSync(`/proc/${container.shimPid}/comm`, 'utf8').trim()).toBe('tscompose-shim');
    expect(readFileSync(`/proc/${container.shimPid}/cmdline`, 'utf8')).toContain('tscompose-shim c-');
  });

  test('may be protected from the OOM killer; its container is not by that', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('cat /proc/self/oom_score_adj'));
    await (await container.connect()).start();
    await container.until('exited');
    expect(container.lines()).toEqual([readFileSync('/proc/self/oom_score_adj', 'utf8').trim()]);
  });

  test('outlives serve, and is adopted by the next one', async () => {
    const first = await lab().core();
    const container = await lab().shim(first, shellProgram('trap "exit 6" TERM; echo up; while :; do sleep 0.02; done'), {
      graceMs: 30_000,
    });
    await (await container.connect()).start();
    await eventually('it runs', () => container.lines().includes('up'));
    process.kill(first.pid, 'SIGKILL');
    const adopter = await container.connect();
    expect(await adopter.hello(true)).toMatchObject({ state: 'running' });
    await adopter.stop();
    expect(container.status()).toMatchObject({ exitCode: 6 });
  });

  test('has its folder to itself: a second one is refused, and the next one may follow at once', async () => {
    const core = await lab().core();
    const first = await lab().shim(core, shellProgram('sleep 1000'));
    const client = await first.connect();
    await client.start();
    const again = lab().shim(core, shellProgram('true'), { directory: first.directory });
    await expect(again).rejects.toMatchObject({ errno: EWOULDBLOCK });
    expect(isAlive(first.status().pid)).toBe(true);
    await client.stop();
    const next = await lab().shim(core, shellProgram('exit 3'), { directory: first.directory });
    await (await next.connect()).start();
    expect((await next.until('exited')).exitCode).toBe(3);
  });

  test('mends a damaged status file for the supervisor that adopts it', async () => {
    const container = await lab().shim(await lab().core(), shellProgram('sleep 1000'));
    await (await container.connect()).start();
    writeFileSync(path.join(container.directory, 'status'), 'nothing of use');
    const said = await (await container.connect()).hello(true);
    expect(container.status()).toEqual(said);
  });

  test('brings a lost supervisor back, again and again until one connects', async () => {
    const { folder } = lab();
    const container = await lab().shim(await lab().core(), shellProgram('sleep 1000'), {
      network: 'new',
      reviver: ['/bin/sh', '-c', `readlink /proc/self/ns/net >> ${folder}/revived; pwd >> ${folder}/revived`],
    });
    const supervisor = await container.connect();
    await supervisor.hello(true);
    await supervisor.start();
    supervisor.close();
    const revived = (): string[] => readFileSync(path.join(folder, 'revived'), 'utf8').trim().split('\n');
    await eventually('two attempts', () => revived().length >= 4);
    expect(revived().slice(0, 2)).toEqual([readlinkSync('/proc/self/ns/net'), '/']);
    const next = await container.connect();
    await next.hello(true);
    expect(isAlive(container.status().pid)).toBe(true);
  });
});
