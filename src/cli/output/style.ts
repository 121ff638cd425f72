/** Colours of the terminal (ECMA-48 SGR), switched on or off in one place. Pure. */

const codes = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
  boldGreen: '1;32',
  boldYellow: '1;33',
  boldBlue: '1;34',
  boldMagenta: '1;35',
  boldCyan: '1;36',
} as const;

export type Colour = keyof typeof codes;

/** Puts a colour around a text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

export function painter(enabled: boolean): Paint {
  return enabled ? (colour, text) => `\u001b[${codes[colour]}m${text}\u001b[0m` : (_colour, text) => text;
}

export interface ColourSwitches {
  /** `--ansi` or COMPOSE_ANSI. */
  readonly ansi: 'never' | 'always' | 'auto';
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** `--ansi` beats NO_COLOR (https://no-color.org: any non-empty value) beats the terminal's nature. */
export function wantsColour({ ansi, isTerminal, env }: ColourSwitches): boolean {
  if (ansi !== 'auto') return ansi === 'always';
  return isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}
