import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Service } from '../../../src/model/project.ts';
import { capabilityMask, defaultCapabilities } from '../../../src/runtime/capabilities.ts';
import { readHostCgroups, readStats } from '../../../src/runtime/cgroup-host.ts';
import { type ExecOptions, lowerExec } from '../../../src/runtime/exec.ts';
import { containerCgroups } from '../../../src/runtime/lower.ts';
import { type Extra, type Ground, makeGround, ownBoundingSet, runProgram } from './harness.ts';

let ground: Ground;
beforeEach(() => {
  ground = makeGround();
});
afterEach(() => ground.clean());

const architecture = arch() === 'arm64' ? 'arm64' : 'x64';
/** What a kernel with tunnels built in puts into every new network namespace (its net.core.fb_tunnels_only_for_init_net). */
const fallbackTunnels = '(sit|tunl|gre|gretap|erspan|ip_vti|ip6_vti|ip6tnl|ip6gre)0';
const shell = (script: string): Partial<Service> => ({ command: ['/bin/sh', '-c', script] });

/** What a script prints in a container; the launch must succeed. */
async function printed(script: string, service: Partial<Service> = {}, extra: Extra = {}): Promise<string> {
  // One pipe for both, so that what is printed keeps its order.
  const outcome = await ground.run({ ...service, ...shell(`exec 2>&1; ${script}`) }, extra);
  expect(outcome.failure).toBe('');
  return outcome.output.trim();
}

function field(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
}

describe('from inside', () => {
  test('the process is confined as docker confines it', async () => {
    const status = await printed('cat /proc/self/status');
    const docker = capabilityMask(defaultCapabilities).toString(16).padStart(16, '0');
    expect([field(status, 'CapBnd'), field(status, 'CapEff'), field(status, 'CapPrm')]).toEqual([docker, docker, docker]);
    expect([field(status, 'CapInh'), field(status, 'CapAmb')]).toEqual(['0'.repeat(16), '0'.repeat(16)]);
    expect([field(status, 'Seccomp'), field(status, 'NoNewPrivs'), field(status, 'Umask')]).toEqual(['2', '0', '0022']);
  });

  test('no_new_privs and another user: the filter is there, nothing is in force', async () => {
    const input = { user: { uid: 1000, gid: 1000, groups: [1000, 29], home: '/' } };
    const status = await printed('cat /proc/self/status', { securityOpt: ['no-new-privileges'] }, { input });
    expect(field(status, 'Uid').split(/\s+/)).toEqual(['1000', '1000', '1000', '1000']);
    expect([
      field(status, 'Groups').trim(),
      field(status, 'CapEff'),
      field(status, 'NoNewPrivs'),
      field(status, 'Seccomp'),
    ]).toEqual(['29 1000', '0'.repeat(16), '1', '2']);
  });

  test('it is alone: process 1, its own name, one interface, groups at their roots, and no descriptor too many (3 is the folder that ls reads)', async () => {
    expect(
      await printed(
        `echo $$; hostname; ls /sys/class/net | grep -vxE '${fallbackTunnels}'; echo $(ls /proc/self/fd); cut -d: -f3 /proc/self/cgroup | sort -u`,
        { tty: false },
      ),
    ).toBe(['1', '0123456789ab', 'lo', '0 1 2 3', '/'].join('\n'));
  });

  test('masked paths are empty, read-only ones refuse', async () => {
    const script =
      'wc -c < /proc/keys; wc -c < /proc/interrupts; ls /sys/firmware | wc -l; echo x > /proc/sys/kernel/hostname; mkdir /sys/fs/cgroup/x';
    const lines = (await printed(script)).split('\n');
    expect(lines.slice(0, 3)).toEqual(['0', '0', '0']);
    expect(lines.slice(3)).toEqual([
      expect.stringMatching(/hostname: Read-only file system/),
      expect.stringMatching(/Read-only file system/),
    ]);
  });

  test("devices: the standard nodes work, a host's disk can be made but not opened", async () => {
    const script =
      'echo x > /dev/null; head -c 4 /dev/zero | wc -c; mknod /tmp/disk b 254 0 && echo made; head -c 1 /tmp/disk; mknod /tmp/mem c 1 1; head -c 1 /tmp/mem';
    expect((await printed(script)).split('\n')).toEqual([
      '4',
      'made',
      expect.stringMatching(/Operation not permitted/),
      expect.stringMatching(/Operation not permitted/),
    ]);
  });

  test('what the filter refuses is refused', async () => {
    const script = 'unshare -U true || echo no namespace; mount -t tmpfs none /tmp 2>/dev/null || echo no mount';
    expect((await printed(script)).split('\n')).toEqual([expect.stringMatching(/not permitted/), 'no namespace', 'no mount']);
  });

  test('a read-only root with a working directory that was not there', async () => {
    expect(await printed('pwd; touch /x 2>&1; touch /dev/shm/y && echo shm', { readOnly: true, workingDir: '/srv/new' })).toMatch(
      /^\/srv\/new\n.*Read-only file system\nshm$/,
    );
  });

  test('an init reaps and passes the exit code on', async () => {
    const outcome = await ground.run({ ...shell('echo $$; exit 7'), init: true });
    expect(outcome).toEqual({ code: 7, output: '2\n', failure: '' });
  });

  test('limits are written where the kernel keeps them', async () => {
    const resources = { memoryBytes: 64 << 20, pids: 50, cpus: 0.5, cpuset: '0' };
    const started = ground.start({
      ...shell('echo up; grep Cpus_allowed_list /proc/self/status; sleep 60'),
      resources,
      ulimits: [{ name: 'nofile', soft: 77, hard: 99 }],
    });
    const output = await started.printed('Cpus_allowed_list');
    const stats = readStats(readHostCgroups(), started.spec.linux.cgroupsPath);
    started.kill();
    await started.ended;
    expect(output).toMatch(/Cpus_allowed_list:\s*0$/m);
    expect(stats).toMatchObject({ memoryLimitBytes: 64 << 20, processLimit: 50, processes: expect.any(Number) });
    expect(await printed('ulimit -n', { ulimits: [{ name: 'nofile', soft: 77, hard: 99 }] })).toBe('77');
  });

  test('sysctls of its own namespaces', async () => {
    expect(
      await printed('cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shmmni', {
        sysctls: { 'net.core.somaxconn': '99', 'kernel.shmmni': '77' },
      }),
    ).toBe('99\n77');
  });
});

