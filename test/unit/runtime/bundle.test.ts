import { describe, expect, test } from 'vitest';
import type { Mount, Service } from '../../../src/model/project.ts';
import { renderBundle } from '../../../src/runtime/bundle.ts';
import { lowerExec } from '../../../src/runtime/exec.ts';
import { containerCgroups, lower } from '../../../src/runtime/lower.ts';
import { printProgram } from '../../../src/runtime/print.ts';
import { formatSpec, type OciSpec } from '../../../src/runtime/spec.ts';
import { bundleInput, hybridLayout, lowerContext } from './samples.ts';

const invalid = expect.objectContaining({ code: 'VALUE_INVALID' });
const program = (service: Partial<Service>, context = lowerContext(), input = {}): string =>
  printProgram(lower(renderBundle(bundleInput(service, input)), context));
const bundle = (service: Partial<Service> = {}, input = {}): OciSpec => renderBundle(bundleInput(service, input));

describe('golden programs', () => {
  test('a service with nothing set', () => {
    expect(program({})).toMatchInlineSnapshot(`
      "  0 cgroupCreate a="/sys/fs/cgroup/tscompose/shop/0123456789ab"
        1 cgroupWrite a="/sys/fs/cgroup/cgroup.subtree_control" b="+cpu +memory +pids +io" [optional]
        2 cgroupWrite a="/sys/fs/cgroup/tscompose/cgroup.subtree_control" b="+cpu +memory +pids +io" [optional]
        3 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/cgroup.subtree_control" b="+cpu +memory +pids +io" [optional]
        4 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/0123456789ab/pids.max" b="4096" [optional]
        5 cgroupDevices a="/sys/fs/cgroup/tscompose/shop/0123456789ab" b=<728 bytes>
        6 clone a="/sys/fs/cgroup/tscompose/shop/0123456789ab" x=0x2c020000
        7 unshare x=0x2000000
        8 hostname a="0123456789ab"
        9 loopbackUp
       10 setsid
       11 keyring a="0123456789ab" [optional]
       12 rootPropagation x=0x84000
       13 rootfs a="/run/tscompose/projects/shop/containers/0123456789ab/rootfs" b="lowerdir=/images/top:/images/base,upperdir=/data/upper,workdir=/data/work"
       14 mount a="proc" b="/proc" c="proc" x=0xe [makeDir]
       15 mount a="tmpfs" b="/dev" c="tmpfs" d="mode=755,size=65536k" x=0x1000002 [makeDir]
       16 mount a="devpts" b="/dev/pts" c="devpts" d="newinstance,ptmxmode=0666,mode=0620,gid=5" x=0xa [makeDir]
       17 mount a="sysfs" b="/sys" c="sysfs" x=0xf [makeDir]
       18 mount a="cgroup" b="/sys/fs/cgroup" c="cgroup2" x=0xf [makeDir]
       19 mount a="shm" b="/dev/shm" c="tmpfs" d="mode=1777,size=67108864" x=0xe [makeDir]
       20 mount a="mqueue" b="/dev/mqueue" c="mqueue" x=0xe [makeDir]
       21 mknod b="/dev/null" x=020666 y=1:3 z=0:0
       22 mknod b="/dev/zero" x=020666 y=1:5 z=0:0
       23 mknod b="/dev/full" x=020666 y=1:7 z=0:0
       24 mknod b="/dev/random" x=020666 y=1:8 z=0:0
       25 mknod b="/dev/urandom" x=020666 y=1:9 z=0:0
       26 mknod b="/dev/tty" x=020666 y=5:0 z=0:0
       27 symlink a="/proc/self/fd" b="/dev/fd"
       28 symlink a="/proc/self/fd/0" b="/dev/stdin"
       29 symlink a="/proc/self/fd/1" b="/dev/stdout"
       30 symlink a="/proc/self/fd/2" b="/dev/stderr"
       31 symlink a="pts/ptmx" b="/dev/ptmx"
       32 pivot
       33 readonlyPath b="/proc/bus"
       34 readonlyPath b="/proc/fs"
       35 readonlyPath b="/proc/irq"
       36 readonlyPath b="/proc/sys"
       37 readonlyPath b="/proc/sysrq-trigger"
       38 mask b="/proc/acpi"
       39 mask b="/proc/asound"
       40 mask b="/proc/interrupts"
       41 mask b="/proc/kcore"
       42 mask b="/proc/keys"
       43 mask b="/proc/latency_stats"
       44 mask b="/proc/sched_debug"
       45 mask b="/proc/scsi"
       46 mask b="/proc/timer_list"
       47 mask b="/proc/timer_stats"
       48 mask b="/sys/devices/virtual/powercap"
       49 mask b="/sys/firmware"
       50 umask x=022
       51 workdir b="/" [makeDir]
       52 gate
       53 seccomp a=<2400 bytes> x=0x4
       54 bounding x=0xa80425fb
       55 user a=[0] x=0
       56 capabilities x=0xa80425fb y=0xa80425fb z=0x0
       57 exec a=["/usr/bin/server","--port","80"] b=["PATH=/usr/bin:/bin","HOSTNAME=0123456789ab","LANG=C.UTF-8","HOME=/root"]
      "
    `);
  });

  test('read-only, no new privileges, a user, an init, a volume, a bind, a tmpfs, a secret and a config', async () => {
    const mounts: Mount[] = [
      { type: 'volume', source: 'data', target: '/var/lib/app', readOnly: false, noCopy: false },
      { type: 'bind', source: '/srv/app.conf', target: '/etc/app.conf', readOnly: true, createHostPath: false },
      { type: 'tmpfs', target: '/tmp', readOnly: false, sizeBytes: 1 << 20, options: ['exec'] },
    ];
    const content = new TextEncoder().encode('hush');
    const text = program(
      {
        mounts,
        readOnly: true,
        init: true,
        securityOpt: ['no-new-privileges'],
        capDrop: ['ALL'],
        oomScoreAdj: -5,
        sysctls: { 'net.core.somaxconn': '99' },
      },
      lowerContext({
        init: true,
        fileSources: new Set(['/srv/app.conf']),
        files: [
          { target: '/run/secrets/key', content, mode: 0o400, uid: 1000, gid: 1000 },
          { target: '/etc/service.toml', content, mode: 0o444, uid: 0, gid: 0 },
        ],
      }),
      {
        user: { uid: 1000, gid: 1000, groups: [1000, 29], home: '/home/app' },
        mountSources: new Map([['/var/lib/app', '/volumes/data/_data']]),
      },
    );
    expect(text).not.toContain('hush');
    await expect(text).toMatchFileSnapshot('../../golden/runtime/hardened.txt');
  });

  test('on a hybrid host, with a terminal, limits and the image that is no image', async () => {
    const text = program(
      { tty: true, ulimits: [{ name: 'nofile', soft: 1024, hard: -1 }], resources: { cpus: 0.5, memoryBytes: 64 << 20 } },
      lowerContext({
        cgroups: hybridLayout,
        fileSources: new Set(['/run/c/hosts', '/etc/ld.so.cache']),
        terminal: { rows: 24, columns: 80 },
      }),
      { hostBinds: ['/usr', '/etc/ld.so.cache'], etc: { hosts: '/run/c/hosts' } },
    );
    await expect(text).toMatchFileSnapshot('../../golden/runtime/hybrid.txt');
  });

  test("privileged, in the host's network and processes", async () => {
    const text = program(
      { privileged: true, pid: 'host', ipc: 'host', uts: 'host', cgroup: 'host' },
      lowerContext({ rootfs: { kind: 'bind' } }),
      { network: 'host', deviceNodes: [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229, mode: 0o666, uid: 0, gid: 0 }] },
    );
    await expect(text).toMatchFileSnapshot('../../golden/runtime/privileged.txt');
  });

  test('exec in a container', () => {
    const spec = bundle({ environment: { A: '1' } });
    const ops = lowerExec({
      spec,
      pid: 4711,
      startTime: 123456n,
      cgroups: containerCgroups(spec, lowerContext()),
      args: ['ls', '-l'],
      env: ['A=2'],
      architecture: 'x64',
      availableCapabilities: lowerContext().availableCapabilities,
      workingDir: '/srv',
      terminal: { rows: 24, columns: 80 },
      user: { uid: 1000, gid: 1000, groups: [1000], home: '/home/app' },
    });
    expect(printProgram(ops)).toMatchInlineSnapshot(`
      "  0 cgroupAttach a="/sys/fs/cgroup/tscompose/shop/0123456789ab"
        1 join x=4711 y=123456 z=0x6e020000
        2 clone x=0x0
        3 console x=24 y=80
        4 umask x=022
        5 workdir b="/srv" [makeDir]
        6 seccomp a=<2400 bytes> x=0x4
        7 bounding x=0xa80425fb
        8 user a=[1000] x=1000 y=1000
        9 capabilities x=0x0 y=0x0 z=0x0
       10 exec a=["ls","-l"] b=["PATH=/usr/bin:/bin","HOSTNAME=0123456789ab","LANG=C.UTF-8","A=2","HOME=/home/app","TERM=xterm"]
      "
    `);
  });
});

