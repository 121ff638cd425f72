import { TscomposeError } from '../errors.ts';
import type { OciSeccomp, OciSeccompAction, OciSeccompArgument, OciSeccompRule } from './spec.ts';
import { type Architecture, syscallTable } from './syscalls.ts';

/** One classic BPF instruction: struct sock_filter of linux/filter.h. */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/**
 * A profile as the kernel wants it: struct sock_filter[] for seccomp(2).
 *
 * The system call's number is looked for in a balanced tree over ranges of numbers with one outcome. A call's own rules are
 * tried
 * in the order of the profile, those with conditions before one without; several conditions on one argument in a rule are
 * alternatives (as runc takes them). Numbers above the newest one that the profile names answer ENOSYS, so that a C library
 * falls
 * back, unless the profile allows by default. Calls of another instruction set (32-bit programs, x32) answer ENOSYS always:
 * their numbers mean other calls, and a filter that knows one table must not let a second one in. Names the processor does not
 * have are passed over, as libseccomp does. Results are kept by the profile's content.
 * @throws VALUE_INVALID for an action, operator or argument that does not exist
 */
export function compileSeccomp(profile: OciSeccomp, architecture: Architecture): Uint8Array {
  const known = compiledBefore.get(profile);
  if (known?.architecture === architecture) return known.bytes;
  const bytes = compileByContent(profile, architecture);
  compiledBefore.set(profile, { architecture, bytes });
  return bytes;
}

/** The default profile is one object for all who have the same capabilities: its text need not be made again. */
const compiledBefore = new WeakMap<OciSeccomp, { readonly architecture: Architecture; readonly bytes: Uint8Array }>();

function compileByContent(profile: OciSeccomp, architecture: Architecture): Uint8Array {
  const text = JSON.stringify(profile, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
  const key = `${architecture} ${text}`;
  const cached = compiled.get(key);
  if (cached) return cached;
  const bytes = encode(seccompInstructions(profile, architecture));
  if (compiled.size >= cachedProfiles) compiled.clear();
  compiled.set(key, bytes);
  return bytes;
}

const compiled = new Map<string, Uint8Array>();
const cachedProfiles = 64;

/** SECCOMP_FILTER_FLAG_*: without a word from the profile speculation stays as it is, as runc decides since 1.2. */
export function seccompFlags(profile: OciSeccomp): number {
  return (profile.flags ?? ['SECCOMP_FILTER_FLAG_SPEC_ALLOW']).reduce((bits, name) => bits | flagBit(name), 0);
}

/** The instructions before encoding, for tests and for printing. */
export function seccompInstructions(profile: OciSeccomp, architecture: Architecture): readonly BpfInstruction[] {
  const segments = segmentsOf(profile, architecture);
  return checkedLength([...preamble(architecture), ...tree(segments)]);
}

const ENOSYS = 38;
const answerNoSuchCall = 0x0005_0000 | ENOSYS;

/** AUDIT_ARCH_*: linux/audit.h. */
const auditArchitecture: Readonly<Record<Architecture, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };
const x32Bit = 0x40000000;

/** Offsets in struct seccomp_data. */
const offsetNumber = 0;
const offsetArchitecture = 4;
const offsetArguments = 16;

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP = 0x05; // BPF_JMP | BPF_JA
const EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const GREATER = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const AT_LEAST = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

function preamble(architecture: Architecture): BpfInstruction[] {
  const check = [
    load(offsetArchitecture),
    jump(EQUAL, auditArchitecture[architecture], 1, 0),
    answer(answerNoSuchCall),
    load(offsetNumber),
  ];
  if (architecture === 'x64') check.push(jump(AT_LEAST, x32Bit, 0, 1), answer(answerNoSuchCall));
  return check;
}

/** Numbers from `first` up to the next segment's share this code; it leaves with a RETURN in every case. */
interface Segment {
  readonly first: number;
  readonly code: readonly BpfInstruction[];
}

function segmentsOf(profile: OciSeccomp, architecture: Architecture): readonly Segment[] {
  const fallback = answer(actionValue(profile.defaultAction, profile.defaultErrnoRet));
  const rules = rulesByNumber(profile.syscalls, architecture);
  const segments: Segment[] = [{ first: 0, code: [fallback] }];
  for (const [number, own] of [...rules].sort(([a], [b]) => a - b)) {
    segments.push({ first: number, code: ruleCode(own, fallback) }, { first: number + 1, code: [fallback] });
  }
  const newest = Math.max(-1, ...rules.keys());
  if (!allowsByDefault(profile)) segments.push({ first: newest + 1, code: [answer(answerNoSuchCall)] });
  return merged(segments);
}

