import path from 'node:path';
import { defineConfig } from 'vitest/config';
import { patience } from './support/patience.ts';

const root = path.dirname(import.meta.dirname);

/**
 * Three projects, one after the other: `unit` (pure, parallel), `system` (the kernel and the built program; root; one file at a
 * time) and `leftovers` (is the machine as it was before the first test?).
 */
export default defineConfig({
  test: {
    reporters: [path.join(root, 'test/support/reporter.ts')],
    projects: [
      {
        root,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 5_000 * patience,
          sequence: { groupOrder: 0 },
        },
      },
      {
        root,
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 60_000 * patience,
          hookTimeout: 180_000 * patience,
          sequence: { groupOrder: 1 },
        },
      },
      { root, test: { name: 'leftovers', include: ['test/leftovers/**/*.test.ts'], pool: 'forks', sequence: { groupOrder: 2 } } },
    ],
    globalSetup: [path.join(root, 'test/setup/before.ts')],
  },
});
