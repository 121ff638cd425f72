import { describe, expect, test } from 'vitest';
import { gatherDiagnostics } from '../../../src/load/diagnostics.ts';
import { readEnvFile, readRawEnvFile } from '../../../src/load/env-file.ts';

const surroundings: Readonly<Record<string, string>> = { SHELL_ONLY: 'shell', BOTH: 'shell' };
const lookup = (name: string) => surroundings[name];

function read(text: string) {
  const diagnostics = gatherDiagnostics();
  return { values: Object.fromEntries(readEnvFile('/shop/.env', text, lookup, diagnostics)), faults: diagnostics.sorted() };
}

describe('readEnvFile', () => {
  test.each([
    ['A=1\nB=2', { A: '1', B: '2' }],
    ['A: 1', { A: '1' }],
    ['export A=1', { A: '1' }],
    ['export\tA = 1 ', { A: '1' }],
    ['exported=1', { exported: '1' }],
    ['A=', { A: '' }],
    ['# comment\n\n  A=1 # comment\n', { A: '1' }],
    ['A=b#c', { A: 'b#c' }],
    ['A="b # c" # d', { A: 'b # c' }],
    ["A='$B \\n'", { A: '$B \\n' }],
    ["A='it\\'s'", { A: "it's" }],
    ['A="1\\n2\\t\\"3\\" \\$B"', { A: '1\n2\t"3" $B' }],
    ['A="first\nsecond"\nB=2', { A: 'first\nsecond', B: '2' }],
    ['A=1\nB=${A}2', { A: '1', B: '12' }],
    ['BOTH=file\nA=$BOTH', { BOTH: 'file', A: 'shell' }],
    ['SHELL_ONLY', { SHELL_ONLY: 'shell' }],
    ['NOWHERE', {}],
    ['a.b-c[0]=1', { 'a.b-c[0]': '1' }],
    ['\ufeffA=1', { A: '1' }],
    ['A=1\r\nB=2\r\n', { A: '1', B: '2' }],
    [
      '__proto__=x\nA=1',
      Object.fromEntries([
        ['__proto__', 'x'],
        ['A', '1'],
      ]),
    ],
  ])('%j', (text, expected) => {
    expect(read(text)).toEqual({ values: expected, faults: [] });
  });

  test.each([
    ['A=1\nB="open\nC=2', 2, 3, 'the quote " is not closed'],
    ['A=1\n\nTWO WORDS=2', 3, 1, 'a variable\'s name has no space: "TWO WORDS"'],
    ['lol$wut=1', 1, 1, '"$" does not belong into a variable\'s name: "lol$wut"'],
    ['A=1\nB=${', 2, 1, '"${" is no variable'],
  ])('%j is told at its place', (text, line, column, message) => {
    expect(read(text).faults).toMatchObject([{ severity: 'error', message, at: { file: '/shop/.env', line, column } }]);
  });
});

test('a raw file is taken as it is', () => {
  expect([...readRawEnvFile('# no\nA="1" # $B\nSHELL_ONLY\nNOWHERE\nB=x=y', lookup)]).toEqual([
    ['A', '"1" # $B'],
    ['SHELL_ONLY', 'shell'],
    ['B', 'x=y'],
  ]);
});
