import { inject, test } from 'vitest';
import { patience } from '../support/patience.ts';
import { expectUnchanged } from '../support/snapshot.ts';

test(
  'after all tests no link, namespace, mount, cgroup, nf_tables table, process or socket is left',
  async () => {
    await expectUnchanged(inject('machineBefore'));
  },
  30_000 * patience,
);
