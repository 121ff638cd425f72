import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { makeProject, type Project } from '../support/cli.ts';
import { expectUnchanged, takeSnapshot } from '../support/snapshot.ts';
import { busybox, composeOf, idle } from './busybox.ts';

interface Case {
  readonly name: string;
  readonly compose: string;
  readonly code: number;
  /** Everything that the message must contain. */
  readonly says: readonly RegExp[];
}

const cases: readonly Case[] = [
  { name: 'YAML that does not parse', compose: 'services:\n  a: [1,\n', code: 1, says: [/compose\.yaml:\d+:\d+/, /YAML_SYNTAX/] },
  {
    name: 'a key given twice',
    compose: `services:\n  a:\n    image: ${busybox}\n    image: other\n`,
    code: 1,
    says: [/compose\.yaml:4:5/, /image/],
  },
  {
    name: 'an attribute nobody knows',
    compose: composeOf({ a: 'imge: x\n' }),
    code: 1,
    says: [/compose\.yaml:4:5/, /imge/, /UNKNOWN_ATTRIBUTE/],
  },
  {
    name: 'a service that would have to be built',
    compose: 'services:\n  a:\n    build: .\n',
    code: 1,
    says: [/compose\.yaml:3:/, /build/, /UNSUPPORTED_ATTRIBUTE/],
  },
  { name: 'a value of the wrong type', compose: composeOf({ a: 'ports: 80\n' }), code: 1, says: [/compose\.yaml:4:/, /ports/] },
  {
    name: 'services in a circle',
    compose: composeOf({ a: 'depends_on: [b]\n', b: 'depends_on: [a]\n' }),
    code: 1,
    says: [/DEPENDENCY_CYCLE/, /a.*b/],
  },
  {
    name: 'a dependency that is not there',
    compose: composeOf({ a: 'depends_on: [ghost]\n' }),
    code: 1,
    says: [/ghost/, /REFERENCE_UNDEFINED/],
  },
  {
    name: 'a network that is not there',
    compose: composeOf({ a: 'networks: [ghost]\n' }),
    code: 1,
    says: [/ghost/, /REFERENCE_UNDEFINED/],
  },
  {
    name: 'a required variable that is not set',
    compose: composeOf({ a: 'hostname: ${NOT_SET:?say who}\n' }),
    code: 1,
    says: [/NOT_SET/, /say who/, /VARIABLE_MISSING/],
  },
  {
    name: 'a bind source that is not there',
    compose: composeOf({ a: `${idle}volumes: [{type: bind, source: ./ghost, target: /x, bind: {create_host_path: false}}]\n` }),
    code: 1,
    says: [/ghost/, /BIND_SOURCE_MISSING/],
  },
  {
    name: 'an image of a kind that is not there',
    compose: 'services:\n  a: {image: "rootfs:/no/such/folder"}\n',
    code: 1,
    says: [/\/no\/such\/folder/, /IMAGE_MISSING/],
  },
  {
    name: 'a command that does not exist',
    compose: composeOf({ a: 'command: [no-such-program]\n' }),
    code: 127,
    says: [/no-such-program/, /COMMAND_NOT_FOUND/],
  },
  {
    name: 'a command that cannot be executed',
    compose: composeOf({ a: 'command: [/etc/passwd]\n' }),
    code: 126,
    says: [/\/etc\/passwd/, /COMMAND_NOT_EXECUTABLE/],
  },
];

test.each(cases)('$name: one clear error, exit status $code, nothing left', async ({ compose, code, says }) => {
  const before = takeSnapshot();
  const project = makeProject(compose);
  const finished = await project.run('up', '-d');
  for (const text of says) expect(finished.stderr).toMatch(text);
  expect(finished.code).toBe(code);
  expect(finished.stderr).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
  expect(runningContainers(project)).toEqual([]);
  await project.remove();
  await expectUnchanged(before);
});

test('all faults of a file are told at once, each with its line', async () => {
  const project = makeProject(composeOf({ a: 'imge: x\nprivileged: perhaps\n', b: 'networks: [ghost]\n' }));
  const { stderr } = await project.run('config', '-q');
  for (const place of ['compose.yaml:4:', 'compose.yaml:5:', 'compose.yaml:8:']) expect(stderr).toContain(place);
});

test('an attribute that does not act yet is a warning with its place, and the rest is carried out', async () => {
  const project = makeProject(composeOf({ a: `${idle}blkio_config: {weight: 300}\n` }));
  const { stderr } = await project.ok('up', '-d');
  expect(stderr).toMatch(/compose\.yaml:6:5.*warning UNSUPPORTED_ATTRIBUTE.*blkio_config/);
  expect((await project.container('a')).State).toBe('running');
});

test.each([
  { words: ['upp'], says: /upp/ },
  { words: ['up', '--detach-me'], says: /--detach-me/ },
  { words: ['up', '-d', 'ghost'], says: /ghost/ },
  { words: ['-f', 'missing.yaml', 'up'], says: /missing\.yaml/ },
])('tscompose $words is refused', async ({ words, says }) => {
  const project = makeProject(composeOf({ a: idle }));
  const { code, stderr } = await project.run(...words);
  expect(stderr).toMatch(says);
  expect(code).toBe(1);
});

test('without a compose file it says where it looked', async () => {
  const project = makeProject({ files: {} });
  const { code, stderr } = await project.run('up', '-d');
  expect(code).toBe(1);
  expect(stderr).toMatch(/compose\.yaml/);
});

/** From the status files: `ps` would read the broken compose file. */
function runningContainers(project: Project): string[] {
  const folder = path.join(project.root, 'run/projects', project.name, 'containers');
  const ids = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  return ids.filter((id) => /^state=(running|restarting)$/m.test(readIfThere(path.join(folder, id, 'status'))));
}

function readIfThere(file: string): string {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
}
