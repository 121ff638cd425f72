import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeFolder, writeWhole, writeWholeVolatile } from '../../../src/state/files.ts';
import { projectPaths } from '../../../src/state/paths.ts';
import { listProjects, openRecord, readRecord, sharedWrite } from '../../../src/state/store.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tscompose-state-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const roots = () => ({ run: join(folder, 'run'), data: join(folder, 'data') });

describe('the one write helper', () => {
  test('replaces a file whole and leaves no temporary file', async () => {
    const path = join(folder, 'state.json');
    await writeWhole(path, 'old');
    await writeWhole(path, 'new');
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(readdirSync(folder)).toEqual(['state.json']);
  });

  test('takes the place of what a writer that was killed left', async () => {
    const path = join(folder, 'state.json');
    writeFileSync(`${path}.tmp`, 'a part of so');
    await writeWhole(path, 'all of it');
    expect(readFileSync(path, 'utf8')).toBe('all of it');
    writeFileSync(`${path}.tmp`, 'a part of so');
    writeWholeVolatile(path, 'and again');
    expect(readFileSync(path, 'utf8')).toBe('and again');
    expect(readdirSync(folder)).toEqual(['state.json']);
  });

  test('names the path when the folder cannot be written', async () => {
    await expect(writeWhole(join(folder, 'missing', 'state.json'), 'x')).rejects.toMatchObject({ code: 'STATE_UNWRITABLE' });
  });
});

describe('the record of a project', () => {
  test('reads back what was saved', async () => {
    const store = openRecord(projectPaths(roots(), 'shop'), 'shop');
    store.record.workingDir = '/srv/shop';
    await store.save();
    expect(readRecord(roots(), 'shop')?.workingDir).toBe('/srv/shop');
    expect(listProjects(roots())).toEqual(['shop']);
  });

  test.each(['', '{', 'null', '[]', '{"version":2}', '{"version":1,"project":"other"}', '\u0000\u0000'])(
    'a damaged record (%j) is set aside and begun anew',
    (text) => {
      const paths = projectPaths(roots(), 'shop');
      makeFolder(paths.data);
      writeFileSync(paths.record, text);
      expect(readRecord(roots(), 'shop')).toBeUndefined();
      const store = openRecord(paths, 'shop');
      expect(store.wasDamaged).toBe(true);
      expect(store.record.containers).toEqual([]);
      expect(readFileSync(`${paths.record}.damaged`, 'utf8')).toBe(text);
    },
  );
});

test('a copy in the run folder stands in for a damaged record', async () => {
  const paths = projectPaths(roots(), 'shop');
  const store = openRecord(paths, 'shop');
  store.record.workingDir = '/srv/shop';
  await store.save();
  writeFileSync(paths.record, '{"version":');
  expect(openRecord(paths, 'shop').record.workingDir).toBe('/srv/shop');
});

describe('a shared write', () => {
  test('serves all callers of one moment with one write, and later ones with the next', async () => {
    let writes = 0;
    const save = sharedWrite(async () => {
      writes += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    });
    await Promise.all([save(), save(), save()]);
    expect(writes).toBe(1);
    const first = save();
    await Promise.resolve();
    await Promise.resolve();
    await Promise.resolve();
    await Promise.all([first, save(), save()]);
    expect(writes).toBe(3);
  });

  test('a failed write fails its callers and not the next ones', async () => {
    let fails = true;
    const save = sharedWrite(async () => {
      if (fails) throw new Error('disk full');
    });
    await expect(save()).rejects.toThrow('disk full');
    fails = false;
    await expect(save()).resolves.toBeUndefined();
  });
});