function rulesByNumber(rules: readonly OciSeccompRule[], architecture: Architecture): Map<number, OciSeccompRule[]> {
  const { numbers } = syscallTable(architecture);
  const byNumber = new Map<number, OciSeccompRule[]>();
  for (const rule of rules) {
    for (const name of rule.names) {
      const number = numbers.get(name);
      if (number === undefined) continue;
      const list = byNumber.get(number);
      if (list) list.push(rule);
      else byNumber.set(number, [rule]);
    }
  }
  return byNumber;
}

function allowsByDefault(profile: OciSeccomp): boolean {
  return ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'].includes(profile.defaultAction);
}

/** Of segments with one start the last counts; neighbours with equal code become one. */
function merged(segments: readonly Segment[]): readonly Segment[] {
  const result: Segment[] = [];
  for (const segment of segments) {
    if (result.at(-1)?.first === segment.first) result.pop();
    const before = result.at(-1);
    if (!before || !sameCode(before.code, segment.code)) result.push(segment);
  }
  return result;
}

function sameCode(one: readonly BpfInstruction[], other: readonly BpfInstruction[]): boolean {
  return (
    one.length === other.length && one.every((instruction, index) => sameInstruction(instruction, other[index] as BpfInstruction))
  );
}

function sameInstruction(one: BpfInstruction, other: BpfInstruction): boolean {
  return one.code === other.code && one.k === other.k && one.jt === other.jt && one.jf === other.jf;
}

/**
 * A conditional jump reaches 255 instructions; where the left half is longer, an unconditional one, which reaches all, goes
 * between.
 */
function tree(segments: readonly Segment[]): readonly BpfInstruction[] {
  if (segments.length === 1) return (segments[0] as Segment).code;
  const middle = segments.length >> 1;
  const left = tree(segments.slice(0, middle));
  const right = tree(segments.slice(middle));
  const first = (segments[middle] as Segment).first;
  if (left.length <= 255) return [jump(AT_LEAST, first, left.length, 0), ...left, ...right];
  return [jump(AT_LEAST, first, 0, 1), { code: JUMP, jt: 0, jf: 0, k: left.length }, ...left, ...right];
}

function ruleCode(rules: readonly OciSeccompRule[], fallback: BpfInstruction): readonly BpfInstruction[] {
  const unconditional = rules.find((rule) => (rule.args ?? []).length === 0);
  const last = unconditional ? answer(actionValue(unconditional.action, unconditional.errnoRet)) : fallback;
  const conditional = rules.filter((rule) => (rule.args ?? []).length > 0);
  return [...conditional.flatMap(alternativesCode), last];
}

function alternativesCode(rule: OciSeccompRule): readonly BpfInstruction[] {
  const conditions = rule.args ?? [];
  const indexes = new Set(conditions.map((condition) => condition.index));
  const alternatives = indexes.size < conditions.length ? conditions.map((condition) => [condition]) : [conditions];
  const outcome = answer(actionValue(rule.action, rule.errnoRet));
  return alternatives.flatMap((alternative) => conjunctionCode(alternative, outcome));
}

/** All conditions, then the outcome; the first that does not hold jumps behind the outcome. */
function conjunctionCode(conditions: readonly OciSeccompArgument[], outcome: BpfInstruction): readonly BpfInstruction[] {
  let code: readonly BpfInstruction[] = [outcome];
  for (const condition of conditions.map(conditionCode).reverse()) code = [...resolve(condition, code.length), ...code];
  return code;
}

/** Where a jump within a condition leads: on to the next instruction, or to one of its two ends. */
type Target = 'next' | 'holds' | 'fails';
type Draft = { readonly code: number; readonly k: number; readonly yes?: Target; readonly no?: Target };

function resolve(drafts: readonly Draft[], behind: number): readonly BpfInstruction[] {
  const distance = (index: number, target: Target = 'next'): number => {
    if (target === 'next') return 0;
    const toEnd = drafts.length - index - 1;
    return target === 'holds' ? toEnd : toEnd + behind;
  };
  return drafts.map(({ code, k, yes, no }, index) => ({ code, k, jt: distance(index, yes), jf: distance(index, no) }));
}

