import { TscomposeError } from '../../errors.ts';
import type { ObservedContainer } from '../../model/observed.ts';
import type { CommandRun, Invocation } from '../invocation.ts';
import { formatTable } from '../output/table.ts';

export interface LsFlags {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly filter: readonly string[];
  readonly format: string;
}

export interface ProjectRow {
  readonly Name: string;
  /** "exited(1), running(3)" */
  readonly Status: string;
  readonly ConfigFiles: string;
}

/** All projects of this machine that have containers. */
export const run: CommandRun<LsFlags> = async (invocation, _operands, flags) => {
  const pattern = namePattern(flags.filter);
  const names = (await invocation.doors.projects()).filter((name) => pattern.test(name));
  const rows = (await Promise.all(names.map((name) => projectRow(invocation, name, flags.all === true)))).filter(
    (row) => row !== undefined,
  );
  invocation.around.stdout.write(formatProjects(rows, flags));
  return 0;
};

/** @throws USAGE */
function namePattern(filters: readonly string[]): RegExp {
  const patterns = filters.map((text) => {
    const match = /^name=(.*)$/.exec(text);
    if (!match) throw new TscomposeError('USAGE', `unknown filter "${text}"`, { hint: 'use --filter name=PATTERN' });
    return match[1] as string;
  });
  try {
    return new RegExp(patterns.join('|'));
  } catch (cause) {
    throw new TscomposeError('USAGE', `invalid pattern "${patterns.join('|')}"`, { hint: 'use a regular expression', cause });
  }
}

async function projectRow({ doors }: Invocation, name: string, all: boolean): Promise<ProjectRow | undefined> {
  const record = await doors.record(name);
  const { containers } = await doors.observe(name);
  const isLive = containers.some(({ state }) => state !== 'created' && state !== 'exited');
  if (!record || (!isLive && !(all && containers.length > 0))) return undefined;
  return { Name: name, Status: combinedStatus(containers), ConfigFiles: record.configFiles.join(',') };
}

/** How many containers are in which state, states in alphabetical order as docker compose has them. */
export function combinedStatus(containers: readonly Pick<ObservedContainer, 'state'>[]): string {
  const counts = new Map<string, number>();
  for (const { state } of containers) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([state, count]) => `${state}(${count})`)
    .join(', ');
}

function formatProjects(rows: readonly ProjectRow[], { quiet, format }: LsFlags): string {
  if (quiet === true) return rows.map((row) => `${row.Name}\n`).join('');
  if (format === 'json') return `${JSON.stringify(rows)}\n`;
  if (format !== 'table') throw new TscomposeError('USAGE', `unknown format "${format}"`, { hint: 'use table or json' });
  return formatTable(
    ['NAME', 'STATUS', 'CONFIG FILES'],
    rows.map((row) => [row.Name, row.Status, row.ConfigFiles]),
    { minWidth: 20, padding: 3 },
  );
}
