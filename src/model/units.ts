/** Quantities and their text forms. Pure. */

const byteUnits: Readonly<Record<string, number>> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4, p: 1024 ** 5 };

/** "512m", "1.5gb", "64KiB", 1024 → bytes (1024-based, any case; docker's units.RAMInBytes); undefined when it is no size. */
export function parseBytes(text: string | number): number | undefined {
  if (typeof text === 'number') return Number.isFinite(text) ? text : undefined;
  const match = /^(-?\d+(?:\.\d+)?)\s?([bkmgtp])?(?:i?b)?$/i.exec(text.trim());
  if (!match) return undefined;
  return Math.trunc(Number(match[1]) * (byteUnits[(match[2] ?? 'b').toLowerCase()] ?? 1));
}

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Go's duration notation ("1m30s", "500ms", "1.5h", also d and w) → milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const sign = text.startsWith('-') ? -1 : 1;
  let rest = text.replace(/^[-+]/, '');
  if (rest === '') return undefined;
  let total = 0;
  while (rest !== '') {
    const part = /^(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)/.exec(rest);
    if (!part) return undefined;
    total += Number(part[1]) * (durationUnits[part[2] as string] as number);
    rest = rest.slice(part[0].length);
  }
  return sign * total;
}

/** Milliseconds → Go's notation: 90_000 → "1m30s", 500 → "500ms", 0 → "0s". */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s';
  if (Math.abs(milliseconds) < 1000) return `${milliseconds}ms`;
  const seconds = milliseconds / 1000;
  const hours = Math.trunc(seconds / 3600);
  const minutes = Math.trunc((seconds % 3600) / 60);
  const rest = Number((seconds % 60).toFixed(9));
  return `${hours ? `${hours}h` : ''}${hours || minutes ? `${minutes}m` : ''}${rest}s`;
}
