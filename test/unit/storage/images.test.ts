import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resolveImage } from '../../../src/storage/images.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tscompose-images-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('host:/usr', () => {
  test('is a fresh minimal root with the host\'s /usr bound read-only', async () => {
    const image = await resolveImage('host:/usr', folder);
    const [root] = image.lowerdirs as [string];
    expect(image.hostBinds).toContain('/usr');
    expect(lstatSync(join(root, 'tmp')).mode & 0o7777).toBe(0o1777);
    expect(readdirSync(join(root, 'home'))).toEqual([]);
    expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toMatch(/^root:x:0:0:/);
  });

  test('made by two at once is made once, and leaves nothing half made', async () => {
    await Promise.all([resolveImage('host:/usr', folder), resolveImage('host:/usr', folder)]);
    expect(readdirSync(join(folder, 'host-usr'))).toEqual(['rootfs']);
  });
});

describe('rootfs:DIR', () => {
  test('stacks the folder itself', async () => {
    mkdirSync(join(folder, 'root'));
    expect(await resolveImage(`rootfs:${folder}/root`, folder)).toMatchObject({ lowerdirs: [`${folder}/root`], hostBinds: [] });
  });

  test.each([
    ['rootfs:/nonexistent', 'IMAGE_MISSING'],
    ['rootfs:/etc/passwd', 'IMAGE_MISSING'],
    ['redis:7', 'IMAGE_UNSUPPORTED'],
  ])('%s is refused with %s', async (reference, code) => {
    await expect(resolveImage(reference, folder)).rejects.toMatchObject({ code });
  });
});
