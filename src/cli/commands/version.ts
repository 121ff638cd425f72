import type { CommandRun } from '../invocation.ts';
import { version } from '../version.ts';

export interface VersionFlags {
  readonly format: string;
  readonly short?: boolean;
}

export const run: CommandRun<VersionFlags> = async ({ around }, _operands, flags) => {
  around.stdout.write(`${versionText(flags)}\n`);
  return 0;
};

function versionText({ format, short }: VersionFlags): string {
  if (short === true) return version;
  if (format === 'json') return JSON.stringify({ version: `v${version}` });
  return `tscompose version v${version}`;
}
