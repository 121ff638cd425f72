import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cgroupDirectories, cgroupPlan, containerCgroupPath, weightFromShares } from '../../../src/runtime/cgroup.ts';
import { type CgroupLayout, ownUnifiedCgroup, readCgroupLayout } from '../../../src/runtime/cgroup-layout.ts';
import { deviceProgram, deviceRuleText, foldDeviceRules } from '../../../src/runtime/device-rules.ts';
import { serviceDevices } from '../../../src/runtime/devices.ts';
import { printProgram } from '../../../src/runtime/print.ts';
import type { OciDeviceRule, OciResources } from '../../../src/runtime/spec.ts';
import { type DeviceAccess, runDeviceProgram } from './bpf-machine.ts';
import { hybridLayout, plainService, splitLayout, unifiedLayout } from './samples.ts';

const path = '/tscompose/shop/0123456789ab';

describe('the layout', () => {
  const v1 = (name: string): string => `32 31 0:29 / /sys/fs/cgroup/${name} rw,relatime shared:9 - cgroup cgroup rw,${name}`;
  const v2 = (mountpoint: string): string =>
    `41 31 0:38 / ${mountpoint} rw,nosuid,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate`;
  const read = (mountinfo: string[], cgroup = '0::/\n', delegated = false): CgroupLayout | undefined =>
    readCgroupLayout({ mountinfo: `${mountinfo.join('\n')}\n`, cgroup, controllers: 'cpu memory pids\n', delegated });

  test('version 2 alone', () => {
    expect(read(['22 27 0:21 / /proc rw - proc proc rw', v2('/sys/fs/cgroup')])).toEqual({
      version: 'v2',
      hierarchies: [],
      unified: { mountpoint: '/sys/fs/cgroup', base: '/', controllers: ['cpu', 'memory', 'pids'] },
    });
  });

  test('version 1, with joined and named hierarchies', () => {
    expect(read([v1('cpu,cpuacct'), v1('memory'), v1('xattr,name=systemd')])).toEqual({
      version: 'v1',
      hierarchies: [
        { controllers: ['cpu', 'cpuacct'], mountpoint: '/sys/fs/cgroup/cpu,cpuacct' },
        { controllers: ['memory'], mountpoint: '/sys/fs/cgroup/memory' },
        { controllers: ['name=systemd'], mountpoint: '/sys/fs/cgroup/xattr,name=systemd' },
      ],
    });
  });

  test('hybrid: controllers in version 1, a version 2 tree beside', () => {
    expect(read([v1('memory'), v2('/sys/fs/cgroup/unified')])?.version).toBe('hybrid');
  });

  test('a lone named hierarchy does not make it hybrid', () => {
    expect(read([v1('none,name=systemd'), v2('/sys/fs/cgroup')])).toMatchObject({ version: 'v2', hierarchies: [] });
  });

  test('a delegated subtree is the base', () => {
    expect(read([v2('/sys/fs/cgroup')], '0::/user.slice/a\n', true)?.unified?.base).toBe('/user.slice/a');
    expect(ownUnifiedCgroup('5:memory:/x\n')).toBe('/');
  });

  test('a mount point with a blank is read', () => {
    expect(read([v2('/mnt/c\\040g')])?.unified?.mountpoint).toBe('/mnt/c g');
  });

  test('none', () => {
    expect(read(['22 27 0:21 / /proc rw - proc proc rw', ''])).toBeUndefined();
  });
});

const everything: OciResources = {
  memory: { limit: 64 << 20, reservation: 32 << 20, swap: 96 << 20, swappiness: 10, disableOOMKiller: true },
  cpu: { shares: 1024, quota: 50_000, period: 100_000, cpus: '0-1', mems: '0' },
  pids: { limit: 100 },
  devices: [
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
  ],
};
const text = (layout: CgroupLayout, resources: OciResources): string => printProgram(cgroupPlan(layout, path, resources).prepare);