describe('mounts', () => {
  test('volume, read-only bind of a file, tmpfs', async () => {
    mkdirSync(join(ground.folder, 'volume'));
    writeFileSync(join(ground.folder, 'app.conf'), 'from the host\n');
    const mounts: Service['mounts'] = [
      { type: 'volume', source: 'data', target: '/var/lib/data', readOnly: false, noCopy: false },
      {
        type: 'bind',
        source: join(ground.folder, 'app.conf'),
        target: '/etc/app/app.conf',
        readOnly: true,
        createHostPath: false,
      },
      { type: 'tmpfs', target: '/scratch', readOnly: false, sizeBytes: 8192, mode: 0o700, options: [] },
    ];
    const script =
      'echo kept > /var/lib/data/f; cat /etc/app/app.conf; echo x >> /etc/app/app.conf; stat -c %a /scratch; head -c 9000 /dev/zero > /scratch/big';
    const output = await printed(
      script,
      { mounts },
      { input: { mountSources: new Map([['/var/lib/data', join(ground.folder, 'volume')]]) } },
    );
    expect(output.split('\n')).toEqual([
      'from the host',
      expect.stringMatching(/Read-only file system/),
      '700',
      expect.stringMatching(/No space left/),
    ]);
    expect(readFileSync(join(ground.folder, 'volume/f'), 'utf8')).toBe('kept\n');
  });

  test.each([true, false])('secrets and configs, root read-only: %s; nothing of them on the disk', async (readOnly) => {
    const content = (text: string): Uint8Array => new TextEncoder().encode(text);
    const files = [
      { target: '/run/secrets/key', content: content('hush'), mode: 0o440, uid: 1000, gid: 29 },
      { target: '/etc/app/config.toml', content: content('port = 1'), mode: 0o444, uid: 0, gid: 0 },
      { target: '/etc/passwd', content: content('changed'), mode: 0o644, uid: 0, gid: 0 },
    ];
    const script = [
      'cat /run/secrets/key; echo; stat -c "%a %u %g" /run/secrets/key; cat /etc/app/config.toml; echo; cat /etc/passwd; echo',
      'echo x > /run/secrets/key; echo x > /etc/app/config.toml; ls -A /dev/mqueue | wc -l',
    ].join('; ');
    const refused = expect.stringMatching(/Read-only file system/);
    expect((await printed(script, { readOnly }, { context: { files } })).split('\n')).toEqual([
      'hush',
      '440 1000 29',
      'port = 1',
      'changed',
      refused,
      refused,
      '0',
    ]);
    expect(readFileSync(join(ground.folder, 'upper/etc/app/config.toml'), 'utf8')).toBe('');
  });
});

