import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Core, NetlinkProtocol, startCore } from '../../../src/core/core.ts';
import { block } from '../../../src/core/frames.ts';
import { findNative } from '../../../src/core/native.ts';
import { encodeProgram } from '../../../src/core/program.ts';
import { eventually } from '../../support/eventually.ts';
import { CLONE_NEWNS, CLONE_NEWPID, type Container, isAlive, shellProgram, useLab } from './lab.ts';

const lab = useLab();

/** A dump request: header (type, NLM_F_REQUEST | NLM_F_DUMP) and an empty ifinfomsg (rtnetlink(7)). */
function linkDump(): Uint8Array {
  const message = Buffer.alloc(32);
  message.writeUInt32LE(32, 0);
  message.writeUInt16LE(18, 4);
  message.writeUInt16LE(0x301, 6);
  return message;
}

/** The names (IFLA_IFNAME, 3) in a dump of links. */
function linkNames(answers: Uint8Array): string[] {
  const bytes = Buffer.from(answers);
  const names: string[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at)) {
    if (bytes.readUInt16LE(at + 4) !== 16) continue;
    const end = at + bytes.readUInt32LE(at);
    for (let attribute = at + 32; attribute < end; attribute += Math.ceil(bytes.readUInt16LE(attribute) / 4) * 4) {
      const length = bytes.readUInt16LE(attribute);
      if (bytes.readUInt16LE(attribute + 2) === 3) names.push(bytes.toString('utf8', attribute + 4, attribute + length - 1));
    }
  }
  return names;
}

async function sleeper(core: Core, program = shellProgram('sleep 1000')): Promise<Container> {
  const container = await lab().shim(core, program, { network: 'new' });
  await (await container.connect()).start();
  return container;
}

/** Runs in the pid namespace of a container. */
function execProgram(container: Container, text: string): Uint8Array {
  const { pid, startTime } = container.status();
  return encodeProgram([
    { op: 'join', x: pid, y: startTime, z: CLONE_NEWPID },
    { op: 'clone', x: 0 },
    { op: 'gate' },
    { op: 'exec', a: block(['/bin/sh', '-c', text]), b: block(['PATH=/usr/bin:/bin']) },
  ]);
}

describe('netlink', () => {
  test("goes to the host, and into a container's namespace", async () => {
    const core = await lab().core();
    const container = await lab().shim(core, shellProgram('true'), { network: 'new' });
    const host = linkNames(await core.netlink('', NetlinkProtocol.route, linkDump()));
    expect(host.sort()).toEqual(readdirSync('/sys/class/net').sort());
    const inside = linkNames(await core.netlink(`/proc/${container.shimPid}/ns/net`, NetlinkProtocol.route, linkDump()));
    expect(inside).toContain('lo');
    expect(linkNames(await core.netlink('', NetlinkProtocol.route, linkDump())).sort()).toEqual(host);
  });

  test('a namespace that is gone is an error with its path', async () => {
    const core = await lab().core();
    await expect(core.netlink('/proc/0/ns/net', NetlinkProtocol.route, linkDump())).rejects.toMatchObject({
      errno: 2,
      message: expect.stringContaining('/proc/0/ns/net'),
    });
  });
});

describe('exec', () => {
  test('gives the exit code and both streams, cut at the limit', async () => {
    const core = await lab().core();
    const container = await sleeper(core);
    const program = execProgram(container, 'echo out; echo err >&2; head -c 100000 /dev/zero | tr "\\0" x; exit 3');
    const result = await core.exec(program, { timeoutMs: 30_000, outputLimit: 20 });
    expect(result).toEqual({ exitCode: 3, timedOut: false, output: `out\nerr\n${'x'.repeat(12)}` });
  });

  test('a time-out kills what was started, and never the container', async () => {
    const core = await lab().core();
    const container = await sleeper(core);
    const marker = path.join(lab().folder, 'pids');
    const program = execProgram(
      container,
      `sleep 500 & (sleep 501 & wait) & readlink /proc/self >> ${marker}; echo started; sleep 502`,
    );
    const result = await core.exec(program, { timeoutMs: 300, outputLimit: 100 });
    expect(result).toEqual({ exitCode: 137, timedOut: true, output: 'started\n' });
    await eventually('nothing of it is left', () => !running(/^sleep\0(500|501|502)\0/));
    expect(isAlive(container.status().pid)).toBe(true);
    expect(container.status().state).toBe('running');
  });

  test('a command that is not there is 127, in words', async () => {
    const core = await lab().core();
    const container = await sleeper(core);
    const { pid, startTime } = container.status();
    const program = encodeProgram([
      { op: 'join', x: pid, y: startTime, z: CLONE_NEWPID },
      { op: 'clone', x: 0 },
      { op: 'gate' },
      { op: 'exec', a: block(['no-such-command']), b: block(['PATH=/bin']) },
    ]);
    const result = await core.exec(program, { timeoutMs: 10_000, outputLimit: 1000 });
    expect(result).toMatchObject({ exitCode: 127, timedOut: false, output: expect.stringContaining('no-such-command') });
  });

  test('many at once, each with its own answer', async () => {
    const core = await lab().core();
    const container = await sleeper(core);
    const codes = Array.from({ length: 20 }, (_, index) => index);
    const results = await Promise.all(
      codes.map((code) =>
        core.exec(execProgram(container, `echo ${code}; exit ${code}`), { timeoutMs: 30_000, outputLimit: 100 }),
      ),
    );
    expect(results.map(({ exitCode, output }) => [exitCode, output])).toEqual(codes.map((code) => [code, `${code}\n`]));
  });
});

