import { TscomposeError } from '../errors.ts';

/** Numbers of signal(7) on x86_64 and aarch64, which agree. */
export const signalNumbers: ReadonlyMap<string, number> = new Map(
  (
    'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ ' +
    'VTALRM PROF WINCH IO PWR SYS'
  )
    .split(' ')
    .map((name, index) => [name, index + 1]),
);

const aliases: ReadonlyMap<string, string> = new Map([
  ['IOT', 'ABRT'],
  ['CLD', 'CHLD'],
  ['POLL', 'IO'],
]);

/** The C library keeps the first two of the kernel's 33 … 64 for itself, so SIGRTMIN is 34. */
const realTimeFirst = 34;
const realTimeLast = 64;

/** "SIGTERM", "term", "15", "SIGRTMIN+3" → number. @throws VALUE_INVALID */
export function signalNumber(text: string): number {
  const number = numericSignal(text) ?? namedSignal(text.toUpperCase().replace(/^SIG/, ''));
  if (number !== undefined) return number;
  throw new TscomposeError('VALUE_INVALID', `"${text}" is no signal`, {
    hint: 'use a name such as SIGTERM or a number from 1 to 64',
  });
}

/** 15 → "SIGTERM", 37 → "SIGRTMIN+3"; a number that is no signal is returned as text. */
export function signalName(number: number): string {
  for (const [name, value] of signalNumbers) if (value === number) return `SIG${name}`;
  if (number >= realTimeFirst && number <= realTimeLast)
    return number === realTimeFirst ? 'SIGRTMIN' : `SIGRTMIN+${number - realTimeFirst}`;
  return String(number);
}

function numericSignal(text: string): number | undefined {
  if (!/^\d{1,2}$/.test(text)) return undefined;
  const number = Number(text);
  return number >= 1 && number <= realTimeLast ? number : undefined;
}

function namedSignal(name: string): number | undefined {
  return signalNumbers.get(aliases.get(name) ?? name) ?? realTimeSignal(name);
}

function realTimeSignal(name: string): number | undefined {
  const match = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (!match) return undefined;
  const distance = Number(match[3] ?? 0) * (match[2] === '-' ? -1 : 1);
  const number = (match[1] === 'MIN' ? realTimeFirst : realTimeLast) + distance;
  return number >= realTimeFirst && number <= realTimeLast ? number : undefined;
}
