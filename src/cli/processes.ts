/** Files of /proc → a line of `top`. Pure; formats in proc(5). */

export interface ProcessTexts {
  readonly stat: string;
  readonly status: string;
  readonly cmdline: string | undefined;
}

export interface ProcessClock {
  /** `btime` of /proc/stat. */
  readonly bootSeconds: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** USER_HZ, which Linux fixes at 100 for what it shows in /proc (time(7)). */
const TICKS = 100;
const DAY_MS = 86_400_000;

/** UID PID PPID C STIME TTY TIME CMD, as `ps -ef` has them. */
export function processRow({ stat, status, cmdline }: ProcessTexts, { bootSeconds, now }: ProcessClock): string[] {
  const { pid, name, fields } = parseStat(stat);
  const usedSeconds = (numberAt(fields, 14) + numberAt(fields, 15)) / TICKS;
  const startedAt = (bootSeconds + numberAt(fields, 22) / TICKS) * 1000;
  const ageSeconds = Math.max(1, (now - startedAt) / 1000);
  return [
    userName(status),
    String(pid),
    String(numberAt(fields, 4)),
    String(Math.min(99, Math.trunc((usedSeconds * 100) / ageSeconds))),
    startWords(startedAt, now),
    terminalName(numberAt(fields, 7)),
    cpuTime(usedSeconds),
    commandLine(cmdline, name),
  ];
}

/** Dead, and only waiting to be collected. */
export function isZombie({ stat }: ProcessTexts): boolean {
  return parseStat(stat).fields[0] === 'Z';
}

export function bootTime(stat: string): number {
  return Number(/^btime (\d+)$/m.exec(stat)?.[1] ?? 0);
}

/** The name is in parentheses and may itself hold parentheses and blanks: the last one counts. */
function parseStat(stat: string): { pid: number; name: string; fields: readonly string[] } {
  const open = stat.indexOf('(');
  const close = stat.lastIndexOf(')');
  return {
    pid: Number.parseInt(stat, 10),
    name: stat.slice(open + 1, close),
    fields: stat
      .slice(close + 2)
      .trimEnd()
      .split(' '),
  };
}

/** Fields are numbered as in proc(5); the first after the name is the third. */
function numberAt(fields: readonly string[], number: number): number {
  return Number(fields[number - 3] ?? 0);
}

function userName(status: string): string {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1] ?? '?';
  return uid === '0' ? 'root' : uid;
}

function startWords(startedAt: number, now: number): string {
  const date = new Date(startedAt);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (now - startedAt < DAY_MS) return `${two(date.getHours())}:${two(date.getMinutes())}`;
  return `${date.toLocaleString('en', { month: 'short' })}${two(date.getDate())}`;
}

/** Majors 136 to 143 are the pseudo terminals, 256 to a major (Documentation/admin-guide/devices.txt). */
function terminalName(device: number): string {
  if (device === 0) return '?';
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  return major >= 136 && major <= 143 ? `pts/${minor + (major - 136) * 256}` : `${major}:${minor}`;
}

function cpuTime(seconds: number): string {
  const whole = Math.trunc(seconds);
  return [Math.trunc(whole / 3600), Math.trunc(whole / 60) % 60, whole % 60]
    .map((value) => String(value).padStart(2, '0'))
    .join(':');
}

function commandLine(cmdline: string | undefined, name: string): string {
  const words = (cmdline ?? '').replace(/\0+$/, '').replaceAll('\0', ' ');
  return words === '' ? `[${name}]` : words;
}
