import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { VolumeSpec } from '../../../src/model/project.ts';
import { copyImageContent, ensureVolume, makeVolume, removeVolume } from '../../../src/storage/volumes.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tscompose-volumes-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const data: VolumeSpec = { key: 'data', name: 'shop_data', external: false, driver: 'local', driverOpts: {}, labels: {} };

describe('a named volume', () => {
  test('is made twice without losing what it holds, and removed with it', () => {
    const path = join(folder, 'volumes', 'shop_data', '_data');
    ensureVolume(path, data);
    writeFileSync(join(path, 'kept'), '1');
    ensureVolume(path, data);
    expect(readdirSync(path)).toEqual(['kept']);
    removeVolume(path);
    expect(readdirSync(join(folder, 'volumes'))).toEqual([]);
    removeVolume(path);
  });

  test('that is external must be there', () => {
    const path = join(folder, 'volumes', 'other', '_data');
    expect(() => ensureVolume(path, { ...data, name: 'other', external: true })).toThrow(/declared external/);
    makeVolume(path);
    expect(() => ensureVolume(path, { ...data, name: 'other', external: true })).not.toThrow();
  });
});

describe('first use of a volume', () => {
  test("brings the image's content and modes along, links as links", async () => {
    const root = join(folder, 'root');
    mkdirSync(join(root, 'var/lib/app'), { recursive: true });
    writeFileSync(join(root, 'var/lib/app/seed'), 'x');
    symlinkSync('/etc/passwd', join(root, 'var/lib/app/link'));
    chmodSync(join(root, 'var/lib/app'), 0o750);
    const volume = join(folder, 'volume');
    mkdirSync(volume);
    await copyImageContent(volume, [root], '/var/lib/app');
    expect(readFileSync(join(volume, 'seed'), 'utf8')).toBe('x');
    expect(readlinkSync(join(volume, 'link'))).toBe('/etc/passwd');
    expect(lstatSync(volume).mode & 0o7777).toBe(0o750);
  });

  test.each([
    ['through a link', '/link/inner'],
    ['upwards', '/../outside'],
    ['missing', '/nowhere'],
  ])("copies nothing when the image's folder is %s", async (_name, target) => {
    const root = join(folder, 'root');
    mkdirSync(join(folder, 'outside/inner'), { recursive: true });
    writeFileSync(join(folder, 'outside/inner/secret'), 'host');
    mkdirSync(root);
    symlinkSync(join(folder, 'outside'), join(root, 'link'));
    const volume = join(folder, 'volume');
    mkdirSync(volume);
    await copyImageContent(volume, [root], target);
    expect(readdirSync(volume)).toEqual([]);
  });
});
