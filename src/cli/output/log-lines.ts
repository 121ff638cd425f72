/** Lines of several containers on one screen. Pure. */
import type { Colour, Paint } from './style.ts';
import { makeVisible, makePlain } from './visible.ts';

/** docker compose's rotation: the five that read well on dark and light grounds, then the same in bold. */
export const rotation: readonly Colour[] = [
  'cyan',
  'yellow',
  'green',
  'magenta',
  'blue',
  'boldCyan',
  'boldYellow',
  'boldGreen',
  'boldMagenta',
  'boldBlue',
];

export interface LogLayout {
  /** No "name | " in front. */
  readonly prefix: boolean;
  readonly timestamps: boolean;
  /** The output is a terminal: what could disturb it is made visible. To a file or pipe the text goes unchanged. */
  readonly isTerminal: boolean;
  readonly paint: Paint;
}

export interface PrefixedLine {
  /** "api-1" */
  readonly source: string;
  readonly time?: string;
  readonly text: string;
}

/** Formats lines; learns names as they come and gives each its colour and all the same width. */
export interface LogFormatter {
  /** Names known beforehand, so that the width is right from the first line. */
  expect(sources: readonly string[]): void;
  /** One log line → text with newline. A line that holds newlines or carriage returns cannot forge another's prefix. */
  format(line: PrefixedLine): string;
}

export function logFormatter(layout: LogLayout): LogFormatter {
  const colours = new Map<string, Colour>();
  let width = 0;
  const meet = (source: string): void => {
    if (!colours.has(source)) colours.set(source, rotation[colours.size % rotation.length] as Colour);
    width = Math.max(width, source.length);
  };
  return {
    expect: (sources) => sources.forEach(meet),
    format: (line) => {
      meet(line.source);
      const prefix = layout.prefix
        ? layout.paint(colours.get(line.source) as Colour, `${makePlain(line.source).padEnd(width)}  | `)
        : '';
      const time = layout.timestamps && line.time !== undefined ? `${line.time} ` : '';
      return physicalLines(line.text, layout)
        .map((text) => `${prefix}${time}${text}\n`)
        .join('');
    },
  };
}

/** Each physical line gets its own prefix; a carriage return at the end of a line is a terminal's newline and goes. */
function physicalLines(text: string, layout: LogLayout): string[] {
  const lines = text
    .replace(/\r?\n$/, '')
    .replace(/\r$/, '')
    .split('\n');
  return layout.isTerminal ? lines.map((line) => endColour(makeVisible(line.replace(/\r$/, '')))) : lines;
}

/** A colour left open must not run into the next line's prefix. */
function endColour(line: string): string {
  return line.includes('\u001b[') && !line.endsWith('\u001b[0m') ? `${line}\u001b[0m` : line;
}
