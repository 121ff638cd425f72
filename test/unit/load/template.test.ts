import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { substitute, TemplateFault } from '../../../src/load/template.ts';

const variables: Readonly<Record<string, string>> = { NAME: 'value', EMPTY: '', OTHER: 'other' };
const lookup = (name: string) => variables[name];

describe('substitute', () => {
  test.each([
    ['$NAME', 'value'],
    ['${NAME}', 'value'],
    ['a-$NAME-b', 'a-value-b'],
    ['$NAME$OTHER', 'valueother'],
    ['$$NAME', '$NAME'],
    ['$$$NAME', '$value'],
    ['cost: 5$', 'cost: 5$'],
    ['^regex$', '^regex$'],
    ['a $ b', 'a $ b'],
    ['$1', '$1'],
    ['$MISSING!', '!'],
    ['${EMPTY}', ''],
    ['${MISSING:-default}', 'default'],
    ['${EMPTY:-default}', 'default'],
    ['${EMPTY-default}', ''],
    ['${NAME:-default}', 'value'],
    ['${MISSING:-}', ''],
    ['${MISSING:-${OTHER}}', 'other'],
    ['${MISSING:-${ALSO:-deep}}', 'deep'],
    ['${MISSING:-{"a": 1}}', '{"a": 1}'],
    ['${MISSING-http://host:80/?a=b}', 'http://host:80/?a=b'],
    ['${NAME:+set}', 'set'],
    ['${EMPTY:+set}', ''],
    ['${EMPTY+set}', 'set'],
    ['${MISSING+set}', ''],
    ['${NAME:?needed}', 'value'],
    ['${EMPTY?needed}', ''],
  ])('%s → %s', (text, expected) => {
    expect(substitute(text, lookup)).toBe(expected);
  });

  test.each([
    ['${', 'invalid', '"${" is no variable'],
    ['${}', 'invalid', '"${}" is no variable'],
    ['${NAME', 'invalid', '"${NAME" is no variable'],
    ['x ${NA ME} y', 'invalid', '"${NA ME}" is no variable'],
    ['${NAME!}', 'invalid', '"${NAME!}" is no variable'],
    ['${MISSING:?say why}', 'missing', 'the variable MISSING is required and not set, or empty: say why'],
    ['${MISSING?}', 'missing', 'the variable MISSING is required and not set'],
    ['${EMPTY:?for $OTHER}', 'missing', 'the variable EMPTY is required and not set, or empty: for other'],
  ])('%s is refused', (text, kind, message) => {
    expect(() => substitute(text, lookup)).toThrow(expect.objectContaining({ kind, message }));
  });

  test('a default that is not used is not looked at', () => {
    const unset: string[] = [];
    expect(substitute('${NAME:-$MISSING}', lookup, (name) => unset.push(name))).toBe('value');
    expect(unset).toEqual([]);
  });

  test('unset variables are told with their place', () => {
    const unset: [string, number][] = [];
    substitute('ab $MISSING ${EMPTY:-$ALSO}', lookup, (name, offset) => unset.push([name, offset]));
    expect(unset).toEqual([
      ['MISSING', 3],
      ['ALSO', 21],
    ]);
  });

  test('any text gives a text or a TemplateFault within its bounds', () => {
    const piece = fc.constantFrom('$', '{', '}', ':', '-', '?', '+', 'A', '_', ' ', '$$', '${', '${A:-');
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 60 }).map((parts) => parts.join('')),
        (text) => {
          try {
            expect(typeof substitute(text, lookup)).toBe('string');
          } catch (error) {
            expect(error).toBeInstanceOf(TemplateFault);
          }
        },
      ),
    );
  });

  test('defaults nested without end are refused, not followed', () => {
    expect(() => substitute('${A:-'.repeat(5000) + '}'.repeat(5000), lookup)).toThrow(TemplateFault);
  });
});
