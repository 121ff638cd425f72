import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Service, WatchRule } from '../../../src/model/project.ts';
import { addToBatch, type Batch, dueAt, topmost } from '../../../src/watch/batch.ts';
import { folderFilter, pathFilter } from '../../../src/watch/ignore.ts';
import { isWithin, matchRules, readyRules } from '../../../src/watch/rules.ts';
import { makeService } from '../cli/fakes.ts';

function rule(change: Partial<WatchRule> = {}): WatchRule {
  return { path: '/src/web', action: 'sync', target: '/app', ignore: [], include: [], initialSync: false, ...change };
}

function actionsFor(services: readonly Service[], path: string): string[] {
  const { rules } = readyRules(services, () => undefined);
  return matchRules(rules, path).map(({ service, rule: { action }, target }) => `${service} ${action} ${target ?? '-'}`);
}

test.each([
  [rule(), '/src/web/a.js', ['web sync /app/a.js']],
  [rule(), '/src/web/deep/er/a.js', ['web sync /app/deep/er/a.js']],
  [rule(), '/src/web', ['web sync /app']],
  [rule(), '/src/website/a.js', []],
  [rule(), '/src/other', []],
  [rule({ path: '/src/web/one.conf', target: '/etc/one.conf' }), '/src/web/one.conf', ['web sync /etc/one.conf']],
  [rule({ path: '/src/web/one.conf', target: '/etc/' }), '/src/web/one.conf', ['web sync /etc/one.conf']],
  [rule({ action: 'restart' }), '/src/web/a', ['web restart -']],
  [rule({ action: 'sync+restart' }), '/src/web/a', ['web sync+restart /app/a']],
  [rule({ ignore: ['node_modules/'] }), '/src/web/node_modules/x/y.js', []],
  [rule({ ignore: ['*.log'] }), '/src/web/a.log', []],
  [rule({ ignore: ['*.log'] }), '/src/web/deep/a.log', ['web sync /app/deep/a.log']],
  [rule({ ignore: ['**/*.log', '!keep.log'] }), '/src/web/keep.log', ['web sync /app/keep.log']],
  [rule({ include: ['**/*.js'] }), '/src/web/a.css', []],
  [rule({ include: ['**/*.js'] }), '/src/web/deep/a.js', ['web sync /app/deep/a.js']],
  [rule(), '/src/web/.git/index', []],
  [rule(), '/src/web/.a.js.swp', []],
  [rule(), '/src/web/a.js~', []],
])('%j: a change of %s means %j', (watched, path, actions) => {
  expect(actionsFor([makeService('web', { watch: [watched] })], path)).toEqual(actions);
});

test('a path may concern several services and several rules', () => {
  const services = [
    makeService('a', { watch: [rule(), rule({ action: 'restart' })] }),
    makeService('b', { watch: [rule({ target: '/b' })] }),
  ];
  expect(actionsFor(services, '/src/web/x')).toEqual(['a sync /app/x', 'a restart -', 'b sync /b/x']);
});

test('a .dockerignore in the watched folder counts', () => {
  const { rules } = readyRules([makeService('web', { watch: [rule()] })], (folder) =>
    folder === '/src/web' ? '# comment\ndist\n\n*.tmp\r\n' : undefined,
  );
  expect(['a', 'dist/x', 'b.tmp'].map((path) => matchRules(rules, `/src/web/${path}`).length)).toEqual([1, 0, 0]);
});

test.each([
  [rule({ action: 'rebuild' }), [], 'images are not built yet'],
  [
    rule({ target: '/app/public' }),
    [{ type: 'bind', source: '/x', target: '/app', readOnly: false, createHostPath: true }],
    'a bind mount covers /app already',
  ],
] as const)('a rule that can do nothing is named', (watched, mounts, because) => {
  const { rules, useless } = readyRules([makeService('web', { watch: [watched], mounts })], () => undefined);
  expect([rules, useless]).toEqual([[], [{ service: 'web', path: '/src/web', because }]]);
});

describe('a folder is skipped as a whole', () => {
  test.each([
    [['node_modules'], 'node_modules', false],
    [['node_modules'], 'src', true],
    [['node_modules', '!node_modules/mine'], 'node_modules', true],
    [[], '.git', false],
    [['*'], '', true],
  ])('with %j: %s is looked into: %s', (ignore, path, wanted) => {
    expect(folderFilter({ ignore, include: [], ignoreFile: undefined })(path)).toBe(wanted);
  });

  test('only when no file below would count', () => {
    const patterns = fc.array(fc.constantFrom('a', 'b', 'a/b', '*', '**/b', '!a', '!a/b', 'a/*', 'c/'), { maxLength: 4 });
    const paths = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 2, maxLength: 4 });
    fc.assert(
      fc.property(patterns, paths, (ignore, parts) => {
        const wish = { ignore, include: [], ignoreFile: undefined };
        if (!pathFilter(wish)(parts.join('/'))) return;
        for (let depth = 1; depth < parts.length; depth++) expect(folderFilter(wish)(parts.slice(0, depth).join('/'))).toBe(true);
      }),
    );
  });
});

test.each([
  ['/a', '/a', true],
  ['/a/b', '/a', true],
  ['/ab', '/a', false],
  ['/a', '/a/b', false],
  ['/a', '/', true],
])('%s is within %s: %s', (path, folder, inside) => {
  expect(isWithin(path, folder)).toBe(inside);
});

describe('a batch', () => {
  const timing = { quietMs: 60, longestMs: 1000 };

  test('is due a quiet moment after the last change, and never later than the longest wait', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 59 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(gaps, (list) => {
        let now = 0;
        let batch: Batch | undefined;
        for (const gap of list) {
          now += gap;
          batch = addToBatch(batch, `/p${gap}`, now);
        }
        const due = dueAt(batch as Batch, timing);
        expect(due).toBe(Math.min(now + 60, (list[0] as number) + 1000));
      }),
    );
  });

  test('has every path once, in the order of their first change', () => {
    const batch = ['/b', '/a', '/b'].reduce<Batch | undefined>(
      (before, path, index) => addToBatch(before, path, index),
      undefined,
    );
    expect([...(batch as Batch).paths]).toEqual(['/b', '/a']);
  });

  test('is dealt with by its topmost paths: every path is at or below exactly one of them', () => {
    const path = fc
      .array(fc.constantFrom('a', 'b', 'c-d', 'c'), { minLength: 1, maxLength: 4 })
      .map((parts) => `/${parts.join('/')}`);
    fc.assert(
      fc.property(fc.array(path, { maxLength: 12 }), (paths) => {
        const top = topmost(paths);
        for (const one of paths) expect(top.filter((other) => isWithin(one, other))).toHaveLength(1);
      }),
    );
  });
});
