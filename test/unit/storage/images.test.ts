import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resolveImage, withMountPoints } from '../../../src/storage/images.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tscompose-images-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('host:/usr', () => {
  test("is a fresh minimal root with the host's /usr bound read-only", async () => {
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

describe('the layer of mount points', () => {
  test('comes last, and has every file that a container gets mounted', () => {
    mkdirSync(join(folder, 'root'));
    const layers = withMountPoints([`${folder}/root`], `${folder}/images`);
    expect(layers).toHaveLength(2);
    expect(layers[0]).toBe(`${folder}/root`);
    expect(readdirSync(layers[1] as string).sort()).toEqual(['dev', 'etc', 'proc', 'sys']);
    expect(readdirSync(join(layers[1] as string, 'etc')).sort()).toEqual(['hostname', 'hosts', 'resolv.conf']);
  });

  test.each(['', '/images'])('is left out where it would lie within a layer (%s), which the kernel refuses', (below) => {
    mkdirSync(join(folder, 'images'));
    expect(withMountPoints([`${folder}${below}`], `${folder}/images`)).toEqual([`${folder}${below}`]);
    expect(withMountPoints(['/'], `${folder}/images`)).toEqual(['/']);
  });
});
