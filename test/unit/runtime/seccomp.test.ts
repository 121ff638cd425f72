import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TscomposeError } from '../../../src/errors.ts';
import { allCapabilities, defaultCapabilities } from '../../../src/runtime/capabilities.ts';
import { compileSeccomp, seccompInstructions } from '../../../src/runtime/seccomp.ts';
import { kernelAtLeast, parseSeccompFile } from '../../../src/runtime/seccomp-file.ts';
import { defaultSeccompProfile } from '../../../src/runtime/seccomp-profile.ts';
import type { OciSeccomp, OciSeccompArgument, OciSeccompRule } from '../../../src/runtime/spec.ts';
import { type Architecture, syscallTable } from '../../../src/runtime/syscalls.ts';
import { auditArm64, auditI386, auditX64, runSeccomp } from './bpf-machine.ts';

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const native = { x64: auditX64, arm64: auditArm64 } as const;
const architectures = ['x64', 'arm64'] as const;
const edges = [0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0xffffffff00000000n, 0xffffffffffffffffn];

function ask(profile: OciSeccomp, architecture: Architecture, name: string, ...args: bigint[]): number {
  const number = syscallTable(architecture).numbers.get(name);
  if (number === undefined) throw new Error(`${architecture} has no ${name}`);
  return askNumber(profile, architecture, number, args);
}

function askNumber(profile: OciSeccomp, architecture: Architecture, number: number, args: readonly bigint[] = []): number {
  return run(compileSeccomp(profile, architecture), architecture, number, args);
}

function run(program: Uint8Array, architecture: Architecture, number: number, args: readonly bigint[]): number {
  const padded = [0, 1, 2, 3, 4, 5].map((index) => args[index] ?? 0n);
  return runSeccomp(program, { number, architecture: native[architecture], args: padded });
}

/** The profile's meaning, written down a second time without any tree. */
function meaning(profile: OciSeccomp, architecture: Architecture, number: number, args: readonly bigint[]): number {
  const { names, numbers } = syscallTable(architecture);
  const named = profile.syscalls.flatMap((rule) => rule.names).flatMap((name) => numbers.get(name) ?? []);
  const skipsNewer = profile.defaultAction === 'SCMP_ACT_ALLOW' || profile.defaultAction === 'SCMP_ACT_LOG';
  if (!skipsNewer && number > Math.max(-1, ...named)) return ENOSYS;
  const own = profile.syscalls.filter((rule) => rule.names.includes(names.get(number) ?? '?'));
  const conditional = own.filter((rule) => rule.args?.length);
  const matching = conditional.find((rule) => holds(rule, args)) ?? own.find((rule) => !rule.args?.length);
  return matching ? value(matching.action, matching.errnoRet) : value(profile.defaultAction, profile.defaultErrnoRet);
}

function holds(rule: OciSeccompRule, args: readonly bigint[]): boolean {
  const conditions = rule.args ?? [];
  const repeats = new Set(conditions.map((one) => one.index)).size < conditions.length;
  return repeats ? conditions.some((one) => compare(one, args)) : conditions.every((one) => compare(one, args));
}

function compare({ index, op, value: wanted, valueTwo }: OciSeccompArgument, args: readonly bigint[]): boolean {
  const [actual, expected] = [args[index] ?? 0n, BigInt(wanted)];
  switch (op) {
    case 'SCMP_CMP_EQ':
      return actual === expected;
    case 'SCMP_CMP_NE':
      return actual !== expected;
    case 'SCMP_CMP_GT':
      return actual > expected;
    case 'SCMP_CMP_GE':
      return actual >= expected;
    case 'SCMP_CMP_LT':
      return actual < expected;
    case 'SCMP_CMP_LE':
      return actual <= expected;
    case 'SCMP_CMP_MASKED_EQ':
      return (actual & expected) === BigInt(valueTwo ?? 0);
  }
}

function value(action: OciSeccomp['defaultAction'], errno = 1): number {
  const values: Readonly<Record<string, number>> = {
    SCMP_ACT_ALLOW: ALLOW,
    SCMP_ACT_ERRNO: 0x50000 | errno,
    SCMP_ACT_KILL_PROCESS: 0x80000000,
    SCMP_ACT_LOG: 0x7ffc0000,
    SCMP_ACT_TRAP: 0x30000,
  };
  return values[action] as number;
}