describe('the process', () => {
  const image = {
    environment: ['PATH=/img', 'EMPTY=', 'BAD'],
    entrypoint: ['/entry'],
    command: ['serve'],
    user: '',
    workingDir: '/img',
  };

  test.each<[string, Partial<Service>, string[]]>([
    ["the image's own", { command: undefined }, ['/entry', 'serve']],
    ["a command takes the place of the image's", { command: ['x'] }, ['/entry', 'x']],
    ["an empty command clears the image's", { command: [] }, ['/entry']],
    ["an entrypoint sets the image's command aside", { entrypoint: ['/own'], command: undefined }, ['/own']],
    ['both', { entrypoint: ['/own'], command: ['x'] }, ['/own', 'x']],
    ['an empty entrypoint', { entrypoint: [], command: ['x'] }, ['x']],
  ] as never)('arguments: %s', (_name, service: Partial<Service>, args: string[]) => {
    expect(bundle(service, { image }).process.args).toEqual(args);
  });

  test.each<[Partial<Service>]>([[{ entrypoint: [], command: [] }], [{ entrypoint: [''], command: ['x'] }]])(
    'no command is refused: %j',
    (service) => {
      expect(() => bundle(service, { image })).toThrow(/has no command/);
    },
  );

  test("environment: ours, then the image's, then the service's", () => {
    expect(bundle({ environment: { PATH: '/own', __proto__x: 'y' }, tty: true }, { image }).process.env).toEqual([
      'PATH=/own',
      'HOSTNAME=0123456789ab',
      'TERM=xterm',
      'EMPTY=',
      '__proto__x=y',
      'HOME=/root',
    ]);
    expect(bundle({ environment: { HOME: '/x' } }).process.env).toContain('HOME=/x');
  });

  test('only root starts with capabilities in force; inheritable and ambient are empty', () => {
    const user = { uid: 1000, gid: 1000, groups: [1000], home: '/' };
    const { capabilities } = bundle({ capAdd: ['NET_ADMIN'] }, { user }).process;
    expect([
      capabilities.bounding.length,
      capabilities.effective,
      capabilities.permitted,
      capabilities.inheritable,
      capabilities.ambient,
    ]).toEqual([15, [], [], [], []]);
    expect(bundle().process.capabilities.effective).toHaveLength(14);
  });

  test("working directory: the service's, the image's, the root", () => {
    expect([
      bundle({ workingDir: '/s' }, { image }).process.cwd,
      bundle({}, { image }).process.cwd,
      bundle().process.cwd,
    ]).toEqual(['/s', '/img', '/']);
  });
});

