import { describe, expect, test } from 'vitest';
import { MountFlag, parseMountOptions } from '../../../src/runtime/mount-options.ts';
import { renderRlimit, rlimitBits, rlimitNumber, unlimited } from '../../../src/runtime/rlimits.ts';
import { securityOptions } from '../../../src/runtime/security.ts';
import { signalName, signalNumber, signalNumbers } from '../../../src/runtime/signals.ts';
import { checkSysctls, sysctlPath } from '../../../src/runtime/sysctls.ts';
import { plainService } from './samples.ts';

const invalid = expect.objectContaining({ code: 'VALUE_INVALID' });

describe('signals', () => {
  test.each([
    ['SIGTERM', 15],
    ['term', 15],
    ['KILL', 9],
    ['SIGRTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX', 64],
    ['RTMAX-1', 63],
    ['SIGQUIT', 3],
    ['15', 15],
    ['64', 64],
    ['SIGPOLL', 29],
    ['SIGIOT', 6],
    ['SIGSYS', 31],
  ])('%s is %i', (text, number) => {
    expect(signalNumber(text)).toBe(number);
  });

  test.each(['', '0', '65', '-1', 'SIGFOO', 'SIGRTMIN+31', 'SIGRTMAX+1', '1.5', ' 9', 'toString', 'SIG'])(
    '%j is none',
    (text) => {
      expect(() => signalNumber(text)).toThrow(invalid);
    },
  );

  test('there and back', () => {
    for (const number of signalNumbers.values()) expect(signalNumber(signalName(number))).toBe(number);
    for (let number = 34; number <= 64; number++) expect(signalNumber(signalName(number))).toBe(number);
    expect(signalName(33)).toBe('33');
  });
});

describe('ulimits', () => {
  test.each([
    ['nofile', 1024, 4096, { type: 'RLIMIT_NOFILE', soft: 1024, hard: 4096 }],
    ['core', 0, -1, { type: 'RLIMIT_CORE', soft: 0, hard: 2 ** 64 }],
    ['memlock', -1, -1, { type: 'RLIMIT_MEMLOCK', soft: 2 ** 64, hard: 2 ** 64 }],
  ])('%s %i:%i', (name, soft, hard, rendered) => {
    expect(renderRlimit({ name, soft, hard })).toEqual(rendered);
  });

  test.each([
    ['nofiles', 1, 1],
    ['nofile', 2, 1],
    ['nofile', -1, 5],
    ['nofile', -2, 5],
    ['nofile', 1.5, 2],
  ])('%s %d:%d is refused', (name, soft, hard) => {
    expect(() => renderRlimit({ name, soft, hard })).toThrow(invalid);
  });

  test('numbers and infinity as prlimit64 takes them', () => {
    expect([rlimitNumber('RLIMIT_CPU'), rlimitNumber('RLIMIT_NOFILE'), rlimitNumber('RLIMIT_RTTIME')]).toEqual([0, 7, 15]);
    expect([rlimitBits(0), rlimitBits(1024), rlimitBits(-1), rlimitBits(2 ** 64)]).toEqual([0n, 1024n, unlimited, unlimited]);
  });
});

describe('mount options', () => {
  test.each([
    [['ro', 'nosuid'], MountFlag.readOnly | MountFlag.noSuid, ''],
    [['ro', 'rw'], 0, ''],
    [['noexec', 'exec', 'nodev'], MountFlag.noDev, ''],
    [['noatime', 'strictatime'], MountFlag.strictAtime, ''],
    [['size=64k', 'mode=755', 'defaults', ''], 0, 'size=64k,mode=755'],
  ])('%j', (options, flags, data) => {
    expect(parseMountOptions(options)).toMatchObject({ flags, data, isBind: false });
  });

  test('binds, recursion and propagation are told apart from flags', () => {
    expect(parseMountOptions(['rbind', 'rro', 'rslave'])).toEqual({
      flags: 0,
      recursiveAttributes: 1,
      propagation: MountFlag.slave | MountFlag.recursive,
      isBind: true,
      isRecursiveBind: true,
      data: '',
    });
  });
});

