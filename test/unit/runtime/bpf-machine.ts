/** Small interpreters of the two kinds of BPF that src/runtime writes, to judge programs by what they answer. */

export interface SyscallData {
  readonly number: number;
  readonly architecture: number;
  readonly args: readonly bigint[];
}

export const auditX64 = 0xc000003e;
export const auditArm64 = 0xc00000b7;
export const auditI386 = 0x40000003;

/** Runs struct sock_filter[] on a struct seccomp_data as the kernel does; throws where the kernel would refuse the program. */
export function runSeccomp(program: Uint8Array, data: SyscallData): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const length = program.length / 8;
  let accumulator = 0;
  for (let at = 0; at < length; at++) {
    const code = view.getUint16(at * 8, true);
    const [jumpTrue, jumpFalse, k] = [view.getUint8(at * 8 + 2), view.getUint8(at * 8 + 3), view.getUint32(at * 8 + 4, true)];
    if (code === 0x06) return k;
    if (code === 0x20) accumulator = loadWord(data, k);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x05) at += k;
    else at += compare(code, accumulator, k) ? jumpTrue : jumpFalse;
  }
  throw new Error('ran off the end');
}

function compare(code: number, accumulator: number, k: number): boolean {
  if (code === 0x15) return accumulator === k;
  if (code === 0x25) return accumulator > k;
  if (code === 0x35) return accumulator >= k;
  throw new Error(`instruction ${code.toString(16)}`);
}

function loadWord(data: SyscallData, offset: number): number {
  if (offset === 0) return data.number >>> 0;
  if (offset === 4) return data.architecture >>> 0;
  const value = data.args[(offset - 16) >> 3];
  if (value === undefined || offset % 4 !== 0) throw new Error(`load at ${offset}`);
  return Number((offset & 4 ? value >> 32n : value) & 0xffff_ffffn);
}

export interface DeviceAccess {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  /** Of "rwm". */
  readonly access: string;
}

/**
 * Runs struct bpf_insn[] of a BPF_PROG_TYPE_CGROUP_DEVICE program; what is read before it was written throws, as the verifier
 * would.
 */
export function runDeviceProgram(program: Uint8Array, request: DeviceAccess): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const bits = [...request.access].reduce((sum, letter) => sum | ({ m: 1, r: 2, w: 4 }[letter] ?? 0), 0);
  const context = [(bits << 16) | (request.type === 'b' ? 1 : 2), request.major, request.minor];
  const registers: (number | undefined)[] = [undefined, 0];
  const read = (register: number): number => {
    const value = registers[register];
    if (value === undefined) throw new Error(`r${register} was never written`);
    return value;
  };
  for (let at = 0; at < program.length / 8; at++) {
    const code = view.getUint8(at * 8);
    const [to, from] = [view.getUint8(at * 8 + 1) & 15, view.getUint8(at * 8 + 1) >> 4];
    const [offset, value] = [view.getInt16(at * 8 + 2, true), view.getInt32(at * 8 + 4, true)];
    if (code === 0x95) return read(0);
    const jump = jumps[code];
    const write = writes[code];
    if (jump) at += jump(read(to), value) ? offset : 0;
    else if (write)
      registers[to] = write({
        to: () => read(to),
        from: () => read(from),
        value,
        load: () => context[(read(from) + offset) / 4],
      });
    else throw new Error(`instruction ${code.toString(16)}`);
  }
  throw new Error('ran off the end');
}

const jumps: Readonly<Record<number, (left: number, right: number) => boolean>> = {
  85: (left, right) => left !== right,
  21: (left, right) => left === right,
};

interface Operands {
  readonly to: () => number;
  readonly from: () => number;
  readonly load: () => number | undefined;
  readonly value: number;
}

const writes: Readonly<Record<number, (operands: Operands) => number | undefined>> = {
  97: ({ load }) => load(),
  191: ({ from }) => from(),
  183: ({ value }) => value,
  84: ({ to, value }) => to() & value,
  116: ({ to, value }) => to() >>> value,
};
