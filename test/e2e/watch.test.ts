import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { makeProject, type Project, type Running } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { composeOf, idle } from './busybox.ts';

const files = {
  'compose.yaml': composeOf({
    a: `${idle}
develop:
  watch:
    - {action: sync, path: ./pages, target: /srv/pages, ignore: ["*.tmp"]}
    - {action: sync+restart, path: ./program, target: /srv/program}
    - {action: restart, path: ./settings.conf}
`,
  }),
  'pages/index.html': 'old',
  'program/main.sh': 'old',
  'settings.conf': 'old',
};

async function watched(): Promise<{ project: Project; watch: Running; pid: number }> {
  const project = makeProject({ files });
  await project.ok('up', '-d');
  const watch = project.start('watch');
  await eventually('watch to say that it is ready', () => /watch/i.test(watch.stdout() + watch.stderr()));
  return { project, watch, pid: await project.pidOf('a') };
}

const contentOf = async (project: Project, file: string) => (await project.run('exec', '-T', 'a', 'cat', file)).stdout;

test('a changed file arrives in the container without a restart', async () => {
  const { project, watch, pid } = await watched();
  project.write('pages/index.html', 'new');
  await eventually('the new page', async () => (await contentOf(project, '/srv/pages/index.html')) === 'new');
  project.write('pages/deep/down/more.html', 'more');
  await eventually('a file in new folders', async () => (await contentOf(project, '/srv/pages/deep/down/more.html')) === 'more');
  fs.rmSync(path.join(project.folder, 'pages/index.html'));
  await eventually(
    'the page to be gone',
    async () => (await project.run('exec', '-T', 'a', 'test', '-e', '/srv/pages/index.html')).code === 1,
  );
  expect(await project.pidOf('a')).toBe(pid);
  watch.process.kill('SIGINT');
  await watch.finished;
});

test('an ignored file does not arrive, although one written after it does', async () => {
  const { project, watch } = await watched();
  project.write('pages/draft.tmp', 'secret');
  project.write('pages/final.html', 'ready');
  await eventually('the other file', async () => (await contentOf(project, '/srv/pages/final.html')) === 'ready');
  expect((await project.run('exec', '-T', 'a', 'test', '-e', '/srv/pages/draft.tmp')).code).toBe(1);
  watch.process.kill('SIGINT');
  await watch.finished;
});

test.each([
  { action: 'sync+restart', file: 'program/main.sh', inside: '/srv/program/main.sh' },
  { action: 'restart', file: 'settings.conf', inside: undefined },
])('$action gives the service a new process', async ({ file, inside }) => {
  const { project, watch, pid } = await watched();
  project.write(file, 'new');
  await eventually('a new process', async () => ![pid, 0].includes(await project.pidOf('a')));
  if (inside) expect(await contentOf(project, inside)).toBe('new');
  watch.process.kill('SIGINT');
  await watch.finished;
});

test('a changed compose file is carried out', async () => {
  const { project, watch } = await watched();
  project.write('compose.yaml', files['compose.yaml'].replace('init: true', 'init: true\n    environment: {COLOUR: blue}'));
  await eventually(
    'the new environment',
    async () => (await project.run('exec', '-T', 'a', 'sh', '-c', 'echo $COLOUR')).stdout === 'blue\n',
  );
  watch.process.kill('SIGINT');
  await watch.finished;
});