describe('sysctls', () => {
  const own = { network: true, ipc: true };

  test.each([
    'net.ipv4.ip_forward',
    'net.core.somaxconn',
    'kernel.shmmax',
    'kernel.sem',
    'fs.mqueue.msg_max',
    'net.ipv4.conf.eth0/100.forwarding',
  ])('%s belongs to the container', (key) => {
    expect(checkSysctls({ [key]: '1' }, own, 'api')).toEqual({ [key]: '1' });
  });

  test.each([
    'kernel.core_pattern',
    'kernel.shm_rmid_forced=1+kernel.core_pattern',
    'vm.swappiness',
    'kernel.msgmaxx',
    'net',
    'net.',
    '.net.ipv4',
    'net..x',
    'net.ipv4.../../kernel.core_pattern',
    'net/../kernel/core_pattern',
    'net.ipv4.conf+all',
    'fs.file-max',
    'kernel.sysrq',
    'fs.mqueue',
    'netx.y',
    'net ipv4',
    'net.ipv4.a\nb',
    'user.max_user_namespaces',
    'net.ipv4/../../kernel',
    'kernel.hostname',
  ])('%j is refused', (key) => {
    expect(() => checkSysctls({ [key]: '1' }, own, 'api')).toThrow(invalid);
  });

  test('a value of two lines is refused', () => {
    expect(() => checkSysctls({ 'net.core.somaxconn': '1\nkernel.core_pattern=x' }, own, 'api')).toThrow(invalid);
  });

  test("in the host's namespaces nothing is the container's", () => {
    expect(() => checkSysctls({ 'net.core.somaxconn': '1' }, { network: false, ipc: true }, 'api')).toThrow(/host's network/);
    expect(() => checkSysctls({ 'kernel.sem': '1' }, { network: true, ipc: false }, 'api')).toThrow(/host's ipc/);
  });

  test("dots are folders, a slash is a dot in an interface's name", () => {
    expect(sysctlPath('net.ipv4.conf.eth0/100.forwarding')).toBe('net/ipv4/conf/eth0.100/forwarding');
  });
});

describe('security_opt', () => {
  const options = (...securityOpt: string[]) => securityOptions({ ...plainService, securityOpt });

  test.each([
    ['no-new-privileges', { noNewPrivileges: true }],
    ['no-new-privileges:true', { noNewPrivileges: true }],
    ['no-new-privileges=false', { noNewPrivileges: false }],
    ['seccomp=unconfined', { seccomp: { kind: 'unconfined' } }],
    ['seccomp:unconfined', { seccomp: { kind: 'unconfined' } }],
    ['seccomp=./a:b.json', { seccomp: { kind: 'file', path: './a:b.json' } }],
    ['seccomp=builtin', { seccomp: { kind: 'default' } }],
    ['systempaths=unconfined', { openSystemPaths: true }],
    ['writable-cgroups=true', { writableCgroups: true }],
  ])('%s', (text, expected) => {
    expect(options(text)).toMatchObject(expected);
  });

  test.each(['no-new-privilege', 'no-new-privileges:maybe', 'seccomp', 'seccomp=', 'systempaths=open', '', 'constructor=x'])(
    '%j is refused',
    (text) => {
      expect(() => options(text)).toThrow(invalid);
    },
  );

  test('what has no effect is said', () => {
    expect(options('apparmor=unconfined', 'label:disable').warnings).toEqual([
      'security_opt "apparmor=unconfined" has no effect: tscompose sets no AppArmor labels',
      'security_opt "label:disable" has no effect: tscompose sets no SELinux labels',
    ]);
  });

  test('privileged opens filter and paths, and options still count', () => {
    expect(securityOptions({ ...plainService, privileged: true })).toMatchObject({
      seccomp: { kind: 'unconfined' },
      openSystemPaths: true,
      writableCgroups: true,
    });
    expect(securityOptions({ ...plainService, privileged: true, securityOpt: ['seccomp=builtin'] }).seccomp.kind).toBe('default');
  });
});
