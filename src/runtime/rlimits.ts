import { TscomposeError } from '../errors.ts';
import type { Ulimit } from '../model/project.ts';
import type { OciRlimit } from './spec.ts';

/** RLIMIT_* without the prefix, by number: asm-generic/resource.h. */
const names = 'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'.split(' ');

/** RLIM_INFINITY as prlimit64(2) has it. */
export const unlimited = 0xffff_ffff_ffff_ffffn;

/** "nofile" → "RLIMIT_NOFILE". @throws VALUE_INVALID for an unknown name, a negative value, or soft above hard */
export function renderRlimit(ulimit: Ulimit): OciRlimit {
  const type = `RLIMIT_${ulimit.name.toUpperCase()}`;
  rlimitNumber(type);
  const [soft, hard] = [limitValue(ulimit.soft, ulimit.name), limitValue(ulimit.hard, ulimit.name)];
  if (soft > hard) {
    throw new TscomposeError(
      'VALUE_INVALID',
      `ulimit ${ulimit.name}: soft limit ${ulimit.soft} is above the hard limit ${ulimit.hard}`,
    );
  }
  return { type, soft: Number(soft), hard: Number(hard) };
}

/** "RLIMIT_NOFILE" → 7. @throws VALUE_INVALID */
export function rlimitNumber(type: string): number {
  const number = names.indexOf(type.replace(/^RLIMIT_/, ''));
  if (number >= 0) return number;
  throw new TscomposeError('VALUE_INVALID', `"${type.replace(/^RLIMIT_/, '').toLowerCase()}" is no ulimit`, {
    hint: `known are ${names.map((name) => name.toLowerCase()).join(', ')}`,
  });
}

/** Bits for prlimit64(2) from a number of config.json, where infinity is 2^64-1 (which JSON rounds to 2^64) or -1. */
export function rlimitBits(value: number): bigint {
  if (value < 0 || value >= 2 ** 64) return unlimited;
  return BigInt(Math.trunc(value));
}

function limitValue(value: number, name: string): bigint {
  if (value === -1) return unlimited;
  if (Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw new TscomposeError('VALUE_INVALID', `ulimit ${name}: ${value} is no limit`, {
    hint: 'use a number from 0, or -1 for no limit',
  });
}
