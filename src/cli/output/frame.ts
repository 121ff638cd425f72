/** The picture of a running plan: events in, lines out. Pure. */
import type { Event } from '../../events.ts';
import type { Paint } from './style.ts';
import { textWidth } from './table.ts';
import { makePlain } from './visible.ts';

export interface Row {
  /** "Container shop-api-1" */
  readonly label: string;
  readonly status: 'working' | 'done' | 'warning' | 'error';
  readonly text: string;
  readonly details: string;
  readonly startedAt: number;
  readonly endedAt: number | undefined;
}

export type Rows = ReadonlyMap<string, Row>;

type StepEvent = Extract<Event, { type: 'step' }>;

/** One row per resource: its steps follow one another there ("Creating", "Created", "Starting", "Started"). */
export function withStep(rows: Rows, event: StepEvent, now: number): Rows {
  const label = `${event.resource} ${makePlain(event.name)}`;
  const before = rows.get(label);
  const row: Row = {
    label,
    status: event.status,
    text: event.text,
    details: makePlain(event.details ?? ''),
    startedAt: before?.startedAt ?? now,
    endedAt: event.status === 'working' ? undefined : now,
  };
  return new Map(rows).set(label, row);
}

export interface FrameOptions {
  readonly command: string;
  readonly dryRun: boolean;
  readonly now: number;
  readonly columns: number;
  /** Most lines of rows; more are summed up. */
  readonly height: number;
  /** Which picture of the spinner. */
  readonly tick: number;
  readonly paint: Paint;
}

/** "[+] up 3/5" */
export function frameHeader(rows: Rows, { command, dryRun }: FrameOptions): string {
  const ended = [...rows.values()].filter((row) => row.endedAt !== undefined).length;
  return `${dryRun ? 'DRY-RUN MODE - ' : ''}[+] ${command} ${ended}/${rows.size}`;
}

/** " ✔ Container shop-api-1  Started      0.4s", the times at the right edge. */
export function frameLines(rows: Rows, options: FrameOptions): string[] {
  const shown = fitHeight([...rows.values()], options.height);
  const labelWidth = Math.max(0, ...shown.map((row) => textWidth(row.label)));
  const lines = shown.map((row) => rowLine(row, labelWidth, options));
  const hidden = rows.size - shown.length;
  return hidden > 0 ? [...lines, ` … and ${hidden} more`] : lines;
}

/** When not all fit, what still works or failed matters most; the order stays. */
function fitHeight(rows: readonly Row[], height: number): readonly Row[] {
  if (rows.length <= height) return rows;
  const important = rows.filter((row) => row.status !== 'done');
  const chosen = new Set(
    [...important, ...rows.filter((row) => row.status === 'done').reverse()].slice(0, Math.max(1, height - 1)),
  );
  return rows.filter((row) => chosen.has(row));
}

const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const marks = { done: ['✔', 'green'], warning: ['!', 'yellow'], error: ['✘', 'red'] } as const;
const textColours = { working: 'blue', done: 'green', warning: 'yellow', error: 'red' } as const;

function rowLine(row: Row, labelWidth: number, { now, columns, tick, paint }: FrameOptions): string {
  const [mark, colour] =
    row.status === 'working' ? [spinner[tick % spinner.length] as string, 'blue' as const] : marks[row.status];
  const time = `${(((row.endedAt ?? now) - row.startedAt) / 1000).toFixed(1)}s`;
  const head = ` ${mark} ${row.label.padEnd(labelWidth)}  `;
  const words = row.details === '' ? row.text : `${row.text} ${row.details}`;
  const room = Math.max(0, columns - textWidth(head) - textWidth(time) - 1);
  const cut = cutText(words, room);
  const gap = ' '.repeat(Math.max(1, columns - textWidth(head) - textWidth(cut) - textWidth(time)));
  return ` ${paint(colour, mark)} ${row.label.padEnd(labelWidth)}  ${paint(textColours[row.status], cut)}${gap}${time}`;
}

function cutText(text: string, width: number): string {
  const characters = [...text];
  if (characters.length <= width) return text;
  return width < 1 ? '' : `${characters.slice(0, width - 1).join('')}…`;
}
