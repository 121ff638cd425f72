import type { OciDeviceRule } from './spec.ts';

/**
 * Device rules as the kernel's version 1 controller keeps them (admin-guide/cgroup-v1/devices.rst): a default, and exceptions
 * from it.
 * Version 2 has no such files, only a BPF program; folding the list first gives both the same meaning.
 */
export interface DevicePolicy {
  readonly allowsByDefault: boolean;
  readonly exceptions: readonly DeviceException[];
}

export interface DeviceException {
  readonly type: 'b' | 'c';
  /** Absent: every one. */
  readonly major?: number;
  readonly minor?: number;
  /** Of "rwm". */
  readonly access: string;
}

/** Takes the rules in order, as writes to devices.allow and devices.deny would be. */
export function foldDeviceRules(rules: readonly OciDeviceRule[]): DevicePolicy {
  return rules.reduce<DevicePolicy>(withRule, { allowsByDefault: true, exceptions: [] });
}

function withRule(policy: DevicePolicy, rule: OciDeviceRule): DevicePolicy {
  if (isForAll(rule)) return { allowsByDefault: rule.allow, exceptions: [] };
  const change = rule.allow === policy.allowsByDefault ? withoutException : withException;
  return { ...policy, exceptions: exceptionsOf(rule).reduce(change, policy.exceptions) };
}

function isForAll(rule: OciDeviceRule): boolean {
  return (rule.type ?? 'a') === 'a' && number(rule.major) === undefined && number(rule.minor) === undefined;
}

function exceptionsOf(rule: OciDeviceRule): readonly DeviceException[] {
  const types = (rule.type ?? 'a') === 'a' ? (['b', 'c'] as const) : [rule.type as 'b' | 'c'];
  const [major, minor] = [number(rule.major), number(rule.minor)];
  return types.map((type) => ({
    type,
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
    access: ordered(rule.access || 'rwm'),
  }));
}

function number(value: number | undefined): number | undefined {
  return value === undefined || value < 0 ? undefined : value;
}

function withException(list: readonly DeviceException[], added: DeviceException): readonly DeviceException[] {
  const same = list.find((one) => isSameDevice(one, added));
  if (!same) return [...list, added];
  return list.map((one) => (one === same ? { ...one, access: ordered(one.access + added.access) } : one));
}

function withoutException(list: readonly DeviceException[], removed: DeviceException): readonly DeviceException[] {
  const kept = list.map((one) => (isSameDevice(one, removed) ? { ...one, access: less(one.access, removed.access) } : one));
  return kept.filter((one) => one.access !== '');
}

function isSameDevice(one: DeviceException, other: DeviceException): boolean {
  return one.type === other.type && one.major === other.major && one.minor === other.minor;
}

function ordered(access: string): string {
  return [...'rwm'].filter((letter) => access.includes(letter)).join('');
}

function less(access: string, removed: string): string {
  return [...access].filter((letter) => !removed.includes(letter)).join('');
}

/** The words that version 1's devices.allow and devices.deny take: "c 1:3 rwm". */
export function deviceRuleText(exception: DeviceException): string {
  return `${exception.type} ${exception.major ?? '*'}:${exception.minor ?? '*'} ${exception.access}`;
}

/**
 * The same policy as a BPF_PROG_TYPE_CGROUP_DEVICE program for version 2: struct bpf_insn[], 8 bytes each.
 * Its context is struct bpf_cgroup_dev_ctx of linux/bpf.h: access in the upper and type in the lower half of the first word,
 * then
 * major, then minor. Returns 1 to allow.
 */
export function deviceProgram(policy: DevicePolicy): Uint8Array {
  const blocks = policy.exceptions.map((exception) => exceptionCode(exception, policy.allowsByDefault));
  return encode([...readContext, ...blocks.flat(), ...leave(policy.allowsByDefault)]);
}

interface BpfInsn {
  readonly code: number;
  readonly to?: number;
  readonly from?: number;
  readonly offset?: number;
  readonly value?: number;
}

const LOAD_WORD = 0x61;
const COPY = 0xbf;
const SET = 0xb7;
const AND = 0x54; // 32 bit, clears the upper half
const SHIFT_RIGHT = 0x74;
const IF_NOT_EQUAL = 0x55;
const IF_EQUAL = 0x15;
const EXIT = 0x95;

const TYPE = 2;
const ACCESS = 3;
const MAJOR = 4;
const MINOR = 5;
const scratch = 0;

const readContext: readonly BpfInsn[] = [
  { code: LOAD_WORD, to: TYPE, from: 1, offset: 0 },
  { code: COPY, to: ACCESS, from: TYPE },
  { code: AND, to: TYPE, value: 0xffff },
  { code: SHIFT_RIGHT, to: ACCESS, value: 16 },
  { code: LOAD_WORD, to: MAJOR, from: 1, offset: 4 },
  { code: LOAD_WORD, to: MINOR, from: 1, offset: 8 },
];

const deviceType = { b: 1, c: 2 } as const;
const accessBit: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };

/**
 * An exception that allows must cover all that is asked for; one that denies needs only to touch it. Each test that fails jumps
 * behind the block, so offsets are counted from its end.
 */
function exceptionCode(exception: DeviceException, allowsByDefault: boolean): readonly BpfInsn[] {
  const bits = [...exception.access].reduce((sum, letter) => sum | (accessBit[letter] ?? 0), 0);
  const copy: BpfInsn = { code: COPY, to: scratch, from: ACCESS };
  const accessTest: readonly BpfInsn[] = allowsByDefault
    ? [copy, { code: AND, to: scratch, value: bits }, { code: IF_EQUAL, to: scratch, value: 0 }]
    : [copy, { code: AND, to: scratch, value: 7 & ~bits }, { code: IF_NOT_EQUAL, to: scratch, value: 0 }];
  const block: readonly BpfInsn[] = [
    { code: IF_NOT_EQUAL, to: TYPE, value: deviceType[exception.type] },
    ...(exception.major === undefined ? [] : [{ code: IF_NOT_EQUAL, to: MAJOR, value: exception.major }]),
    ...(exception.minor === undefined ? [] : [{ code: IF_NOT_EQUAL, to: MINOR, value: exception.minor }]),
    ...accessTest,
    ...leave(!allowsByDefault),
  ];
  return block.map((one, index) => (isJump(one) ? { ...one, offset: block.length - index - 1 } : one));
}

function isJump(instruction: BpfInsn): boolean {
  return instruction.code === IF_EQUAL || instruction.code === IF_NOT_EQUAL;
}

function leave(allowed: boolean): readonly BpfInsn[] {
  return [{ code: SET, to: 0, value: allowed ? 1 : 0 }, { code: EXIT }];
}

function encode(instructions: readonly BpfInsn[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  instructions.forEach(({ code, to = 0, from = 0, offset = 0, value = 0 }, index) => {
    view.setUint8(index * 8, code);
    view.setUint8(index * 8 + 1, (from << 4) | to);
    view.setInt16(index * 8 + 2, offset, true);
    view.setInt32(index * 8 + 4, value, true);
  });
  return bytes;
}
