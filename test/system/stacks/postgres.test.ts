import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openProject, type Project, rootfsFolder } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { repository } from '../../support/repository.ts';

describe('PostgreSQL on a named volume', () => {
  let stack: Project;
  beforeAll(async () => {
    stack = openProject({ from: path.join(repository, 'examples/postgres'), env: { ROOTFS_DIR: rootfsFolder('postgres') } });
    await stack.ok('up', '-d');
  });
  afterAll(() => stack.remove());

  test('the database answers, and the client has written through the network with the password of the secret', async () => {
    await eventually('the first visit', async () => (await visits()).includes('visits: 1'));
    expect(await ask('select 6 * 7')).toBe('42\n');
  });

  test('a large query uses shared memory and temporary files', async () => {
    expect(
      await ask('set work_mem = 64; select count(*) from (select generate_series(1, 300000) as n order by n desc) as sorted'),
    ).toMatch(/300000\n$/);
  });

  test('what was written is there after down and up', async () => {
    await stack.ok('down');
    await stack.ok('up', '-d');
    await eventually('the second visit', async () => (await visits()).includes('visits: 2'));
    expect((await stack.ok('logs', '--no-log-prefix', 'initdb')).stdout).toContain('the cluster is there');
  });

  test('it is stopped by the signal it asks for, in an orderly way', async () => {
    await stack.ok('stop', 'db');
    expect((await stack.container('db')).ExitCode).toBe(0);
    const { stdout, stderr } = await stack.ok('logs', '--no-log-prefix', 'db');
    expect(stdout + stderr).toMatch(/fast shutdown request[\s\S]*database system is shut down/);
  });

  const visits = async () => (await stack.ok('logs', '--no-log-prefix', 'visits')).stdout;
  const ask = async (sql: string) =>
    (await stack.ok('exec', '-T', '-u', 'postgres', 'db', 'psql', '-h', '/tmp', '-qAtc', sql)).stdout;
});