describe('the plan', () => {
  test('on version 2: directory, controllers from the top down, limits, device program', () => {
    expect(text(unifiedLayout, everything)).toMatchInlineSnapshot(`
      "  0 cgroupCreate a="/sys/fs/cgroup/tscompose/shop/0123456789ab"
        1 cgroupWrite a="/sys/fs/cgroup/cgroup.subtree_control" b="+cpu +memory +pids +io +cpuset" [optional]
        2 cgroupWrite a="/sys/fs/cgroup/tscompose/cgroup.subtree_control" b="+cpu +memory +pids +io +cpuset" [optional]
        3 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/cgroup.subtree_control" b="+cpu +memory +pids +io +cpuset" [optional]
        4 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/0123456789ab/memory.max" b="67108864"
        5 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/0123456789ab/memory.low" b="33554432"
        6 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/0123456789ab/memory.swap.max" b="33554432"
        7 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/0123456789ab/cpu.weight" b="100"
        8 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/0123456789ab/cpu.max" b="50000 100000"
        9 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/0123456789ab/cpuset.cpus" b="0-1"
       10 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/0123456789ab/cpuset.mems" b="0"
       11 cgroupWrite a="/sys/fs/cgroup/tscompose/shop/0123456789ab/pids.max" b="100"
       12 cgroupDevices a="/sys/fs/cgroup/tscompose/shop/0123456789ab" b=<128 bytes>
      "
    `);
    expect(cgroupPlan(unifiedLayout, path, everything)).toMatchObject({
      directories: ['/sys/fs/cgroup/tscompose/shop/0123456789ab'],
      cloneInto: '/sys/fs/cgroup/tscompose/shop/0123456789ab',
      attach: [],
    });
  });

  test('on a hybrid host: each controller in its hierarchy, memory before memory and swap', () => {
    expect(text(hybridLayout, everything)).toMatchInlineSnapshot(`
      "  0 cgroupCreate a="/sys/fs/cgroup/cpu,cpuacct/tscompose/shop/0123456789ab"
        1 cgroupCreate a="/sys/fs/cgroup/cpuset/tscompose/shop/0123456789ab" x=1
        2 cgroupCreate a="/sys/fs/cgroup/memory/tscompose/shop/0123456789ab"
        3 cgroupCreate a="/sys/fs/cgroup/devices/tscompose/shop/0123456789ab"
        4 cgroupCreate a="/sys/fs/cgroup/freezer/tscompose/shop/0123456789ab"
        5 cgroupCreate a="/sys/fs/cgroup/pids/tscompose/shop/0123456789ab"
        6 cgroupCreate a="/sys/fs/cgroup/systemd/tscompose/shop/0123456789ab"
        7 cgroupCreate a="/sys/fs/cgroup/unified/tscompose/shop/0123456789ab"
        8 cgroupWrite a="/sys/fs/cgroup/memory/tscompose/shop/0123456789ab/memory.limit_in_bytes" b="67108864"
        9 cgroupWrite a="/sys/fs/cgroup/memory/tscompose/shop/0123456789ab/memory.soft_limit_in_bytes" b="33554432"
       10 cgroupWrite a="/sys/fs/cgroup/memory/tscompose/shop/0123456789ab/memory.memsw.limit_in_bytes" b="100663296"
       11 cgroupWrite a="/sys/fs/cgroup/memory/tscompose/shop/0123456789ab/memory.swappiness" b="10"
       12 cgroupWrite a="/sys/fs/cgroup/memory/tscompose/shop/0123456789ab/memory.oom_control" b="1"
       13 cgroupWrite a="/sys/fs/cgroup/cpu,cpuacct/tscompose/shop/0123456789ab/cpu.shares" b="1024"
       14 cgroupWrite a="/sys/fs/cgroup/cpu,cpuacct/tscompose/shop/0123456789ab/cpu.cfs_period_us" b="100000"
       15 cgroupWrite a="/sys/fs/cgroup/cpu,cpuacct/tscompose/shop/0123456789ab/cpu.cfs_quota_us" b="50000"
       16 cgroupWrite a="/sys/fs/cgroup/cpuset/tscompose/shop/0123456789ab/cpuset.cpus" b="0-1"
       17 cgroupWrite a="/sys/fs/cgroup/cpuset/tscompose/shop/0123456789ab/cpuset.mems" b="0"
       18 cgroupWrite a="/sys/fs/cgroup/pids/tscompose/shop/0123456789ab/pids.max" b="100"
       19 cgroupWrite a="/sys/fs/cgroup/devices/tscompose/shop/0123456789ab/devices.deny" b="a"
       20 cgroupWrite a="/sys/fs/cgroup/devices/tscompose/shop/0123456789ab/devices.allow" b="c 1:3 rwm"
      "
    `);
  });

  test('on version 1 nothing is cloned into, and cpuset only joins when it is asked for', () => {
    const plan = cgroupPlan(splitLayout, path, { pids: { limit: 5 } });
    expect(plan.cloneInto).toBeUndefined();
    expect(plan.attach).toEqual(plan.directories);
    expect(plan.attach.map((directory) => directory.split('/')[4])).toEqual([
      'cpu,cpuacct',
      'memory',
      'devices',
      'freezer',
      'pids',
      'systemd',
    ]);
  });

  test('below a delegated cgroup', () => {
    const layout: CgroupLayout = {
      ...unifiedLayout,
      unified: { mountpoint: '/sys/fs/cgroup', base: '/user.slice/a', controllers: ['pids'] },
    };
    expect(text(layout, { pids: { limit: 7 } })).toMatchInlineSnapshot(`
      "  0 cgroupCreate a="/sys/fs/cgroup/user.slice/a/tscompose/shop/0123456789ab"
        1 cgroupWrite a="/sys/fs/cgroup/user.slice/a/cgroup.subtree_control" b="+pids" [optional]
        2 cgroupWrite a="/sys/fs/cgroup/user.slice/a/tscompose/cgroup.subtree_control" b="+pids" [optional]
        3 cgroupWrite a="/sys/fs/cgroup/user.slice/a/tscompose/shop/cgroup.subtree_control" b="+pids" [optional]
        4 cgroupWrite a="/sys/fs/cgroup/user.slice/a/tscompose/shop/0123456789ab/pids.max" b="7"
      "
    `);
  });

  test.each<[string, OciResources, string, string]>([
    ['no bound on processes', { pids: { limit: -1 } }, 'pids.max', 'max'],
    ['0 processes', { pids: { limit: 0 } }, 'pids.max', '1'],
    ['no bound on swap', { memory: { limit: 1024, swap: -1 } }, 'memory.swap.max', 'max'],
    ['no swap at all', { memory: { limit: 1024, swap: 1024 } }, 'memory.swap.max', '0'],
    ['a quota without a period', { cpu: { quota: 20_000 } }, 'cpu.max', '20000 100000'],
    ['a period without a quota', { cpu: { period: 50_000 } }, 'cpu.max', 'max 50000'],
    ['a quota without bound', { cpu: { quota: -1 } }, 'cpu.max', 'max 100000'],
  ])('version 2 says %s', (_name, resources, file, value) => {
    expect(cgroupPlan(unifiedLayout, path, resources).prepare).toContainEqual(
      expect.objectContaining({ op: 'cgroupWrite', a: `/sys/fs/cgroup${path}/${file}`, b: value }),
    );
  });

  test.each([[hybridLayout], [splitLayout], [unifiedLayout]])(
    'a limit nobody can keep is refused, the default one is left out',
    (layout) => {
      const poor: CgroupLayout = {
        ...layout,
        hierarchies: layout.hierarchies.filter((one) => one.controllers[0] === 'freezer'),
        ...(layout.unified ? { unified: { ...layout.unified, controllers: [] } } : {}),
      };
      expect(cgroupPlan(poor, path, { pids: { limit: 4096 } }).prepare.some((op) => op.op === 'cgroupWrite')).toBe(false);
      for (const resources of [{ pids: { limit: 7 } }, { memory: { limit: 1 << 20 } }, { cpu: { shares: 5 } }]) {
        expect(() => cgroupPlan(poor, path, resources)).toThrow(expect.objectContaining({ code: 'VALUE_INVALID' }));
      }
    },
  );

  test.each(['', '/', 'tscompose', '/a/../b', '/a//b', '/./a', '/a/', '/a\0'])('path %j is refused', (bad) => {
    expect(() => cgroupPlan(unifiedLayout, bad, {})).toThrow(/no path of a control group/);
  });

  test('every file written lies in a directory that is made, or enables controllers above it', () => {
    for (const layout of [unifiedLayout, hybridLayout, splitLayout]) {
      const { directories, prepare } = cgroupPlan(layout, path, everything);
      const made = prepare.filter((op) => op.op === 'cgroupCreate').map((op) => op.a);
      expect([...made].sort()).toEqual([...directories].sort());
      for (const op of prepare.filter((one) => one.op === 'cgroupWrite')) {
        const file = op.a as string;
        if (!file.endsWith('/cgroup.subtree_control')) expect(made).toContain(file.slice(0, file.lastIndexOf('/')));
      }
    }
  });

  test('paths of containers and projects', () => {
    const id = 'f'.repeat(64);
    expect(containerCgroupPath('shop', id)).toBe('/tscompose/shop/ffffffffffff');
    expect(containerCgroupPath('shop', id, '/my.slice')).toBe('/my.slice/ffffffffffff');
    expect(containerCgroupPath('shop', id, 'my.slice')).toBe('/my.slice/ffffffffffff');
    expect(cgroupDirectories(unifiedLayout, '/tscompose/shop')).toEqual(['/sys/fs/cgroup/tscompose/shop']);
    expect(cgroupDirectories(hybridLayout, '/tscompose/shop')).toContain('/sys/fs/cgroup/cpuset/tscompose/shop');
    expect(cgroupDirectories(hybridLayout, '/tscompose/shop').at(-1)).toBe('/sys/fs/cgroup/unified/tscompose/shop');
  });

  test.each([
    [0, 1],
    [2, 1],
    [1024, 100],
    [512, 59],
    [2048, 174],
    [262144, 10000],
    [300000, 10000],
  ])('%i shares weigh %i', (shares, weight) => {
    expect(weightFromShares(shares)).toBe(weight);
  });
});

