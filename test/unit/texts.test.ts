import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandTable } from '../../src/cli/command-table.ts';
import { errorCodes } from '../../src/errors.ts';
import { topLevelFields } from '../../src/load/attributes.ts';
import { serviceFields } from '../../src/load/service-attributes.ts';
import { repository } from '../support/repository.ts';

const read = (file: string) => fs.readFileSync(path.join(repository, file), 'utf8');
const packageFile = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>;
  version: string;
  dependencies?: Record<string, string>;
  devDependencies: Record<string, string>;
};
const texts = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...fs.readdirSync(path.join(repository, 'docs')).map((file) => `docs/${file}`),
];

const commandNames = commandTable.map((command) => command.name);

/** First cells of a table's rows that are code: | `NAME` | … | → [NAME, …]. */
function rowsOf(text: string): string[][] {
  const lines = text.split('\n').filter((line) => /^\| `/.test(line));
  return lines.map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1')),
  );
}

test('docs/errors.md lists exactly the codes of the registry, with their exit statuses', () => {
  const documented = rowsOf(read('docs/errors.md')).map(([code, exit]) => [code, Number(exit)]);
  expect(Object.fromEntries(documented)).toEqual({ ...errorCodes });
  expect(documented).toHaveLength(Object.keys(errorCodes).length);
});

test('docs/compose.md lists exactly the attributes that the loader knows, and whether they act', () => {
  const fields = { ...prefixed('', topLevelFields), ...prefixed('services.*.', serviceFields) };
  const documented = rowsOf(read('docs/compose.md')).map(([name, acts]) => [name, acts]);
  expect(Object.fromEntries(documented)).toEqual(fields);
});

test('docs/dependencies.md lists exactly the packages of package.json', () => {
  const documented = rowsOf(read('docs/dependencies.md')).map(([name]) => name);
  expect(documented.sort()).toEqual(Object.keys({ ...packageFile.dependencies, ...packageFile.devDependencies }).sort());
});

test('the changelog has an entry for the version of the package', () => {
  expect(read('CHANGELOG.md')).toContain(`## ${packageFile.version}`);
});

describe.each(texts)('%s', (file) => {
  test('names only npm scripts that are there', () => {
    const named = [...read(file).matchAll(/npm (?:run )?([a-z:]+)/g)].map((match) => match[1] as string);
    const builtIn = ['ci', 'cit', 'install', 'test', 'run', 'pack', 'packages', 'package', 'to', 'and', 'itself', 'gcc'];
    expect(named.filter((name) => !builtIn.includes(name) && !(name in packageFile.scripts))).toEqual([]);
  });

  test('names only commands that the program has', () => {
    const named = [...read(file).matchAll(/(?:npx tscompose|tscompose\.js)(?: -[fp] \S+)* ([a-z]+)/g)].map(
      (match) => match[1] as string,
    );
    expect(named.filter((name) => !commandNames.includes(name))).toEqual([]);
  });

  test('links only to files that are there', () => {
    const links = [...read(file).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] as string);
    expect(links.filter((link) => !fs.existsSync(path.resolve(repository, path.dirname(file), link)))).toEqual([]);
  });
});

function prefixed(prefix: string, fields: typeof serviceFields): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, { support }]) => [prefix + name, support === undefined ? 'yes' : 'not yet']),
  );
}
