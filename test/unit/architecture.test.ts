import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { repository } from '../support/repository.ts';

const source = path.join(repository, 'src');

/** Room → rooms it may import beside itself. A file directly in src/ is a room of that name; "all" is without a bound. */
const mayImport: Readonly<Record<string, readonly string[] | 'all'>> = {
  errors: [],
  events: ['errors'],
  model: ['errors'],
  load: ['model', 'errors'],
  plan: ['model', 'errors'],
  apply: ['plan', 'model', 'events', 'errors'],
  core: ['errors'],
  runtime: ['core', 'model', 'errors'],
  network: ['core', 'model', 'errors'],
  storage: ['core', 'model', 'errors'],
  state: ['model', 'errors'],
  supervise: ['apply', 'plan', 'model', 'state', 'events', 'errors'],
  watch: ['apply', 'plan', 'model', 'state', 'events', 'errors'],
  observe: ['core', 'state', 'model', 'errors'],
  wire: 'all',
  index: 'all',
  cli: 'all',
};

/** Rooms that reach for nothing outside: no node: module but these. */
const pureRooms: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  events: [],
  model: ['node:crypto'],
  load: ['node:path', 'node:crypto'],
  plan: [],
};

/** Nothing imports these. */
const doors = ['cli', 'index'];

interface Import {
  readonly file: string;
  readonly room: string;
  readonly specifier: string;
}

const imports = sourceFiles(source).flatMap(importsOf);

test('every room imports only what its row of the table allows', () => {
  expect(imports.filter((entry) => !isAllowed(entry)).map(describe)).toEqual([]);
});

test('every room has a row in the table', () => {
  const rooms = new Set(sourceFiles(source).map(roomOf));
  expect([...rooms].filter((room) => !(room in mayImport))).toEqual([]);
});

test('pure rooms import no node: module beyond their list', () => {
  const impure = imports.filter(
    ({ room, specifier }) => specifier.startsWith('node:') && pureRooms[room]?.includes(specifier) === false,
  );
  expect(impure.map(describe)).toEqual([]);
});

test('pure rooms touch neither process nor the console nor the clock', () => {
  const touching = sourceFiles(source).filter(
    (file) =>
      roomOf(file) in pureRooms &&
      /\bprocess\.|\bconsole\.(log|error|warn|info|debug)\b|\bDate\.now\(|\bMath\.random\(/.test(withoutComments(file)),
  );
  expect(touching).toEqual([]);
});

test('only the command line prints', () => {
  const printing = sourceFiles(source).filter(
    (file) =>
      roomOf(file) !== 'cli' &&
      /\bconsole\.(log|error|warn|info|debug)\b|\bprocess\.(stdout|stderr)\b/.test(withoutComments(file)),
  );
  expect(printing).toEqual([]);
});

test('files do not import each other in circles', () => {
  expect(circles()).toEqual([]);
});

test('no module exports a name "then": whoever awaits such a module waits for ever', () => {
  const thenable = /^export\s+(?:async\s+)?(?:function|const|let)\s+then\b|^export\s*\{[^}]*\bthen\b[^}]*\}/m;
  expect(sourceFiles(source).filter((file) => thenable.test(withoutComments(file)))).toEqual([]);
});

function isAllowed({ file, room, specifier }: Import): boolean {
  if (!specifier.startsWith('.')) return true;
  const target = roomOf(path.relative(source, path.resolve(source, path.dirname(file), specifier)));
  const allowed = mayImport[room] ?? [];
  if (target === room) return true;
  return !doors.includes(target) && (allowed === 'all' || allowed.includes(target));
}

function describe({ file, specifier }: Import): string {
  return `${file} → ${specifier}`;
}

/** Paths below src/. */
function sourceFiles(folder: string): string[] {
  const entries = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return entries.filter((entry) => entry.endsWith('.ts')).sort();
}

function roomOf(file: string): string {
  return (file.split(path.sep)[0] as string).replace(/\.ts$/, '');
}

function importsOf(file: string): Import[] {
  const specifiers = withoutComments(file).matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)['"]([^'"]+)['"]/g);
  return [...specifiers].map((match) => ({ file, room: roomOf(file), specifier: match[1] as string }));
}

function withoutComments(file: string): string {
  return fs
    .readFileSync(path.join(source, file), 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '');
}

/** Types are gone when the program runs, so only imports of values can form a circle. */
function circles(): string[] {
  const graph = new Map(sourceFiles(source).map((file) => [file, valueImportsOf(file)]));
  const found = new Set<string>();
  const finished = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) found.add([...trail.slice(trail.indexOf(file)), file].join(' → '));
    else if (!finished.has(file)) {
      for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
      finished.add(file);
    }
  };
  for (const file of graph.keys()) visit(file, []);
  return [...found];
}

function valueImportsOf(file: string): string[] {
  const statements = withoutComments(file).matchAll(/^(?:import|export)\s+(?!type\b)([^'"]*?)from\s+['"](\.[^'"]+)['"]/gm);
  const values = [...statements].filter(([, names]) => !isTypesOnly(names as string));
  return values.map(([, , specifier]) => path.relative(source, path.resolve(source, path.dirname(file), specifier as string)));
}

/** import { type A, type B } from … */
function isTypesOnly(names: string): boolean {
  const list = /^\{([^}]*)\}\s*$/.exec(names.trim())?.[1];
  return list?.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type ')) ?? false;
}
