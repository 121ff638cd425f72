import { describe, expect, test } from 'vitest';
import { guessProjectName, load } from '../../../src/load/load.ts';
import { filesOf } from './support.ts';

const stack = 'services: {a: {image: "${IMAGE:-none}"}}\n';

function loadFrom(table: Readonly<Record<string, string>>, request: Partial<Parameters<typeof load>[0]> = {}) {
  const full = { workingDir: '/w/shop', files: [], profiles: [], services: [], envFiles: [], env: {}, ...request };
  const result = load(full, filesOf(table));
  const guess = guessProjectName(full.workingDir, full.files, full.env, filesOf(table), {
    projectName: full.projectName,
    projectDirectory: full.projectDirectory,
    envFiles: full.envFiles,
  });
  if (result.project) expect(guess).toBe(result.project.name);
  return { ...result.project, image: result.project?.services[0]?.image, diagnostics: result.diagnostics };
}

describe('finding files', () => {
  test.each([
    [
      'the current folder',
      { '/w/shop/compose.yaml': stack },
      {},
      { configFiles: ['/w/shop/compose.yaml'], workingDir: '/w/shop', name: 'shop' },
    ],
    [
      'a folder above',
      { '/w/docker-compose.yml': stack },
      {},
      { configFiles: ['/w/docker-compose.yml'], workingDir: '/w', name: 'w' },
    ],
    [
      'an override beside',
      { '/w/shop/compose.yml': stack, '/w/shop/compose.override.yml': 'services: {a: {image: y}}' },
      {},
      { configFiles: ['/w/shop/compose.yml', '/w/shop/compose.override.yml'], image: 'y' },
    ],
    [
      '-f',
      { '/w/other/a.yaml': stack, '/w/shop/b.yaml': 'services: {a: {image: z}}' },
      { files: ['../other/a.yaml', 'b.yaml'] },
      { configFiles: ['/w/other/a.yaml', '/w/shop/b.yaml'], workingDir: '/w/other', name: 'other', image: 'z' },
    ],
    [
      'COMPOSE_FILE',
      { '/w/shop/a.yaml': stack, '/w/shop/b.yaml': stack },
      { env: { COMPOSE_FILE: 'a.yaml:b.yaml' } },
      { configFiles: ['/w/shop/a.yaml', '/w/shop/b.yaml'] },
    ],
    [
      'COMPOSE_FILE in .env',
      { '/w/shop/.env': 'COMPOSE_FILE=a.yaml\nIMAGE=e', '/w/shop/a.yaml': stack },
      {},
      { configFiles: ['/w/shop/a.yaml'], image: 'e' },
    ],
    [
      '--project-directory',
      { '/w/x/compose.yaml': stack, '/w/x/.env': 'IMAGE=x' },
      { projectDirectory: '../x' },
      { workingDir: '/w/x', name: 'x', image: 'x' },
    ],
    [
      'the shell wins over .env',
      { '/w/shop/compose.yaml': stack, '/w/shop/.env': 'IMAGE=file' },
      { env: { IMAGE: 'shell' } },
      { image: 'shell' },
    ],
    [
      '--env-file instead of .env, the last wins',
      { '/w/shop/compose.yaml': stack, '/w/shop/.env': 'IMAGE=no', '/w/shop/a': 'IMAGE=a', '/w/shop/b': 'IMAGE=b' },
      { envFiles: ['a', 'b'] },
      { image: 'b' },
    ],
    [
      'COMPOSE_DISABLE_ENV_FILE',
      { '/w/shop/compose.yaml': stack, '/w/shop/.env': 'IMAGE=no' },
      { env: { COMPOSE_DISABLE_ENV_FILE: '1' } },
      { image: 'none' },
    ],
    ['.env of a folder above', { '/w/compose.yaml': stack, '/w/.env': 'IMAGE=up' }, {}, { image: 'up' }],
    ['the name in the file', { '/w/shop/compose.yaml': `name: "\${N:-named}"\n${stack}` }, {}, { name: 'named' }],
    [
      'the name in the last file',
      { '/w/shop/compose.yaml': `name: one\n${stack}`, '/w/shop/compose.override.yaml': 'name: two # it wins\n' },
      {},
      { name: 'two' },
    ],
    [
      'COMPOSE_PROJECT_NAME',
      { '/w/shop/compose.yaml': `name: one\n${stack}` },
      { env: { COMPOSE_PROJECT_NAME: 'env' } },
      { name: 'env' },
    ],
    [
      '-p',
      { '/w/shop/compose.yaml': `name: one\n${stack}` },
      { projectName: 'flag', env: { COMPOSE_PROJECT_NAME: 'env' } },
      { name: 'flag' },
    ],
    [
      'a folder with a difficult name',
      { '/w/_My Shop.2/compose.yaml': stack },
      { workingDir: '/w/_My Shop.2' },
      { name: 'myshop2' },
    ],
    [
      'the name in a service',
      { '/w/shop/compose.yaml': 'services: {a: {image: "${COMPOSE_PROJECT_NAME}"}}' },
      {},
      { image: 'shop' },
    ],
  ])('%s', (_name, table: Record<string, string>, request, expected) => {
    expect(loadFrom(table, request)).toMatchObject(expected);
  });

  test('several candidates are told, and the preferred one is taken', () => {
    const found = loadFrom({ '/w/shop/compose.yaml': stack, '/w/shop/docker-compose.yml': stack });
    expect(found.configFiles).toEqual(['/w/shop/compose.yaml']);
    expect(found.diagnostics).toMatchObject([{ severity: 'warning', message: expect.stringContaining('docker-compose.yml') }]);
  });

  test('standard input is a file named -', () => {
    const table = { '-': 'name: piped\nservices: {a: {image: x}}' };
    const result = load({ workingDir: '/w', files: ['-'], profiles: [], services: [], envFiles: [], env: {} }, filesOf(table));
    expect(result.project).toMatchObject({ name: 'piped', workingDir: '/w', configFiles: ['-'] });
  });

  test.each([
    ['a missing -f', { files: ['nope.yaml'] }, 'FILE_NOT_FOUND'],
    ['a missing --env-file', { envFiles: ['nope.env'] }, 'FILE_NOT_FOUND'],
    ['a folder as a file', { files: ['folder'] }, 'FILE_UNREADABLE'],
    ['a bad -p', { projectName: 'Bad Name' }, 'NAME_INVALID'],
  ])('%s', (_name, request, code) => {
    const found = loadFrom({ '/w/shop/compose.yaml': stack, '/w/shop/folder/x': '' }, request);
    expect(found.diagnostics.map((diagnostic) => diagnostic.code)).toContain(code);
  });
});
