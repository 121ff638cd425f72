/** Errors and warnings as people read them: place, code, message, the offending line, what to do. Pure. */
import { isAbsolute, relative } from 'node:path';
import type { Position } from '../../errors.ts';
import { TscomposeError } from '../../errors.ts';
import type { Colour, Paint } from './style.ts';
import { makePlain } from './visible.ts';

/** One finding, in the form that the loader's diagnostics and every TscomposeError share. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly code: string;
  readonly message: string;
  readonly at?: Position | undefined;
  readonly sourceLine?: string | undefined;
  readonly hint?: string | undefined;
}

export interface FindingContext {
  readonly paint: Paint;
  /** Paths below it are shown relative to it. */
  readonly cwd: string;
}

/**
 * compose.yaml:12:16: error PORT_TAKEN: host port 8080 is taken
 *    12 |       - "8080:80"
 *       |          ^^^^
 * hint: …
 */
export function formatFinding(finding: Finding, context: FindingContext): string {
  const lines = [headline(finding, context), ...codeFrame(finding, context)];
  if (finding.hint) lines.push(`${context.paint('cyan', 'hint:')} ${makePlain(finding.hint)}`);
  return `${lines.join('\n')}\n`;
}

/** What an error tells; undefined when it is no TscomposeError, that is: a bug. */
export function findingOf(error: unknown): Finding | undefined {
  if (!(error instanceof TscomposeError)) return undefined;
  const { at, sourceLine, hint } = error.details;
  return { severity: 'error', code: error.code, message: error.message, at, sourceLine, hint };
}

/** The text for anything thrown. A bug shows its stack only when asked for. */
export function formatError(error: unknown, context: FindingContext, debug: boolean): string {
  const finding = findingOf(error);
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (finding) return formatFinding(finding, context) + (debug ? `${stack}\n` : '');
  if (debug) return `${stack}\n`;
  const message = error instanceof Error ? error.message : String(error);
  return `${context.paint('red', 'internal error:')} ${makePlain(message)}\n${context.paint('cyan', 'hint:')} this is a bug; run it again with TSCOMPOSE_DEBUG=1 to see where\n`;
}

const severityColour: Readonly<Record<Finding['severity'], Colour>> = { error: 'red', warning: 'yellow' };

function headline({ severity, code, message, at }: Finding, { paint, cwd }: FindingContext): string {
  const place = at ? `${paint('bold', `${shortPath(at.file, cwd)}:${at.line}:${at.column}:`)} ` : '';
  return `${place}${paint(severityColour[severity], `${severity} ${code}:`)} ${messageLines(message)}`;
}

/** Messages of ours may have several lines; each is made harmless by itself. */
function messageLines(message: string): string {
  return message.split('\n').map(makePlain).join('\n');
}

function codeFrame({ at, sourceLine, severity }: Finding, { paint }: FindingContext): string[] {
  if (!at || sourceLine === undefined) return [];
  const gutter = Math.max(5, String(at.line).length + 3);
  const { text, column } = cutLine(sourceLine, at.column);
  const carets = '^'.repeat(Math.max(1, Math.min(at.length ?? 1, text.length - column + 1)));
  const indent = text.slice(0, column - 1).replace(/[^\t]/g, ' ');
  return [
    `${String(at.line).padStart(gutter)} | ${makePlain(text)}`,
    `${' '.repeat(gutter)} | ${indent}${paint(severityColour[severity], carets)}`,
  ];
}

const FRAME_WIDTH = 110;

/** A line as wide as a screen around the column that is meant. */
function cutLine(line: string, column: number): { text: string; column: number } {
  if (line.length <= FRAME_WIDTH) return { text: line, column };
  const start = Math.max(0, Math.min(column - 1 - 30, line.length - FRAME_WIDTH));
  const head = start > 0 ? '…' : '';
  const tail = start + FRAME_WIDTH < line.length ? '…' : '';
  return { text: `${head}${line.slice(start, start + FRAME_WIDTH)}${tail}`, column: column - start + head.length };
}

function shortPath(file: string, cwd: string): string {
  const path = isAbsolute(file) ? relative(cwd, file) : file;
  return makePlain(path === '' || path.startsWith('..') ? file : path);
}