describe('mounts', () => {
  const mountsOf = (mounts: Mount[], input = {}): string[] =>
    bundle({ mounts }, input).mounts.map((mount) => `${mount.destination} ${mount.source} ${mount.options.join(',')}`);
  const bind = (target: string, extra: object = {}): Mount => ({
    type: 'bind',
    source: '/host',
    target,
    readOnly: false,
    createHostPath: true,
    ...extra,
  });

  test("a service's mount takes the place of a standard one, and outer ones come before inner ones", () => {
    const lines = mountsOf([bind('/a/b/c'), bind('/dev/shm'), bind('/a')]);
    expect(lines.filter((line) => line.startsWith('/dev/shm'))).toEqual(['/dev/shm /host rbind,rw,rprivate']);
    expect(lines.slice(-3).map((line) => line.split(' ')[0])).toEqual(['/a', '/dev/shm', '/a/b/c']);
  });

  test.each([
    [{}, 'rbind,rw,rprivate'],
    [{ readOnly: true }, 'rbind,rro,rprivate'],
    [{ readOnly: true, recursive: 'writable' }, 'rbind,ro,rprivate'],
    [{ readOnly: true, recursive: 'disabled' }, 'bind,ro,rprivate'],
    [{ propagation: 'rslave' }, 'rbind,rw,rslave'],
  ])('a bind with %j', (extra, options) => {
    expect(mountsOf([bind('/x', extra)]).at(-1)).toBe(`/x /host ${options}`);
  });

  test('before Linux 5.12 read-only is not recursive', () => {
    expect(mountsOf([bind('/x', { readOnly: true })], { kernelRelease: '5.10.0' }).at(-1)).toBe('/x /host rbind,ro,rprivate');
  });

  test.each(['/', '/proc', '/proc/self', '/proc/../proc/x', '/a/../proc/sys', 'relative', '', '/proc/sys/kernel', '/..', '/./'])(
    'target %j is refused',
    (target) => {
      expect(() => mountsOf([bind(target)])).toThrow(invalid);
    },
  );

  test.each(['/proc/cpuinfo', '/proc/meminfo', '/proc/uptime', '/procfs', '/a/../b'])('target %j is fine', (target) => {
    expect(() => mountsOf([bind(target)])).not.toThrow();
  });

  test('the root takes part in propagation when a bind gives mounts back', () => {
    expect(bundle({ mounts: [bind('/x', { propagation: 'rshared' })] }).linux.rootfsPropagation).toBe('rshared');
    expect(bundle().linux.rootfsPropagation).toBe('rslave');
  });
});