describe('privileged', () => {
  test("all that we have ourselves, no filter, open paths, the host's devices", async () => {
    const output = await printed(
      'cat /proc/self/status; touch /sys/fs/cgroup 2>/dev/null; wc -c < /proc/interrupts; ls /dev | wc -l',
      { privileged: true },
    );
    expect(field(output, 'CapEff')).toBe(ownBoundingSet.toString(16).padStart(16, '0'));
    expect(field(output, 'Seccomp')).toBe('0');
    expect(Number(output.split('\n').at(-2))).toBeGreaterThan(0);
  });
});

describe('a failed launch says what and where', () => {
  test.each([
    ['/no/such/program', 127, /^\d+ \d+ 2 /],
    ['/etc/passwd', 126, /^\d+ \d+ 13 /],
    ['nothing-of-that-name', 127, /^\d+ \d+ 2 /],
  ])('%s: exit code %i', async (program, code, failure) => {
    const outcome = await ground.run({ command: [program] });
    expect(outcome.code).toBe(code);
    expect(outcome.failure).toMatch(failure);
  });

  test('a bind whose source is missing', async () => {
    const mounts: Service['mounts'] = [
      { type: 'bind', source: join(ground.folder, 'gone'), target: '/x', readOnly: false, createHostPath: false },
    ];
    const outcome = await ground.run({ ...shell('true'), mounts });
    expect([outcome.code, outcome.failure]).toEqual([125, expect.stringContaining(join(ground.folder, 'gone'))]);
  });
});

describe('exec', () => {
  test('sees what the container sees, as who is asked for', async () => {
    const started = ground.start(shell('mkdir /made; echo up; sleep 60'));
    try {
      await started.printed('up');
      const cgroups = containerCgroups(started.spec, { cgroups: readHostCgroups() });
      const pid = Number(readFileSync(`${cgroups[0]}/cgroup.procs`, 'utf8').split('\n')[0]);
      const options: ExecOptions = {
        spec: started.spec,
        pid,
        startTime: startTimeOf(pid),
        cgroups,
        env: ['EXTRA=1'],
        architecture,
        availableCapabilities: ownBoundingSet,
        args: ['/bin/sh', '-c', 'ls -d /made; hostname; id -u; echo $HOME $EXTRA; pwd; cat /proc/self/status /proc/self/cgroup'],
        user: { uid: 1000, gid: 1000, groups: [1000], home: '/home/x' },
        workingDir: '/usr',
      };
      const { output, code, failure } = await runProgram(lowerExec(options)).ended;
      expect([code, failure]).toEqual([0, '']);
      expect(output.split('\n').slice(0, 5)).toEqual(['/made', '0123456789ab', '1000', '/home/x 1', '/usr']);
      expect([field(output, 'Seccomp'), field(output, 'CapEff'), field(output, 'CapBnd')]).toEqual([
        '2',
        '0'.repeat(16),
        '00000000a80425fb',
      ]);
      const stranger = await runProgram(lowerExec({ ...options, startTime: options.startTime + 1n })).ended;
      expect(stranger.code).toBe(125);
    } finally {
      started.kill();
      await started.ended;
    }
  });
});

function startTimeOf(pid: number): bigint {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return BigInt(text.slice(text.lastIndexOf(')') + 2).split(' ')[19] as string);
}
