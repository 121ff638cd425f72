import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAccountFiles, readImageFile } from '../../../src/runtime/image-files.ts';
import { resolveUser } from '../../../src/runtime/users.ts';

const files = {
  passwd: [
    'root:x:0:0:root:/root:/bin/sh',
    'app:x:1000:1000::/home/app:/bin/sh',
    '1000:x:0:0:trap:/root:/bin/sh',
    'broken:x:abc:0::/:',
    'short',
    'odd:x:7:70::/home/\u001b[0m:/bin/sh',
    'relative:x:8:80::home:/bin/sh',
    'huge:x:4294967296:0::/:/bin/sh',
    '',
  ].join('\n'),
  group: [
    'root:x:0:',
    'app:x:1000:',
    'audio:x:29:app,other',
    'video:x:44:other,app',
    'wheel:x:10:root',
    '29:x:31337:',
    'bad:x:zz:app',
  ].join('\n'),
};

describe('user', () => {
  test.each([
    ['', 0, 0, [0, 10], '/root'],
    ['root', 0, 0, [0, 10], '/root'],
    ['0', 0, 0, [0, 10], '/root'],
    ['app', 1000, 1000, [1000, 29, 44], '/home/app'],
    ['1000', 1000, 1000, [1000, 29, 44], '/home/app'],
    ['0001000', 1000, 1000, [1000, 29, 44], '/home/app'],
    ['1', 1, 0, [0], '/'],
    ['0001', 1, 0, [0], '/'],
    ['1234', 1234, 0, [0], '/'],
    ['2147483647', 2147483647, 0, [0], '/'],
    ['1000:1000', 1000, 1000, [1000], '/home/app'],
    ['app:audio', 1000, 29, [29], '/home/app'],
    ['app:29', 1000, 29, [29], '/home/app'],
    ['root:1', 0, 1, [1], '/root'],
    ['1234:0', 1234, 0, [0], '/'],
    [':44', 0, 44, [44], '/root'],
    ['odd', 7, 70, [70], '/'],
    ['relative', 8, 80, [80], '/'],
  ])('"%s" is %i:%i with groups %j at home in %s', (text, uid, gid, groups, home) => {
    expect(resolveUser(text, files)).toMatchObject({ uid, gid, groups, home });
  });

  test.each([
    '-1',
    '+1',
    '4294967295',
    '4294967296',
    '2147483648',
    '99999999999999999999',
    '1:4294967296',
    '1:-1',
    'nobody',
    'app:nogroup',
    'a:b:c',
    'app:',
    '1 ',
    ' 1',
    '1\n',
    'app\nroot',
    '1\t',
    'broken',
    'huge',
    '1:2:3',
    'bad\u0000',
  ])('%j is refused', (text) => {
    expect(() => resolveUser(text, files)).toThrow(expect.objectContaining({ code: 'VALUE_INVALID' }));
  });

  test('group_add comes behind, by name or number, without doubles', () => {
    expect(resolveUser('1000:1000', files, ['video', '29', '1000', '777']).groups).toEqual([1000, 44, 29, 777]);
    expect(() => resolveUser('app', files, ['nogroup'])).toThrow(/nogroup/);
  });

  test('an image without account files knows numbers and root', () => {
    const none = { passwd: '', group: '' };
    expect(resolveUser('', none)).toEqual({ uid: 0, gid: 0, groups: [0], home: '/root' });
    expect(resolveUser('5:6', none)).toEqual({ uid: 5, gid: 6, groups: [6], home: '/' });
  });

  test('any text either gives ids in range or is refused with a code', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[-+0-9:a-z]{0,24}$/)), (text) => {
        try {
          const user = resolveUser(text, files);
          for (const id of [user.uid, user.gid, ...user.groups])
            expect(id >= 0 && id <= 2147483647 && Number.isInteger(id)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'VALUE_INVALID' });
        }
      }),
    );
  });
});

describe('a file of an image', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'runtime-image-'));
    for (const path of ['top/etc', 'low/etc', 'low/usr/etc', 'outside']) mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, 'outside/passwd'), 'host secret');
    writeFileSync(join(folder, 'low/etc/passwd'), 'low');
    writeFileSync(join(folder, 'low/usr/etc/passwd'), 'usr');
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const read = (): string | undefined => readImageFile([join(folder, 'top'), join(folder, 'low')], '/etc/passwd');

  test('comes from the topmost layer that has it', () => {
    expect(read()).toBe('low');
    writeFileSync(join(folder, 'top/etc/passwd'), 'top');
    expect(read()).toBe('top');
  });

  test.each([
    ['absolute', '/usr/etc/passwd'],
    ['relative', '../usr/etc/passwd'],
    ['climbing', '../../../../../usr/etc/passwd'],
  ])('an %s link leads into the image, to another layer too', (_kind, target) => {
    symlinkSync(target, join(folder, 'top/etc/passwd'));
    expect(read()).toBe('usr');
  });

  test('a link to the host finds nothing there', () => {
    symlinkSync(join(folder, 'outside/passwd'), join(folder, 'top/etc/passwd'));
    expect(read()).toBeUndefined();
  });

  test('a linked folder is resolved within the image', () => {
    rmSync(join(folder, 'low/etc'), { recursive: true });
    rmSync(join(folder, 'top/etc'), { recursive: true });
    symlinkSync('usr/etc', join(folder, 'low/etc'));
    expect(read()).toBe('usr');
  });

  test.each(['passwd', '/etc/passwd'])('a link to itself (%s) ends', (target) => {
    symlinkSync(target, join(folder, 'top/etc/passwd'));
    expect(read()).toBeUndefined();
  });

  test('a FIFO does not block, a folder is no file', () => {
    execFileSync('mkfifo', [join(folder, 'top/etc/passwd')]);
    expect(read()).toBeUndefined();
    mkdirSync(join(folder, 'low/etc/group'));
    expect(readAccountFiles([join(folder, 'low')])).toEqual({ passwd: 'low', group: '' });
  });

  test('of a long file whole lines up to 1 MiB are read, of a sparse giant no more', () => {
    writeFileSync(join(folder, 'top/etc/passwd'), 'root:x:0:0::/:\n'.repeat(200_000));
    const text = read() ?? '';
    expect(text.length).toBeLessThanOrEqual(1024 * 1024);
    expect(text.endsWith(':/:\n')).toBe(true);
    execFileSync('truncate', ['-s', '4G', join(folder, 'top/etc/passwd')]);
    expect((read() ?? '').length).toBeLessThanOrEqual(1024 * 1024);
  });

  test('a layer that is not there says nothing', () => {
    expect(readImageFile([join(folder, 'gone')], '/etc/passwd')).toBeUndefined();
  });
});
