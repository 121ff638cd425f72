import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openProject, type Project, rootfsFolder } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { repository } from '../../support/repository.ts';

describe('redis and a client', () => {
  let stack: Project;
  beforeAll(async () => {
    stack = openProject({ from: path.join(repository, 'examples/redis'), env: { ROOTFS_DIR: rootfsFolder('redis') } });
    await stack.ok('up', '-d', '--wait');
  });
  afterAll(() => stack.remove());

  test('the server is healthy and runs as its own user', async () => {
    expect((await stack.container('redis')).Health).toBe('healthy');
    expect((await stack.ok('exec', '-T', 'redis', 'id', '-un')).stdout).toBe('redis\n');
  });

  test('the client counts up', async () => {
    await eventually('two visits', async () =>
      /visits: [2-9]/.test((await stack.ok('logs', '--no-log-prefix', 'counter')).stdout),
    );
  });

  test('a key survives a restart of the server: it is in the volume', async () => {
    await stack.ok('exec', '-T', 'redis', 'redis-cli', 'set', 'colour', 'green');
    await stack.ok('restart', 'redis');
    await eventually(
      'the server to answer',
      async () => (await stack.run('exec', '-T', 'redis', 'redis-cli', 'get', 'colour')).stdout === 'green\n',
    );
  });

  test('the server ends in an orderly way, and says so', async () => {
    await stack.ok('stop', 'redis');
    expect((await stack.container('redis')).ExitCode).toBe(0);
    expect((await stack.ok('logs', '--no-log-prefix', '--tail', '5', 'redis')).stdout).toContain('bye bye');
  });
});