/** 64-bit comparisons in two halves, high first. */
function conditionCode(condition: OciSeccompArgument): readonly Draft[] {
  const { index, op } = condition;
  if (!Number.isInteger(index) || index < 0 || index > 5) throw invalid(`argument index ${index} is not from 0 to 5`);
  const value = BigInt.asUintN(64, BigInt(condition.value));
  const low: Draft = { code: LOAD, k: offsetArguments + 8 * index };
  const high: Draft = { code: LOAD, k: offsetArguments + 8 * index + 4 };
  const [highValue, lowValue] = halves(value);
  const test = (code: number, k: number, yes: Target, no: Target): Draft => ({ code, k, yes, no });
  switch (op) {
    case 'SCMP_CMP_EQ':
      return [high, test(EQUAL, highValue, 'next', 'fails'), low, test(EQUAL, lowValue, 'holds', 'fails')];
    case 'SCMP_CMP_NE':
      return [high, test(EQUAL, highValue, 'next', 'holds'), low, test(EQUAL, lowValue, 'fails', 'holds')];
    case 'SCMP_CMP_GT':
    case 'SCMP_CMP_GE':
      return [
        high,
        test(GREATER, highValue, 'holds', 'next'),
        test(EQUAL, highValue, 'next', 'fails'),
        low,
        test(op === 'SCMP_CMP_GT' ? GREATER : AT_LEAST, lowValue, 'holds', 'fails'),
      ];
    case 'SCMP_CMP_LE':
    case 'SCMP_CMP_LT':
      return [
        high,
        test(GREATER, highValue, 'fails', 'next'),
        test(EQUAL, highValue, 'next', 'holds'),
        low,
        test(op === 'SCMP_CMP_LE' ? GREATER : AT_LEAST, lowValue, 'fails', 'holds'),
      ];
    case 'SCMP_CMP_MASKED_EQ':
      return maskedCode(high, low, value, BigInt.asUintN(64, BigInt(condition.valueTwo ?? 0)));
    default:
      throw invalid(`operator "${String(op)}" does not exist`);
  }
}

function maskedCode(high: Draft, low: Draft, mask: bigint, wanted: bigint): readonly Draft[] {
  const [highMask, lowMask] = halves(mask);
  const [highWanted, lowWanted] = halves(wanted);
  return [
    high,
    { code: AND, k: highMask },
    { code: EQUAL, k: highWanted, yes: 'next', no: 'fails' },
    low,
    { code: AND, k: lowMask },
    { code: EQUAL, k: lowWanted, yes: 'holds', no: 'fails' },
  ];
}

function halves(value: bigint): readonly [high: number, low: number] {
  return [Number(value >> 32n), Number(value & 0xffff_ffffn)];
}

/** SECCOMP_RET_*: seccomp(2). */
function actionValue(action: OciSeccompAction, errnoRet = 1): number {
  switch (action) {
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return 0;
    case 'SCMP_ACT_KILL_PROCESS':
      return 0x8000_0000;
    case 'SCMP_ACT_TRAP':
      return 0x0003_0000;
    case 'SCMP_ACT_ERRNO':
      return 0x0005_0000 | (errnoRet & 0xffff);
    case 'SCMP_ACT_TRACE':
      return 0x7ff0_0000 | (errnoRet & 0xffff);
    case 'SCMP_ACT_LOG':
      return 0x7ffc_0000;
    case 'SCMP_ACT_ALLOW':
      return 0x7fff_0000;
    default:
      throw invalid(`action "${String(action)}" does not exist`);
  }
}

/** A new process has one thread, so TSYNC has nothing to do. */
function flagBit(name: string): number {
  const bits: Readonly<Record<string, number>> = {
    SECCOMP_FILTER_FLAG_TSYNC: 0,
    SECCOMP_FILTER_FLAG_LOG: 2,
    SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  };
  const bit = bits[name];
  if (bit === undefined) throw invalid(`flag "${name}" is not supported`);
  return bit;
}

function load(k: number): BpfInstruction {
  return { code: LOAD, jt: 0, jf: 0, k };
}

function jump(code: number, k: number, jt: number, jf: number): BpfInstruction {
  return { code, jt, jf, k };
}

function answer(k: number): BpfInstruction {
  return { code: RETURN, jt: 0, jf: 0, k };
}

/** BPF_MAXINSNS */
function checkedLength(instructions: readonly BpfInstruction[]): readonly BpfInstruction[] {
  if (instructions.length > 4096)
    throw invalid(`the profile needs ${instructions.length} instructions where the kernel takes 4096`);
  return instructions;
}

function encode(instructions: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  instructions.forEach(({ code, jt, jf, k }, index) => {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, jt);
    view.setUint8(index * 8 + 3, jf);
    view.setUint32(index * 8 + 4, k, true);
  });
  return bytes;
}

function invalid(message: string): TscomposeError {
  return new TscomposeError('VALUE_INVALID', `seccomp profile: ${message}`);
}