describe.each(architectures)('the default profile on %s', (architecture) => {
  test.each([
    ['default capabilities', defaultCapabilities],
    ['none', []],
    ['all', allCapabilities],
    ['CAP_SYS_ADMIN alone', ['CAP_SYS_ADMIN']],
  ])('with %s the tree answers as the rules do, for every number and argument edge', (_name, capabilities) => {
    const profile = defaultSeccompProfile(capabilities, architecture);
    const program = compileSeccomp(profile, architecture);
    const wrong: string[] = [];
    const compareAt = (number: number, arg: bigint): void => {
      if (run(program, architecture, number, [arg]) !== meaning(profile, architecture, number, [arg]))
        wrong.push(`${number}(${arg})`);
    };
    for (let number = 0; number < 1100; number++) compareAt(number, 0n);
    const small = Array.from({ length: 64 }, (_, index) => BigInt(index));
    for (const name of ['socket', 'personality', 'clone', 'clone3']) {
      const number = syscallTable(architecture).numbers.get(name) as number;
      for (const edge of [...edges, ...small, 0x20000n, 0x20008n, 0x10000000n, 0x1200011n]) compareAt(number, edge);
    }
    expect(wrong).toEqual([]);
  });

  test('every name of the profile is a call of Linux', () => {
    const known = new Set(architectures.flatMap((one) => [...syscallTable(one).numbers.keys()]));
    const names = defaultSeccompProfile(allCapabilities, architecture).syscalls.flatMap((rule) => rule.names);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
  });

  test('no name is allowed twice over', () => {
    const always = defaultSeccompProfile([], architecture).syscalls[0]?.names ?? [];
    expect(new Set(always).size).toBe(always.length);
  });
});

