import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gatherDiagnostics } from '../../../src/load/diagnostics.ts';
import { toPlain } from '../../../src/load/source.ts';
import { readYaml, yamlLimits } from '../../../src/load/yaml.ts';

function read(text: string) {
  const diagnostics = gatherDiagnostics();
  const documents = readYaml('compose.yaml', text, diagnostics);
  return {
    plain: documents?.map(toPlain),
    faults: diagnostics.sorted().map(({ code, message, at }) => `${at?.line}:${at?.column} ${code}: ${message}`),
  };
}

function scalarOf(text: string): unknown {
  const { plain, faults } = read(`v: ${text}`);
  expect(faults).toEqual([]);
  return (plain as Record<string, unknown>[])[0]?.['v'];
}

describe('plain scalars', () => {
  test.each([
    ['', null],
    ['~', null],
    ['null', null],
    ['true', true],
    ['False', false],
    ['yes', 'yes'],
    ['off', 'off'],
    ['12', 12],
    ['-3', -3],
    ['0440', 288],
    ['0o17', 15],
    ['0x1f', 31],
    ['1_000', 1000],
    ['1.5', 1.5],
    ['1e3', 1000],
    ['8080:80', '8080:80'],
    ['1.2.3', '1.2.3'],
    ['08', 8],
    ['"12"', '12'],
    ['!!str 12', '12'],
    ['2024-01-01', '2024-01-01'],
    ['.5', 0.5],
  ])('%s → %j', (text, expected) => {
    expect(scalarOf(text)).toEqual(expected);
  });
});

describe('structure', () => {
  test('anchors and merge keys, in which own keys win and earlier maps win', () => {
    const { plain } = read('a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n');
    expect(plain).toEqual([{ a: { x: 1, y: 1 }, b: { y: 2, z: 2 }, c: { x: 3, y: 1, z: 2 } }]);
  });

  test('several documents', () => {
    expect(read('a: 1\n---\nb: 2\n').plain).toEqual([{ a: 1 }, { b: 2 }]);
  });

  test('keys are texts, and none of them is special', () => {
    const { plain } = read('123: a\ntrue: b\n__proto__: {polluted: 1}\nconstructor: c\n');
    expect(Object.keys(plain?.[0] as object)).toEqual(['123', 'true', '__proto__', 'constructor']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('faults', () => {
  test.each([
    ['a: 1\nb: 2\na: 3\n', '3:1 YAML_SYNTAX: the key "a" is already there, in line 1'],
    ['a: *nowhere\n', '1:4 YAML_SYNTAX: the alias *nowhere has no anchor &nowhere before it'],
    ['a: &x\n  b: *x\n', '2:6 YAML_SYNTAX: the alias *x stands inside the value of its own anchor'],
    ['a:\n  <<: text\n', '2:3 YAML_SYNTAX: the merge key << needs a mapping, or a list of mappings'],
    ['? [a, b]\n: c\n', '1:3 YAML_SYNTAX: a key must be a single value'],
    ['a: \0', '1:4 YAML_SYNTAX: the file contains a zero byte, so it is no text'],
  ])('%j', (text, expected) => {
    expect(read(text).faults).toContain(expected);
  });

  test.each([['a: [1, 2\nb: 3\n'], ['a: "open\n'], ['\tb: 1\n'], ['a: b: c\n'], ['a:\n  - b\n c: d\n']])(
    '%j is told with a place',
    (text) => {
      const { faults } = read(text);
      expect(faults.length).toBeGreaterThan(0);
      expect(faults[0]).toMatch(/^\d+:\d+ YAML_SYNTAX: /);
    },
  );
});

describe('hostile texts', () => {
  const bomb = (levels: number) =>
    [
      'a0: &a0 [x]',
      ...Array.from(
        { length: levels },
        (_, index) => `a${index + 1}: &a${index + 1} [${Array(9).fill(`*a${index}`).join(', ')}]`,
      ),
    ].join('\n');

  test.each([
    ['an alias bomb', bomb(9), /more than 100000 values/],
    ['deep flow', `a: ${'['.repeat(50_000)}`, /levels of nesting|nested too deeply/],
    ['deep block', Array.from({ length: 300 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'), /levels of nesting/],
    ['deep dashes', `${'- '.repeat(5_000)}a`, /levels of nesting|nested too deeply/],
    ['a huge file', 'a'.repeat(yamlLimits.characters + 1), /characters/],
  ])('%s ends with a fault, soon', (_name, text, message) => {
    const started = performance.now();
    expect(read(text).faults.join()).toMatch(message);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test('a very wide map is read in linear time', () => {
    const started = performance.now();
    const text = Array.from({ length: 40_000 }, (_, index) => `key${index}: v`).join('\n');
    expect(Object.keys(read(text).plain?.[0] as object)).toHaveLength(40_000);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('what JSON can say comes back as it was', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { noNullPrototype: true }), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.parse(JSON.stringify(read(text).plain?.[0]))).toEqual(JSON.parse(text));
      }),
      { numRuns: 200 },
    );
  });

  test('any text gives documents or faults', () => {
    const piece = fc.constantFrom(
      'a',
      ': ',
      '- ',
      '\n',
      '  ',
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      '&a ',
      '*a',
      '<<: ',
      '!reset ',
      '#',
      '|',
      '>',
      '---\n',
      '?',
      ',',
      '\t',
      '%',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (parts) => {
        const { plain, faults } = read(parts.join(''));
        expect(plain !== undefined || faults.length > 0).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
