import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WatchRule } from '../../../src/model/project.ts';
import { portions, type SyncOperation, syncOperations } from '../../../src/watch/sync.ts';
import { startWatch, type Watching, type WatchTarget } from '../../../src/watch/watch.ts';
import { makeProject, makeService } from '../cli/fakes.ts';

let folder: string;
let watching: Watching | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'watch-test-'));
});

afterEach(async () => {
  await watching?.stop();
  watching = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const everything = () => true;

async function operationsFor(name: string): Promise<{ operations: string[]; skipped: readonly string[] }> {
  const { operations, skipped } = await syncOperations({
    root: folder,
    hostPath: join(folder, name),
    target: `/app/${name}`,
    accepts: everything,
    acceptsFolder: everything,
  });
  return { operations: operations.map(words), skipped };
}

function words(operation: SyncOperation): string {
  switch (operation.op) {
    case 'write':
      return `write ${operation.path} ${operation.mode.toString(8)} ${Buffer.from(operation.contentBase64, 'base64').toString()}`;
    case 'mkdir':
      return `mkdir ${operation.path} ${operation.mode.toString(8)}`;
    case 'symlink':
      return `symlink ${operation.path} ${operation.target}`;
    case 'remove':
      return `remove ${operation.path}`;
  }
}

describe('the operations for a path', () => {
  test('write a file with its mode and content', async () => {
    writeFileSync(join(folder, 'a'), 'text');
    chmodSync(join(folder, 'a'), 0o750);
    expect(await operationsFor('a')).toEqual({ operations: ['write /app/a 750 text'], skipped: [] });
  });

  test('remove what is gone', async () => {
    expect(await operationsFor('gone')).toEqual({ operations: ['remove /app/gone'], skipped: [] });
  });

  test('take a folder with everything below it, parents first', async () => {
    mkdirSync(join(folder, 'd/e'), { recursive: true });
    chmodSync(join(folder, 'd'), 0o755);
    chmodSync(join(folder, 'd/e'), 0o700);
    writeFileSync(join(folder, 'd/e/f'), 'x', { mode: 0o644 });
    chmodSync(join(folder, 'd/e/f'), 0o644);
    expect((await operationsFor('d')).operations).toEqual(['mkdir /app/d 755', 'mkdir /app/d/e 700', 'write /app/d/e/f 644 x']);
  });

  test('copy links that stay inside and leave out those that lead away', async () => {
    mkdirSync(join(folder, 'd'));
    symlinkSync('../a', join(folder, 'd/inside'));
    symlinkSync('../../etc/passwd', join(folder, 'd/outside'));
    symlinkSync('/etc/passwd', join(folder, 'd/absolute'));
    symlinkSync('loop', join(folder, 'd/loop'));
    const { operations, skipped } = await operationsFor('d');
    expect(operations.slice(1)).toEqual(['symlink /app/d/inside ../a', 'symlink /app/d/loop loop']);
    expect(skipped).toHaveLength(2);
    expect(skipped.join()).toMatch(/absolute is a link that leaves .*outside is a link that leaves/s);
  });

  test('leave out what is neither file nor folder, without blocking on it', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    expect((await operationsFor('pipe')).skipped).toHaveLength(1);
  });

  test('come in portions that keep their order', () => {
    const operations = Array.from(
      { length: 10 },
      (_unused, index): SyncOperation => ({ op: 'write', path: `/${index}`, mode: 0o644, contentBase64: 'x'.repeat(30) }),
    );
    const parts = portions(operations, 100);
    expect(parts.flat()).toEqual(operations);
    expect(parts.map((part) => part.length)).toEqual([3, 3, 3, 1]);
  });
});

describe('watching', () => {
  interface Seen {
    readonly synced: string[];
    readonly said: string[];
    readonly warned: string[];
    readonly did: string[];
  }

  async function watch(rules: readonly Partial<WatchRule>[], target: Partial<WatchTarget> = {}): Promise<Seen> {
    const seen: Seen = { synced: [], said: [], warned: [], did: [] };
    const watched = rules.map(
      (rule): WatchRule => ({
        path: folder,
        action: 'sync',
        target: '/app',
        ignore: [],
        include: [],
        initialSync: false,
        ...rule,
      }),
    );
    const project = makeProject([makeService('web', { watch: watched })]);
    watching = startWatch({
      project,
      services: [],
      projectFiles: [join(folder, 'compose.yaml')],
      timing: { quietMs: 40, longestMs: 500 },
      say: (line) => void seen.said.push(line),
      warn: (message) => void seen.warned.push(message),
      target: {
        containers: async () => ['one', 'two'],
        sync: async (id, operations) => void seen.synced.push(...operations.map((operation) => `${id}: ${words(operation)}`)),
        restart: async (service) => void seen.did.push(`restart ${service}`),
        up: async () => {
          seen.did.push('up');
          return project;
        },
        exec: async (id, command) => {
          seen.did.push(`exec ${id} ${command.join(' ')}`);
          return { exitCode: 0, output: '' };
        },
        ...target,
      },
    });
    await watching.ready;
    return seen;
  }

  async function until(condition: () => boolean): Promise<void> {
    for (let tries = 0; tries < 400 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(condition()).toBe(true);
    await watching?.idle();
  }

  test('copies a change into every replica and says so', async () => {
    const seen = await watch([{}]);
    writeFileSync(join(folder, 'a.js'), 'new', { mode: 0o644 });
    await until(() => seen.synced.length >= 2);
    expect(seen.synced).toEqual(['one: write /app/a.js 644 new', 'two: write /app/a.js 644 new']);
    expect(seen.said).toEqual(['Watch enabled', 'Syncing service "web" after 1 change was detected']);
  });

  test("takes an editor's save by rename as one write", async () => {
    writeFileSync(join(folder, 'a.js'), 'old', { mode: 0o644 });
    const seen = await watch([{}]);
    writeFileSync(join(folder, '.a.js.swp'), 'new', { mode: 0o644 });
    renameSync(join(folder, '.a.js.swp'), join(folder, 'a.js'));
    await until(() => seen.synced.length >= 2);
    expect(new Set(seen.synced)).toEqual(new Set(['one: write /app/a.js 644 new', 'two: write /app/a.js 644 new']));
  });

  test('removes what was removed', async () => {
    writeFileSync(join(folder, 'a.js'), 'old');
    const seen = await watch([{}]);
    rmSync(join(folder, 'a.js'));
    await until(() => seen.synced.length >= 2);
    expect(seen.synced[0]).toBe('one: remove /app/a.js');
  });

  test('sees nothing in ignored folders', async () => {
    mkdirSync(join(folder, 'node_modules'));
    const seen = await watch([{ ignore: ['node_modules'] }]);
    writeFileSync(join(folder, 'node_modules/x'), '1');
    writeFileSync(join(folder, 'z'), '1', { mode: 0o644 });
    await until(() => seen.synced.length >= 2);
    expect(seen.synced).toEqual(['one: write /app/z 644 1', 'two: write /app/z 644 1']);
  });

  test('restarts once after a sync of several files', async () => {
    const seen = await watch([{ action: 'sync+restart' }]);
    for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, name), name);
    await until(() => seen.did.length > 0);
    expect(seen.did).toEqual(['restart web']);
    expect(seen.synced).toHaveLength(6);
    expect(seen.said).toContain('Syncing service "web" after 3 changes were detected');
  });

  test('executes after a sync where the rule says so', async () => {
    const seen = await watch([{ action: 'sync+exec', exec: { command: ['reload'], privileged: false, environment: {} } }]);
    writeFileSync(join(folder, 'a'), 'a');
    await until(() => seen.did.length > 1);
    expect(seen.did).toEqual(['exec one reload', 'exec two reload']);
  });

  test('first copies everything when asked to, but not what is ignored', async () => {
    mkdirSync(join(folder, 'd'));
    writeFileSync(join(folder, 'd/a'), '1');
    writeFileSync(join(folder, 'b.log'), '2');
    const seen = await watch([{ initialSync: true, ignore: ['*.log'] }]);
    await watching?.idle();
    expect(seen.synced.filter((line) => line.startsWith('one')).map((line) => line.split(' ').slice(1, 3).join(' '))).toEqual([
      'mkdir /app',
      'mkdir /app/d',
      'write /app/d/a',
    ]);
  });

  test('applies the project anew when its file changes, and goes on watching', async () => {
    const seen = await watch([{ path: join(folder), ignore: ['compose.yaml'] }]);
    writeFileSync(join(folder, 'compose.yaml'), 'services: {}');
    await until(() => seen.did.length > 0);
    expect(seen.did).toEqual(['up']);
    writeFileSync(join(folder, 'after'), 'x', { mode: 0o644 });
    await until(() => seen.synced.length >= 2);
    expect(seen.synced).toEqual(['one: write /app/after 644 x', 'two: write /app/after 644 x']);
  });

  test('tells a failure and goes on', async () => {
    let isFirst = true;
    const seen: Seen = await watch([{}], {
      sync: async (id, operations) => {
        if (isFirst) {
          isFirst = false;
          throw new Error('container is gone');
        }
        seen.synced.push(...operations.map((operation) => `${id}: ${words(operation)}`));
      },
    });
    writeFileSync(join(folder, 'a'), '1');
    await until(() => seen.warned.length > 0);
    expect(seen.warned).toEqual(['container is gone']);
    seen.synced.length = 0;
    writeFileSync(join(folder, 'b'), '2');
    await until(() => seen.synced.some((line) => line.includes('/app/b')));
  });

  test('after a storm of files everything has arrived', async () => {
    const arrived = new Set<string>();
    const seen = await watch([{}], {
      sync: async (id, operations) => operations.forEach((operation) => void (id === 'one' && arrived.add(operation.path))),
    });
    const names = Array.from({ length: 1500 }, (_unused, index) => `d${index % 10}/f${index}`);
    for (let index = 0; index < 10; index++) mkdirSync(join(folder, `d${index}`));
    for (const name of names) writeFileSync(join(folder, name), name);
    await until(() => names.every((name) => arrived.has(`/app/${name}`)));
    expect(seen.warned).toEqual([]);
  }, 20_000);
});
