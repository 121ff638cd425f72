import { expect, test } from 'vitest';
import { encodeShimFields, encodeSync } from '../../../src/core/core.ts';
import { FieldReader, unblock } from '../../../src/core/frames.ts';

test('what a shim is told comes in the order of SHIM_FIELDS', () => {
  const bytes = encodeShimFields({
    directory: '/run/x',
    logFile: '/var/log',
    rotateBytes: 1,
    keepLogs: 2,
    network: { join: '/proc/9/ns/net' },
    restart: 'on-failure',
    mostRestarts: 3,
    flags: 5,
    stopSignal: 15,
    graceMs: 10_000,
    cgroups: ['/a', '/b'],
    reviver: ['core', 'supervise'],
    program: Buffer.from([1, 2]),
  });
  const read = new FieldReader(bytes);
  expect([
    read.text(),
    read.text(),
    read.u64(),
    read.u32(),
    read.u32(),
    read.text(),
    read.u32(),
    read.u32(),
    read.u32(),
    read.u32(),
  ]).toEqual(['/run/x', '/var/log', 1n, 2, 2, '/proc/9/ns/net', 2, 3, 5, 15]);
  expect([read.u64(), unblock(read.bytes()), unblock(read.bytes()), [...read.bytes()], read.isDone]).toEqual([
    10_000n,
    ['/a', '/b'],
    ['core', 'supervise'],
    [1, 2],
    true,
  ]);
});

test('sync operations follow one another, each with its own fields', () => {
  const read = new FieldReader(
    encodeSync([
      { op: 'write', path: '/f', mode: 0o644, uid: 1, gid: 2, content: Buffer.from('x') },
      { op: 'mkdir', path: '/d', mode: 0o755, uid: 3, gid: 4 },
      { op: 'symlink', path: '/l', target: '/t' },
      { op: 'remove', path: '/r' },
    ]),
  );
  expect([read.u32(), read.text(), read.u32(), read.u32(), read.u32(), read.text()]).toEqual([1, '/f', 0o644, 1, 2, 'x']);
  expect([read.u32(), read.text(), read.u32(), read.u32(), read.u32()]).toEqual([2, '/d', 0o755, 3, 4]);
  expect([read.u32(), read.text(), read.text(), read.u32(), read.text(), read.isDone]).toEqual([3, '/l', '/t', 4, '/r', true]);
});
