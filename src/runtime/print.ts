import { type Op, OpFlag, type ProgramOp } from '../core/protocol.ts';

/**
 * A launch program as text, one operation a line, stable and meant for eyes and golden files. Contents of files are not shown.
 */
export function printProgram(ops: readonly ProgramOp[]): string {
  return ops.map((op, index) => `${String(index).padStart(3)} ${printOp(op)}\n`).join('');
}

function printOp(op: ProgramOp): string {
  const flags = Object.entries(OpFlag).filter(([, bit]) => ((op.flags ?? 0) & bit) !== 0);
  const words = [...flags.map(([name]) => name)];
  const references = (['a', 'b', 'c', 'd'] as const).flatMap((name) => {
    const value = op[name];
    return value === undefined ? [] : [`${name}=${printReference(op.op, name, value)}`];
  });
  const numbers = (['x', 'y', 'z'] as const).flatMap((name) => {
    const value = op[name];
    return value === undefined || (value === 0 && name !== 'x') ? [] : [`${name}=${printNumber(op.op, name, value)}`];
  });
  return [op.op, ...references, ...numbers, ...(words.length === 0 ? [] : [`[${words.join(' ')}]`])].join(' ');
}

type Field = `${keyof typeof Op}.${'a' | 'b' | 'x' | 'y' | 'z'}`;

const octalFields: readonly Field[] = ['writeFile.x', 'mkdir.x', 'mknod.x', 'umask.x'];
const decimalFields: readonly Field[] = [
  'writeFile.y',
  'writeFile.z',
  'mkdir.y',
  'mkdir.z',
  'user.x',
  'user.y',
  'prlimit.x',
  'prlimit.y',
  'prlimit.z',
  'join.x',
  'join.y',
  'console.x',
  'console.y',
  'cgroupCreate.x',
];
const blockFields: readonly Field[] = ['exec.a', 'exec.b'];

function printReference(op: ProgramOp['op'], name: string, value: string | Uint8Array): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (blockFields.includes(`${op}.${name}` as Field)) return JSON.stringify(blockStrings(value));
  if (op === 'user') return JSON.stringify([...new Uint32Array(value.slice().buffer)]);
  return `<${value.length} bytes>`;
}

function blockStrings(bytes: Uint8Array): readonly string[] {
  return new TextDecoder().decode(bytes).split('\0').slice(0, -1);
}

function printNumber(op: ProgramOp['op'], name: string, value: number | bigint): string {
  const field = `${op}.${name}` as Field;
  if (op === 'mknod' && name !== 'x') return `${BigInt(value) >> 32n}:${BigInt(value) & 0xffff_ffffn}`;
  if (op === 'oomScore') return String(BigInt.asIntN(64, BigInt(value)));
  if (octalFields.includes(field)) return `0${value.toString(8)}`;
  if (decimalFields.includes(field)) return BigInt(value) === 0xffff_ffff_ffff_ffffn ? 'infinity' : String(value);
  return `0x${value.toString(16)}`;
}