describe("docker's decisions, written down", () => {
  const profile = defaultSeccompProfile(defaultCapabilities, 'x64');

  test.each([
    'io_uring_setup',
    'io_uring_enter',
    'io_uring_register',
    'userfaultfd',
    'bpf',
    'perf_event_open',
    'keyctl',
    'add_key',
    'request_key',
    'open_by_handle_at',
    'mount',
    'umount2',
    'pivot_root',
    'swapon',
    'reboot',
    'kexec_load',
    'init_module',
    'finit_module',
    'setns',
    'unshare',
    'move_mount',
    'fsopen',
    'syslog',
    'acct',
    'settimeofday',
    'clock_settime',
    'iopl',
    'ioperm',
    'nfsservctl',
    'vhangup',
    'kcmp',
    'quotactl',
    'mbind',
    'move_pages',
    'sethostname',
    'process_madvise',
  ])('%s is refused', (name) => {
    expect(ask(profile, 'x64', name)).toBe(EPERM);
  });

  test.each([
    'read',
    'execve',
    'ptrace',
    'chroot',
    'capset',
    'setresuid',
    'setgroups',
    'prctl',
    'close_range',
    'openat2',
    'recvmsg',
    'arch_prctl',
    'mseal',
  ])('%s is allowed', (name) => {
    expect(ask(profile, 'x64', name)).toBe(ALLOW);
  });

  test.each([
    ['CAP_SYS_ADMIN', 'mount'],
    ['CAP_SYS_PTRACE', 'kcmp'],
    ['CAP_BPF', 'bpf'],
    ['CAP_PERFMON', 'perf_event_open'],
    ['CAP_SYSLOG', 'syslog'],
    ['CAP_SYS_TIME', 'clock_settime'],
    ['CAP_SYS_NICE', 'mbind'],
    ['CAP_SYS_MODULE', 'finit_module'],
    ['CAP_SYS_BOOT', 'reboot'],
    ['CAP_SYS_RAWIO', 'iopl'],
    ['CAP_SYS_PACCT', 'acct'],
    ['CAP_SYS_TTY_CONFIG', 'vhangup'],
    ['CAP_DAC_READ_SEARCH', 'open_by_handle_at'],
    ['CAP_SYS_CHROOT', 'chroot'],
  ])('%s opens %s, which is closed without', (capability, name) => {
    expect(ask(defaultSeccompProfile([], 'x64'), 'x64', name)).toBe(EPERM);
    expect(ask(defaultSeccompProfile([capability], 'x64'), 'x64', name)).toBe(ALLOW);
  });

  test.each([
    ['AF_UNIX', 1n, ALLOW],
    ['AF_INET', 2n, ALLOW],
    ['AF_INET6', 10n, ALLOW],
    ['AF_NETLINK', 16n, ALLOW],
    ['AF_PACKET', 17n, ALLOW],
    ['AF_ALG', 38n, EPERM],
    ['AF_VSOCK', 40n, EPERM],
    ['AF_DECnet', 12n, EPERM],
    ['AF_NFC', 39n, ALLOW],
    ['AF_XDP', 44n, ALLOW],
    ['AF_ALG with rubbish above, which the kernel cuts off', 0x100000026n, EPERM],
    ['above the last', 46n, EPERM],
  ])('socket(%s)', (_name, family, answer) => {
    expect(ask(profile, 'x64', 'socket', family)).toBe(answer);
  });

  test.each([
    ['a thread', 0x3d0f00n, ALLOW],
    ['a process', 17n, ALLOW],
    ['NEWUSER', 0x10000000n, EPERM],
    ['NEWNS', 0x20000n, EPERM],
    ['NEWNET', 0x40000000n, EPERM],
    ['NEWCGROUP', 0x2000000n, EPERM],
  ])('clone for %s', (_name, flags, answer) => {
    expect(ask(profile, 'x64', 'clone', flags)).toBe(answer);
  });

  test('clone3 does not exist without CAP_SYS_ADMIN, so that a C library falls back', () => {
    expect(ask(profile, 'x64', 'clone3')).toBe(ENOSYS);
    expect(ask(defaultSeccompProfile(['CAP_SYS_ADMIN'], 'x64'), 'x64', 'clone3')).toBe(ALLOW);
  });

  test.each([470, 500, 1023, 0x3fffffff, 0x40000000, 0x40000001, 0xffffffff])(
    'number %i, newer than the profile or x32, does not exist',
    (number) => {
      expect(askNumber(profile, 'x64', number)).toBe(ENOSYS);
    },
  );

  test('a hole in the middle of the table is refused, not unknown', () => {
    expect(askNumber(profile, 'x64', 400)).toBe(EPERM);
  });

  test('a foreign instruction set has no calls, whatever the number', () => {
    for (const permissive of [profile, { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] } satisfies OciSeccomp]) {
      for (let number = 0; number < 1024; number++) {
        expect(
          runSeccomp(compileSeccomp(permissive, 'x64'), { number, architecture: auditI386, args: [0n, 0n, 0n, 0n, 0n, 0n] }),
        ).toBe(ENOSYS);
      }
    }
  });

  test('x32 is closed for a profile that allows by default as well', () => {
    expect(askNumber({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] }, 'x64', 0x40000000)).toBe(ENOSYS);
    expect(askNumber({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] }, 'x64', 1000)).toBe(ALLOW);
  });

  test('the tree is shallow: a plain call is decided in few steps', () => {
    const instructions = seccompInstructions(profile, 'x64');
    expect(instructions.length).toBeLessThan(600);
    expect(compileSeccomp(profile, 'x64')).toBe(compileSeccomp(defaultSeccompProfile(defaultCapabilities, 'x64'), 'x64'));
  });
});

const callNames = [...syscallTable('x64').numbers.keys()];
const anyOperator = fc.constantFrom<OciSeccompArgument['op'][]>(
  'SCMP_CMP_EQ',
  'SCMP_CMP_NE',
  'SCMP_CMP_GT',
  'SCMP_CMP_GE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_MASKED_EQ',
);
const anyValue = fc.oneof(
  fc.constantFrom(...edges),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: 0n, max: 64n }),
);
const anyArgument = fc.record({ index: fc.nat(5), op: anyOperator, value: anyValue, valueTwo: anyValue });
const anyAction = fc.constantFrom<OciSeccomp['defaultAction'][]>(
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_LOG',
  'SCMP_ACT_TRAP',
);
const anyRule = fc.record({
  names: fc.uniqueArray(fc.constantFrom(...callNames), { minLength: 1, maxLength: 5 }),
  action: anyAction,
  errnoRet: fc.integer({ min: 1, max: 133 }),
  args: fc.array(anyArgument, { maxLength: 3 }),
});
const anyProfile = fc.record({
  defaultAction: anyAction,
  defaultErrnoRet: fc.integer({ min: 1, max: 133 }),
  syscalls: fc.array(anyRule, { maxLength: 40 }),
});

