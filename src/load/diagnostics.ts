import type { ErrorCode, Position } from '../errors.ts';
import { type Mark, positionOf, sourceLineOf } from './source.ts';

/** One fault, or one warning, of the files a project was read from. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly code: ErrorCode;
  /** One line. */
  readonly message: string;
  /** Absent only when no file is at fault, e.g. because none was found. */
  readonly at?: Position;
  /** The line `at` points to. */
  readonly sourceLine?: string;
  /** What the user can do. */
  readonly hint?: string;
}

/** Gathers everything found during one load. */
export interface Diagnostics {
  error(code: ErrorCode, message: string, at?: Mark, hint?: string): void;
  warning(code: ErrorCode, message: string, at?: Mark, hint?: string): void;
  hasErrors(): boolean;
  /** Without repetitions; by file in the order of reading, then by place. */
  sorted(): Diagnostic[];
}

export function gatherDiagnostics(): Diagnostics {
  const found = new Map<string, Diagnostic>();
  const add = (severity: Diagnostic['severity'], code: ErrorCode, message: string, at?: Mark, hint?: string) => {
    const diagnostic: Diagnostic = {
      severity,
      code,
      message: oneLine(message),
      ...(at && { at: positionOf(at), sourceLine: sourceLineOf(at) }),
      ...(hint !== undefined && { hint: oneLine(hint) }),
    };
    const place = diagnostic.at ? `${diagnostic.at.file}:${diagnostic.at.line}:${diagnostic.at.column}` : '';
    found.set(`${severity} ${code} ${place} ${diagnostic.message}`, diagnostic);
  };
  return {
    error: (...rest) => add('error', ...rest),
    warning: (...rest) => add('warning', ...rest),
    hasErrors: () => [...found.values()].some((diagnostic) => diagnostic.severity === 'error'),
    sorted: () => inOrder([...found.values()]),
  };
}

function inOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const files = [...new Set(diagnostics.map((diagnostic) => diagnostic.at?.file ?? ''))];
  const rank = (diagnostic: Diagnostic) => [
    files.indexOf(diagnostic.at?.file ?? ''),
    diagnostic.at?.line ?? 0,
    diagnostic.at?.column ?? 0,
  ];
  return [...diagnostics].sort((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    const differing = left.findIndex((value, index) => value !== right[index]);
    return differing === -1 ? 0 : (left[differing] as number) - (right[differing] as number);
  });
}

/** Text out of a file may hold line breaks and control characters; a message is one clean line. */
function oneLine(text: string): string {
  const line = text.replace(/[\s\u0000-\u001f\u007f]+/g, ' ').trim();
  return line.length > 400 ? `${line.slice(0, 399)}…` : line;
}

/** "did you mean …?" for the nearest known word, or undefined when none is near. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > 60) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Damerau–Levenshtein with neighbouring swaps, over short words. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1));
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        cost = Math.min(cost, at(beforeLast, column - 2) + 1);
      current.push(cost);
    }
    [beforeLast, last] = [last, current];
  }
  return at(last, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
