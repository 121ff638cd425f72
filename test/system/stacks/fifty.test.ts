import path from 'node:path';
import { expect, test } from 'vitest';
import { makeProject, rootfsFolder } from '../../support/cli.ts';
import { repository } from '../../support/repository.ts';
import { expectUnchanged, takeSnapshot } from '../../support/snapshot.ts';

test('fifty services start, know each other by name, stay when nothing changed, and leave nothing', async () => {
  const before = takeSnapshot();
  const stack = makeProject({ from: path.join(repository, 'examples/fifty'), env: { ROOTFS_DIR: rootfsFolder('busybox') } });
  await stack.ok('up', '-d');
  const rows = await stack.ps();
  expect(rows.filter((row) => row.State === 'running')).toHaveLength(50);
  expect((await stack.run('exec', '-T', 's01', 'ping', '-c1', '-W2', 's50')).code).toBe(0);

  await stack.ok('up', '-d');
  expect((await stack.ps()).map((row) => row.ID).sort()).toEqual(rows.map((row) => row.ID).sort());

  await stack.ok('down');
  await expectUnchanged(before);
});