describe('confinement', () => {
  test("masked and read-only paths are docker's", () => {
    expect([...bundle({}, { throttlePaths: ['/sys/t'] }).linux.maskedPaths].sort()).toEqual([
      '/proc/acpi',
      '/proc/asound',
      '/proc/interrupts',
      '/proc/kcore',
      '/proc/keys',
      '/proc/latency_stats',
      '/proc/sched_debug',
      '/proc/scsi',
      '/proc/timer_list',
      '/proc/timer_stats',
      '/sys/devices/virtual/powercap',
      '/sys/firmware',
      '/sys/t',
    ]);
    expect(bundle().linux.readonlyPaths).toEqual(['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']);
  });

  test.each<[Partial<Service>, boolean, number]>([
    [{}, true, 12],
    [{ securityOpt: ['seccomp=unconfined'] }, false, 12],
    [{ securityOpt: ['systempaths=unconfined'] }, true, 0],
    [{ privileged: true }, false, 0],
  ])('%j: filter %s, %i masks', (service, filter, masks) => {
    const { linux } = bundle(service);
    expect([linux.seccomp !== undefined, linux.maskedPaths.length]).toEqual([filter, masks]);
  });

  test("limits: docker's derivations, and a bound on processes where none is set", () => {
    expect(bundle().linux.resources.pids).toEqual({ limit: 4096 });
    expect(bundle({ resources: { pids: 0 } }).linux.resources.pids).toEqual({ limit: -1 });
    expect(bundle({ resources: { cpus: 1.5, memoryBytes: 100 } }).linux.resources).toMatchObject({
      cpu: { period: 100_000, quota: 150_000 },
      memory: { limit: 100, swap: 200 },
    });
    expect(bundle().linux.resources.memory).toBeUndefined();
  });

  test('a filter without no_new_privs is loaded before the rights go, with it last; always behind the gate', () => {
    const names = (securityOpt: string[]): string[] => lower(bundle({ securityOpt }), lowerContext()).map((op) => op.op);
    const plain = names([]);
    expect(plain.slice(plain.indexOf('gate'))).toEqual(['gate', 'seccomp', 'bounding', 'user', 'capabilities', 'exec']);
    const locked = names(['no-new-privileges']);
    expect(locked.slice(locked.indexOf('noNewPrivs'))).toEqual([
      'noNewPrivs',
      'bounding',
      'user',
      'capabilities',
      'gate',
      'seccomp',
      'exec',
    ]);
  });

  test('what our own bounding set lacks is not asked for', () => {
    const ops = lower(bundle({ privileged: true }), lowerContext({ availableCapabilities: 0x1fffeffffffn }));
    expect(ops.find((op) => op.op === 'bounding')?.x).toBe(0x1fffeffffffn);
  });

  test.each(['user', 'time'] as const)('a %s namespace is refused, not forgotten', (type) => {
    const spec = bundle();
    const changed = { ...spec, linux: { ...spec.linux, namespaces: [...spec.linux.namespaces, { type }] } };
    expect(() => lower(changed, lowerContext())).toThrow(invalid);
  });

  test('a joined namespace is entered: pids by the launcher, others by the child, the network by whoever has it', () => {
    const spec = bundle({}, { network: { join: '/proc/1/ns/net' }, join: { pid: '/proc/1/ns/pid', ipc: '/proc/1/ns/ipc' } });
    const show = (owns: boolean): string[] =>
      lower(spec, lowerContext({ launcherOwnsNetwork: owns }))
        .filter((op) => op.op === 'setns' || op.op === 'clone')
        .map((op) => `${op.op} ${op.x?.toString(16)}`);
    expect(show(true)).toEqual(['setns 20000000', 'clone 4020000', 'setns 8000000']);
    expect(show(false)).toEqual(['setns 20000000', 'clone 4020000', 'setns 8000000', 'setns 40000000']);
  });
});

test('config.json is JSON, and infinity is exactly 2^64 - 1', () => {
  const text = formatSpec(
    bundle({ ulimits: [{ name: 'core', soft: -1, hard: -1 }], environment: { TRAP: '": 18446744073709552000' } }),
  );
  expect(text.match(/18446744073709551615/g)).toHaveLength(2);
  expect((JSON.parse(text) as OciSpec).process.env).toContain('TRAP=": 18446744073709552000');
});