describe('devices', () => {
  const { rules } = serviceDevices(plainService, []);
  const answer = (list: readonly OciDeviceRule[], type: 'b' | 'c', major: number, minor: number, access: string): boolean =>
    runDeviceProgram(deviceProgram(foldDeviceRules(list)), { type, major, minor, access }) === 1;

  test.each<[string, 'b' | 'c', number, number, string, boolean]>([
    ['/dev/null', 'c', 1, 3, 'rw', true],
    ['/dev/mem', 'c', 1, 1, 'r', false],
    ['/dev/kmsg', 'c', 1, 11, 'r', false],
    ['/dev/tty', 'c', 5, 0, 'rw', true],
    ['/dev/pts/77', 'c', 136, 77, 'rw', true],
    ['/dev/fuse', 'c', 10, 229, 'r', false],
    ['/dev/kvm', 'c', 10, 232, 'rw', false],
    ['/dev/vda', 'b', 254, 0, 'r', false],
    ['the making of /dev/vda', 'b', 254, 0, 'm', true],
    ['making and opening at once', 'b', 254, 0, 'rm', false],
    ["a block device of /dev/null's number", 'b', 1, 3, 'r', false],
  ])('%s', (_name, type, major, minor, access, allowed) => {
    expect(answer(rules, type, major, minor, access)).toBe(allowed);
  });

  test("a service's own come behind; a folder stands for what is in it", () => {
    const node = { path: '/dev/snd/pcm0', type: 'c', major: 116, minor: 2, mode: 0o660, uid: 0, gid: 29 } as const;
    const service = { ...plainService, devices: [{ source: '/dev/snd', target: '/dev/sound', permissions: 'r' }] };
    const given = serviceDevices(service, [node, { ...node, path: '/dev/sndx' }]);
    expect(given.devices.at(-1)).toEqual({
      type: 'c',
      path: '/dev/sound/pcm0',
      major: 116,
      minor: 2,
      fileMode: 0o660,
      uid: 0,
      gid: 29,
    });
    expect(given.devices).toHaveLength(7);
    expect(answer(given.rules, 'c', 116, 2, 'r')).toBe(true);
    expect(answer(given.rules, 'c', 116, 2, 'w')).toBe(false);
  });

  test('privileged: everything', () => {
    const given = serviceDevices({ ...plainService, privileged: true }, []);
    expect(answer(given.rules, 'b', 254, 0, 'rwm')).toBe(true);
    expect(foldDeviceRules(given.rules)).toEqual({ allowsByDefault: true, exceptions: [] });
  });

  const anyRule: fc.Arbitrary<OciDeviceRule> = fc.record(
    {
      allow: fc.boolean(),
      type: fc.constantFrom('a', 'b', 'c'),
      major: fc.constantFrom(-1, 1, 2),
      minor: fc.constantFrom(-1, 3, 4),
      access: fc.constantFrom('r', 'w', 'm', 'rw', 'rwm', 'mr'),
    },
    { requiredKeys: ['allow'] },
  );
  const anyAccess: fc.Arbitrary<DeviceAccess> = fc.record({
    type: fc.constantFrom('b', 'c'),
    major: fc.constantFrom(1, 2, 3),
    minor: fc.constantFrom(3, 4, 5),
    access: fc.constantFrom('r', 'w', 'm', 'rw'),
  });

  test('the program answers as the version 1 controller does, for any list of rules', () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 12 }), anyAccess, (list, access) => {
        const policy = foldDeviceRules(list);
        const touching = policy.exceptions.filter(
          (one) =>
            one.type === access.type &&
            (one.major ?? access.major) === access.major &&
            (one.minor ?? access.minor) === access.minor,
        );
        const covers = touching.some((one) => [...access.access].every((letter) => one.access.includes(letter)));
        const touches = touching.some((one) => [...access.access].some((letter) => one.access.includes(letter)));
        expect(runDeviceProgram(deviceProgram(policy), access) === 1).toBe(policy.allowsByDefault ? !touches : covers);
      }),
      { numRuns: 2000 },
    );
  });

  test.each<[readonly OciDeviceRule[], boolean, readonly string[]]>([
    [[], true, []],
    [[{ allow: false }], false, []],
    [
      [{ allow: false }, { allow: true, type: 'c', major: 1, access: 'r' }, { allow: true, type: 'c', major: 1, access: 'w' }],
      false,
      ['c 1:* rw'],
    ],
    [
      [{ allow: false }, { allow: true, type: 'c', major: 1, access: 'rwm' }, { allow: false, type: 'c', major: 1, access: 'w' }],
      false,
      ['c 1:* rm'],
    ],
    [[{ allow: false }, { allow: true, type: 'c', major: 1, minor: 3 }, { allow: true }], true, []],
    [[{ allow: false, type: 'b', major: 8, minor: -1 }], true, ['b 8:* rwm']],
    [[{ allow: false }, { allow: true, type: 'a', major: 7 }], false, ['b 7:* rwm', 'c 7:* rwm']],
  ])('%j fold to default %s and %j', (list, allowsByDefault, exceptions) => {
    const policy = foldDeviceRules(list);
    expect(policy.allowsByDefault).toBe(allowsByDefault);
    expect(policy.exceptions.map(deviceRuleText)).toEqual(exceptions);
  });
});
