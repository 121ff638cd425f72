import type { CommandRun } from '../invocation.ts';
import { run as up } from './up.ts';
import type { UpFlags } from './up-options.ts';

/** Lays the containers down without starting them. */
export const run: CommandRun<UpFlags> = (invocation, services, flags) =>
  up(invocation, services, { ...flags, start: false, detach: true, attach: [] });
