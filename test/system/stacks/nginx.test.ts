import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openProject, type Project, rootfsFolder } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';
import { repository } from '../../support/repository.ts';

describe('nginx in front of two replicas that it finds by name', () => {
  let stack: Project;
  let page: string;
  beforeAll(async () => {
    const port = await freePort();
    page = `http://127.0.0.1:${port}/`;
    stack = openProject({
      from: path.join(repository, 'examples/nginx'),
      env: { ROOTFS_DIR: rootfsFolder('nginx', 'busybox'), NGINX_PORT: String(port) },
    });
    await stack.ok('up', '-d', '--wait');
  });
  afterAll(() => stack.remove());

  test('both replicas answer through it', async () => {
    await eventually('two different answers', async () => new Set(await answers(10)).size === 2);
  });

  test('with one replica stopped the other answers every time', async () => {
    await stack.ok('up', '-d', '--scale', 'app=1');
    await eventually('one answer only', async () => new Set(await answers(6)).size === 1);
  });

  test('a replica that is added is found without touching nginx', async () => {
    const pid = await stack.pidOf('proxy');
    await stack.ok('up', '-d', '--scale', 'app=3', '--wait');
    await eventually('three different answers', async () => new Set(await answers(20)).size === 3);
    expect(await stack.pidOf('proxy')).toBe(pid);
  });

  async function answers(count: number): Promise<string[]> {
    const all = Array.from({ length: count }, async () => {
      const answer = await fetch(page, { signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      return answer.text();
    });
    return Promise.all(all);
  }
});