test('any profile means the same compiled', () => {
  fc.assert(
    fc.property(anyProfile, fc.array(anyValue, { minLength: 6, maxLength: 6 }), (profile, random) => {
      const program = compileSeccomp(profile, 'x64');
      const wrong: string[] = [];
      const conditions = profile.syscalls.flatMap((rule) => rule.args);
      const numbers = profile.syscalls.flatMap((rule) =>
        rule.names.map((name) => syscallTable('x64').numbers.get(name) as number),
      );
      const exact = [0, 1, 2, 3, 4, 5].map((index) => conditions.find((one) => one.index === index)?.value ?? 0n);
      for (const number of [...numbers, ...numbers.map((one) => one + 1), 0, 471, 5000]) {
        for (const args of [
          random,
          exact,
          exact.map((one) => BigInt.asUintN(64, one + 1n)),
          exact.map((one) => BigInt.asUintN(64, one - 1n)),
        ]) {
          if (run(program, 'x64', number, args) !== meaning(profile, 'x64', number, args))
            wrong.push(`${number}(${args.join()})`);
        }
      }
      expect(wrong).toEqual([]);
    }),
    { numRuns: 100 },
  );
}, 30_000);

describe('a profile from a file', () => {
  const host = { capabilities: ['CAP_SYS_ADMIN'], architecture: 'x64', kernelRelease: '6.1.0-18-amd64' } as const;
  const rule = (extra: object): string =>
    JSON.stringify({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['mount'], action: 'SCMP_ACT_ALLOW', ...extra }] });

  test.each([
    [{}, 1],
    [{ includes: { caps: ['CAP_SYS_ADMIN'] } }, 1],
    [{ includes: { caps: ['CAP_BPF'] } }, 0],
    [{ excludes: { caps: ['CAP_SYS_ADMIN'] } }, 0],
    [{ includes: { arches: ['amd64', 'x32'] } }, 1],
    [{ includes: { arches: ['arm64'] } }, 0],
    [{ excludes: { arches: ['amd64'] } }, 0],
    [{ includes: { minKernel: '4.8' } }, 1],
    [{ includes: { minKernel: '6.2' } }, 0],
    [{ includes: { minKernel: '7.0' } }, 0],
  ])('a rule with %j holds %i times', (extra, count) => {
    expect(parseSeccompFile(rule(extra), 'profile.json', host).syscalls).toHaveLength(count);
  });

  test.each([
    '',
    '[]',
    '{}',
    'null',
    '{"defaultAction":1}',
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}',
  ])('text %j is refused by name', (text) => {
    expect(() => parseSeccompFile(text, 'profile.json', host)).toThrow(/profile\.json is no seccomp profile/);
  });

  test.each([
    ['an action', { defaultAction: 'SCMP_ACT_DANCE', syscalls: [] }],
    [
      'an operator',
      {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['read'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 1, op: 'LIKE' }] }],
      },
    ],
    [
      'an argument',
      {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['read'], action: 'SCMP_ACT_ERRNO', args: [{ index: 6, value: 1, op: 'SCMP_CMP_EQ' }] }],
      },
    ],
  ])('%s that does not exist is refused', (_what, profile) => {
    expect(() => compileSeccomp(parseSeccompFile(JSON.stringify(profile), 'p', host), 'x64')).toThrow(TscomposeError);
  });

  test.each([
    ['6.1.0-18-amd64', '6.1', true],
    ['5.9.1', '5.10', false],
    ['5.10', '5.10', true],
    ['10.0', '9.9', true],
  ])('kernel %s is at least %s: %s', (release, wanted, answer) => {
    expect(kernelAtLeast(release, wanted)).toBe(answer);
  });
});