describe('sync', () => {
  test("writes, makes, links and removes inside the container's mounts", async () => {
    const core = await lab().core();
    const { folder } = lab();
    const mounted = path.join(folder, 'mounted');
    mkdirSync(mounted);
    const program = encodeProgram([
      { op: 'clone', x: CLONE_NEWPID | CLONE_NEWNS },
      { op: 'rootPropagation', x: 0x4000 | 0x40000 },
      { op: 'gate' },
      {
        op: 'exec',
        a: block(['/bin/sh', '-c', `mount -t tmpfs none ${mounted} && echo ready; exec sleep 1000`]),
        b: block(['PATH=/usr/bin:/bin']),
      },
    ]);
    const container = await sleeper(core, program);
    await eventually('the mount is there', () => container.lines().includes('ready'));
    const { pid, startTime } = container.status();
    const inside = `/proc/${pid}/root${mounted}`;
    const done = await core.sync(pid, startTime, [
      { op: 'write', path: `${mounted}/a/b/file`, mode: 0o640, uid: 7, gid: 8, content: Buffer.from('new') },
      { op: 'mkdir', path: `${mounted}/made`, mode: 0o700, uid: 7, gid: 8 },
      { op: 'symlink', path: `${mounted}/link`, target: '/etc' },
      { op: 'write', path: `${mounted}/a/b/file`, mode: 0o600, uid: 0, gid: 0, content: Buffer.from('newer') },
      { op: 'remove', path: `${mounted}/made` },
      { op: 'remove', path: `${mounted}/never/there` },
    ]);
    expect(done).toBe(6);
    expect(readFileSync(`${inside}/a/b/file`, 'utf8')).toBe('newer');
    expect(statSync(`${inside}/a/b/file`)).toMatchObject({ uid: 0, gid: 0, mode: 0o100600 });
    expect(readdirSync(inside).sort()).toEqual(['a', 'link']);
    expect(readdirSync(mounted)).toEqual([]);
  });

  test('never touches a process that only has the same number', async () => {
    const core = await lab().core();
    await expect(
      core.sync(process.pid, 1n, [{ op: 'mkdir', path: '/never', mode: 0o700, uid: 0, gid: 0 }]),
    ).rejects.toMatchObject({ errno: 3 });
    expect(existsSync('/never')).toBe(false);
  });
});

describe('locks', () => {
  test('exclude, wait without blocking, and end with their holder', async () => {
    const [first, second] = [await lab().core(), await startCore(findNative())];
    const file = path.join(lab().folder, 'lock');
    const order: string[] = [];
    const release = await first.lock(file);
    const waiting = second.lock(file).then((unlock) => {
      order.push('second');
      return unlock;
    });
    await second.netlink('', NetlinkProtocol.route, linkDump());
    order.push('released');
    await release();
    await waiting;
    expect(order).toEqual(['released', 'second']);
    await second.close();
    await (await first.lock(file))();
  });
});

describe('removal', () => {
  test('of a tree: mounts come off first, links are not followed', async () => {
    const core = await lab().core();
    const { folder } = lab();
    const [tree, kept] = [path.join(folder, 'tree'), path.join(folder, 'kept')];
    mkdirSync(path.join(tree, 'a/b'), { recursive: true });
    mkdirSync(path.join(tree, 'with blank'));
    mkdirSync(kept);
    writeFileSync(path.join(kept, 'file'), '');
    symlinkSync(kept, path.join(tree, 'a/link'));
    execFileSync('mount', ['--bind', kept, path.join(tree, 'a/b')]);
    execFileSync('mount', ['-t', 'tmpfs', 'none', path.join(tree, 'with blank')]);
    await core.removeTree(tree);
    await core.removeTree(tree);
    expect(existsSync(tree)).toBe(false);
    expect(readdirSync(kept)).toEqual(['file']);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(folder);
  });

  test('of cgroups kills what is inside', async () => {
    const core = await lab().core();
    const parent = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find((place) => existsSync(path.join(place, 'cgroup.procs')));
    const group = path.join(parent as string, `tscompose-core-test-${process.pid}`);
    lab().later(() => core.removeCgroups([group]));
    mkdirSync(path.join(group, 'child'), { recursive: true });
    const child = lab().child('sleep', '1000');
    writeFileSync(path.join(group, 'child/cgroup.procs'), String(child.pid));
    await core.removeCgroups([group, `${group}-that-never-was`]);
    expect(existsSync(group)).toBe(false);
    await eventually('the process is dead', () => child.signalCode === 'SIGKILL');
  });
});

