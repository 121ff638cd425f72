import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openProject, type Project } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { repository } from '../support/repository.ts';
import { expectUnchanged, type Snapshot, takeSnapshot } from '../support/snapshot.ts';

describe('the example shop', () => {
  let before: Snapshot;
  let shop: Project;
  let page: string;

  beforeAll(async () => {
    before = takeSnapshot();
    const port = await freePort();
    page = `http://127.0.0.1:${port}/`;
    shop = openProject({ from: path.join(repository, 'examples/shop'), env: { SHOP_PORT: String(port) } });
    await shop.ok('up', '-d', '--wait');
  });
  afterAll(() => shop.remove());

  test('every service is up and healthy, and migrate has ended with success', async () => {
    const rows = await shop.ps();
    const states = Object.fromEntries(
      rows.map((row) => [row.Name.replace(`${shop.name}-`, ''), `${row.State} ${row.Health}`.trim()]),
    );
    // The worker may be between two starts: it fails on purpose.
    expect(states).toMatchObject({
      'store-1': 'running healthy',
      'api-1': 'running healthy',
      'api-2': 'running healthy',
      'web-1': 'running healthy',
      'migrate-1': 'exited',
    });
    expect((await shop.container('migrate')).ExitCode).toBe(0);
  });

  test('the page shows the catalogue through the published port', async () => {
    expect(await textOf(page)).toMatch(/<h1>The Corner Shop<\/h1>[\s\S]*Rye bread <b>5\.00 EUR<\/b>/);
  });

  test('both replicas of the api answer in turn', async () => {
    await eventually('two different replicas to have answered', async () => {
      const answers = await Promise.all([1, 2, 3, 4].map(() => textOf(page)));
      return new Set(answers.map((text) => /api replica (\S+)</.exec(text)?.[1])).size === 2;
    });
  });

  test('an order is taken, and the worker packs it although it dies now and then', async () => {
    const answer = await fetch(`${page}buy`, { method: 'POST', body: 'product=cheese', redirect: 'manual' });
    expect(answer.status).toBe(303);
    await eventually('the order to be packed', async () => {
      const text = await textOf(page);
      return text.includes('cheese: packed') && !/: (new|packing)</.test(text);
    });
    expect((await shop.ok('logs', '--no-color', 'worker')).stdout).toMatch(/the label printer has jammed[\s\S]*resuming/);
  });

  test('web cannot reach the store: neither its name nor its address is there', async () => {
    expect((await shop.run('exec', '-T', 'web', 'getent', 'hosts', 'store')).code).not.toBe(0);
    const address = (
      await shop.ok(
        'exec',
        '-T',
        'store',
        'node',
        '-p',
        'Object.values(os.networkInterfaces()).flat().find(a => !a.internal).address',
      )
    ).stdout.trim();
    const program = `fetch('http://${address}:7000/health', { signal: AbortSignal.timeout(1500) }).then(() => process.exit(0), () => process.exit(7))`;
    expect((await shop.run('exec', '-T', 'web', 'node', '-e', program)).code).toBe(7);
    expect((await shop.run('exec', '-T', 'api', 'node', '-e', program)).code).toBe(0);
  });

  test('the api has its secret as its user only, and its config', async () => {
    expect((await shop.ok('exec', '-T', 'api', 'stat', '-c', '%u %a', '/run/secrets/store_password')).stdout).toBe('1000 400\n');
    expect((await shop.ok('exec', '-T', 'api', 'cat', '/etc/shop/prices.json')).stdout).toBe(
      fs.readFileSync(path.join(repository, 'examples/shop/config/prices.json'), 'utf8'),
    );
  });

  test('a second up changes nothing: the same containers, the same processes', async () => {
    const steady = async () =>
      (await shop.ps())
        .filter((row) => row.Service !== 'worker')
        .map((row) => `${row.Name} ${row.ID} ${row.State}`)
        .sort();
    const [states, pid] = [await steady(), await shop.pidOf('web')];
    await shop.ok('up', '-d', '--wait');
    expect([await steady(), await shop.pidOf('web')]).toEqual([states, pid]);
    expect((await shop.run('plan', '--detailed-exitcode')).code).toBe(0);
  });

  test('the data outlives down and up', async () => {
    await shop.ok('down');
    expect(await shop.ps()).toEqual([]);
    await shop.ok('up', '-d', '--wait');
    expect(await textOf(page)).toContain('cheese: packed');
    expect((await shop.ok('logs', '--no-log-prefix', 'migrate')).stdout).toContain('already up to date');
  });

  test('down -v leaves nothing on this machine', async () => {
    await shop.ok('down', '-v');
    await expectUnchanged(before);
    expect(fs.existsSync(path.join(shop.root, 'data/volumes', `${shop.name}_store-data`))).toBe(false);
  });
});

async function textOf(address: string): Promise<string> {
  const answer = await fetch(address, { signal: AbortSignal.timeout(10_000) });
  return answer.text();
}
