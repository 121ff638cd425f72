import { TscomposeError } from '../errors.ts';
import { parseDuration } from '../model/units.ts';

/** Lines of the shim's log, "TIME STREAM TAG TEXT" as Kubernetes' CRI has them. Pure. */

export interface LogLine {
  /** RFC 3339 in UTC with nine digits of a second, so that text order is time order. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** Without the newline. */
  readonly text: string;
}

/** One line of the file; `partial`: the program's line goes on in the next one of the same stream. */
export interface LogPiece extends LogLine {
  readonly partial: boolean;
}

/** undefined for what is no such line: damage is passed over, never fatal. */
export function parseLogPiece(line: string): LogPiece | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP])(?: (.*))?$/s.exec(line);
  if (!match) return undefined;
  return { time: match[1] as string, stream: match[2] as LogLine['stream'], partial: match[3] === 'P', text: match[4] ?? '' };
}

/** Puts the pieces of long lines together again, each stream for itself. */
export interface LineJoiner {
  /** The line that this piece ends, if it does; its time is that of its first piece. */
  add(piece: LogPiece): LogLine | undefined;
  /** Lines that never ended, at the end of everything. */
  rest(): readonly LogLine[];
}

export function lineJoiner(): LineJoiner {
  const open = new Map<LogLine['stream'], { readonly time: string; readonly texts: string[] }>();
  return {
    add(piece) {
      const begun = open.get(piece.stream) ?? { time: piece.time, texts: [] };
      begun.texts.push(piece.text);
      if (piece.partial) {
        open.set(piece.stream, begun);
        return undefined;
      }
      open.delete(piece.stream);
      return { time: begun.time, stream: piece.stream, text: begun.texts.join('') };
    },
    rest() {
      const lines = [...open].map(([stream, { time, texts }]) => ({ time, stream, text: texts.join('') }));
      open.clear();
      return lines;
    },
  };
}

/**
 * A moment as `--since` and `--until` give it ("10m" ago, "2026-11-22", "2026-11-22T05:56:48.5Z", seconds since 1970) in the
 * form of
 * LogLine.time. @throws USAGE when it is none of them
 */
export function parseLogTime(text: string, nowMs: number): string {
  const ago = parseDuration(text);
  if (ago !== undefined && !/^\d+$/.test(text)) return formatMoment(BigInt(Math.round(nowMs - ago)) * 1_000_000n);
  const moment = unixMoment(text) ?? calendarMoment(text);
  if (moment !== undefined) return formatMoment(moment);
  throw new TscomposeError('USAGE', `"${text}" is no time`, {
    hint: 'use a duration like 10m, or a time like 2026-11-22T05:56:48Z',
  });
}

/** Seconds, with a fraction, → nanoseconds. */
function unixMoment(text: string): bigint | undefined {
  const match = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text);
  return match ? BigInt(match[1] as string) * 1_000_000_000n + BigInt((match[2] ?? '').padEnd(9, '0')) : undefined;
}

/**
 * Date.parse knows milliseconds, so the fraction is taken apart first. Without a zone local time is meant, as docker takes it.
 */
function calendarMoment(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  if (!match) return undefined;
  const milliseconds = Date.parse(`${match[1]}T${match[2] ?? '00:00:00'}${match[4] ?? ''}`);
  return Number.isNaN(milliseconds) ? undefined : BigInt(milliseconds) * 1_000_000n + BigInt((match[3] ?? '').padEnd(9, '0'));
}

function formatMoment(nanoseconds: bigint): string {
  const inRange = nanoseconds < 0n ? 0n : nanoseconds;
  const seconds = new Date(Number(inRange / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(inRange % 1_000_000_000n).padStart(9, '0')}Z`;
}