describe('the DNS relay', () => {
  test('carries questions and answers over UDP and TCP', async () => {
    const core = await lab().core();
    core.onDnsQuery((token, peer, message) => core.answerDns(peer, Buffer.from(`${token}:${Buffer.from(message).toString()}`)));
    const port = 20_000 + (process.pid % 10_000);
    await core.openDns('', 'first', '127.0.0.1', port);
    expect(await askUdp(port, 'one')).toBe('first:one');
    expect(await askTcp(port, ['two', 'three'])).toEqual(['first:two', 'first:three']);
    await core.openDns('', 'first', '127.0.0.1', port);
    expect(await askUdp(port, 'again')).toBe('first:again');
    await expect(core.openDns('', 'second', '127.0.0.1', port)).rejects.toMatchObject({ errno: 98 });
    await core.closeDns('first');
    await core.openDns('', 'second', '127.0.0.1', port);
    expect(await askUdp(port, 'x')).toBe('second:x');
  });

  test("listens inside a container's namespace, where the host's port stays free", async () => {
    const core = await lab().core();
    const container = await lab().shim(core, shellProgram('true'), { network: 'new' });
    await core.openDns(`/proc/${container.shimPid}/ns/net`, 'inside', '127.0.0.11', 53);
    const inside = readFileSync(`/proc/${container.shimPid}/net/udp`, 'utf8');
    expect(inside).toContain('0B00007F:0035');
    expect(readFileSync('/proc/self/net/udp', 'utf8')).not.toContain('0B00007F:0035');
  });
});

describe('the program itself', () => {
  test('its loss rejects what waits, and is told', async () => {
    const core = await startCore(findNative());
    const lost = new Promise<Error>((resolve) => core.onLost(resolve));
    const file = path.join(lab().folder, 'lock');
    await core.lock(file);
    const waiting = core.lock(file);
    process.kill(core.pid, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject({ code: 'CORE_FAILED' });
    expect(await lost).toMatchObject({ code: 'CORE_FAILED' });
    await expect(core.removeTree('/nowhere')).rejects.toMatchObject({ code: 'CORE_FAILED' });
  });

  test('a program that is not there is NATIVE_MISSING', async () => {
    await expect(startCore('/nowhere/tscompose-core')).rejects.toMatchObject({ code: 'NATIVE_MISSING' });
  });

  test('fifty shims in a burst', async () => {
    const core = await lab().core();
    const containers = await Promise.all(
      Array.from({ length: 50 }, () => lab().shim(core, shellProgram('exit 0'), { network: 'new' })),
    );
    const clients = await Promise.all(containers.map((container) => container.connect()));
    await Promise.all(clients.map((client) => client.prepare()));
    await Promise.all(clients.map((client) => client.start()));
    await Promise.all(containers.map((container) => container.until('exited')));
    await eventually('serve has reaped them', () => readFileSync(`/proc/${core.pid}/task/${core.pid}/children`, 'utf8') === '');
  });
});

describe('supervise', () => {
  test('one holds the lock as long as it lives; the others return at once', async () => {
    const { folder } = lab();
    const lock = path.join(folder, 'lock');
    const text = 'echo "supervisor $TSCOMPOSE_LOCK_FD" ; exec sleep 1000';
    const first = lab().child(findNative(), 'supervise', lock, '--', '/bin/sh', '-c', text);
    const log = path.join(folder, 'supervisor.log');
    await eventually('the first runs', () => existsSync(log) && /^supervisor \d+\n$/.test(readFileSync(log, 'utf8')));
    execFileSync(findNative(), ['supervise', lock, '--', '/bin/sh', '-c', 'echo second'], { timeout: 10_000 });
    expect(readFileSync(log, 'utf8')).not.toContain('second');
    first.kill('SIGKILL');
    await eventually('the lock is free', () => first.signalCode === 'SIGKILL');
    execFileSync(findNative(), ['supervise', lock, '--', '/bin/sh', '-c', 'echo third'], { timeout: 10_000 });
    expect(readFileSync(log, 'utf8')).toContain('third');
  });
});

function running(pattern: RegExp): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return pattern.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    } catch {
      return false;
    }
  });
}

function askUdp(port: number, message: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.on('message', (answer) => {
      socket.close();
      resolve(answer.toString());
    });
    socket.on('error', reject);
    socket.send(message, port, '127.0.0.1');
  });
}

function askTcp(port: number, messages: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = Buffer.alloc(0);
    const answers: string[] = [];
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        answers.push(received.toString('utf8', 2, 2 + received.readUInt16BE(0)));
        received = received.subarray(2 + received.readUInt16BE(0));
      }
      if (answers.length === messages.length) {
        socket.destroy();
        resolve(answers);
      }
    });
    for (const message of messages) {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length, 0);
      socket.write(Buffer.concat([length, Buffer.from(message)]));
    }
  });
}
