/** State that is damaged, gone or in the way, and a disk that is full. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeProject, type Project } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { expectUnchanged, takeSnapshot } from '../support/snapshot.ts';
import { isRunning } from '../support/processes.ts';
import { composeOf as composeWith, idle } from './busybox.ts';

const names = ['a', 'b', 'c'];
const secrets = 'secrets:\n  token:\n    environment: TOKEN\n';
const composeOf = (services: Readonly<Record<string, string>>) => composeWith(services, secrets);
const service = `secrets: [token]\n${idle}restart: always\nstop_grace_period: 1s\n`;
const stack = composeOf(Object.fromEntries(names.map((name) => [name, service])));

const damages: readonly { readonly damage: string; readonly of: (text: string) => string | Buffer }[] = [
  { damage: 'emptied', of: () => '' },
  { damage: 'cut off', of: (text) => text.slice(0, text.length / 2) },
  { damage: 'overwritten with garbage', of: () => randomBytes(300) },
  { damage: 'replaced by other JSON', of: () => '{"version":1,"values":7,"networks":[null],"containers":{}}' },
];

const files: readonly { readonly file: string; readonly in: (project: Project) => string[] }[] = [
  { file: 'project.json', in: ({ root, name }) => [`${root}/data/projects/${name}/project.json`] },
  { file: 'leases.json', in: ({ root }) => [`${root}/data/leases.json`] },
  { file: 'values.json', in: ({ root, name }) => [`${root}/run/projects/${name}/values.json`] },
  { file: 'every status', in: (project) => containerFiles(project, 'status') },
];

test.each(files.flatMap((file) => damages.map((damage) => ({ ...file, ...damage }))))(
  '$file $damage: what runs goes on, the next up converges, down leaves nothing',
  async ({ in: place, of }) => {
    const before = takeSnapshot();
    const project = makeProject({ files: { 'compose.yaml': stack }, env: { TOKEN: 'x' } });
    await project.ok('up', '-d');
    const pids = await pidsOf(project);
    for (const file of place(project)) fs.writeFileSync(file, of(fs.readFileSync(file, 'utf8')));
    await killSupervisor(project);
    project.write('compose.yaml', composeOf(Object.fromEntries([...names, 'd'].map((name) => [name, service]))));
    await converge(project, [...names, 'd']);
    expect(pids.filter((pid) => !isRunning(pid))).toEqual([]);
    expect(new Set(await addresses(project)).size).toBe(4);
    await project.ok('down', '-t', '1');
    await expectUnchanged(before, project.name);
  },
);

test('exec says in words that config.json is damaged, and a restart mends it', async () => {
  const project = makeProject({ files: { 'compose.yaml': stack }, env: { TOKEN: 'x' } });
  await project.ok('up', '-d');
  for (const file of containerFiles(project, 'config.json')) fs.writeFileSync(file, '{');
  const { code, stderr } = await project.run('exec', '-T', 'a', 'true');
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('FILE_UNREADABLE') });
  await project.ok('restart', 'a');
  await project.ok('exec', '-T', 'a', 'true');
});

test('a record that is lost with its copy: the next up makes the stack anew, and down leaves nothing', async () => {
  const before = takeSnapshot();
  const project = makeProject({ files: { 'compose.yaml': stack }, env: { TOKEN: 'x' } });
  await project.ok('up', '-d');
  const pids = await pidsOf(project);
  for (const folder of [`${project.root}/data`, `${project.root}/run`])
    fs.writeFileSync(`${folder}/projects/${project.name}/project.json`, 'x');
  await killSupervisor(project);
  await converge(project, names);
  expect(pids.filter((pid) => isRunning(pid))).toEqual([]);
  await project.ok('down', '-t', '1');
  await expectUnchanged(before, project.name);
});

test('down alone removes what no record knows: shims, links, cgroups, folders, leases', async () => {
  const before = takeSnapshot();
  const project = makeProject({ files: { 'compose.yaml': stack }, env: { TOKEN: 'x' } });
  await project.ok('up', '-d');
  for (const folder of [`${project.root}/data`, `${project.root}/run`])
    fs.rmSync(`${folder}/projects/${project.name}/project.json`);
  await killSupervisor(project);
  await project.ok('down', '-t', '1');
  await expectUnchanged(before, project.name);
  expect(JSON.parse(fs.readFileSync(`${project.root}/data/leases.json`, 'utf8'))).toMatchObject({ networks: {} });
  expect(fs.readdirSync(`${project.root}/data/projects`)).toEqual([]);
});

test('a run folder that is deleted while the project is stopped is made again', async () => {
  const project = makeProject({ files: { 'compose.yaml': stack }, env: { TOKEN: 'x' } });
  await project.ok('up', '-d');
  await project.ok('stop');
  await eventually('the supervisor to go', () => project.supervisorPid() === undefined);
  fs.rmSync(`${project.root}/run`, { recursive: true });
  await converge(project, names);
});

test('a run folder that is deleted under what runs: the next up converges, and nobody is left over', async () => {
  const before = takeSnapshot();
  const project = makeProject({ files: { 'compose.yaml': stack }, env: { TOKEN: 'x' } });
  await project.ok('up', '-d');
  const [supervisor, pids] = [project.supervisorPid() as number, await pidsOf(project)];
  fs.rmSync(`${project.root}/run`, { recursive: true });
  process.kill(supervisor, 'SIGKILL');
  await eventually('its end', () => !isRunning(supervisor));
  await converge(project, names);
  expect(pids.filter((pid) => isRunning(pid))).toEqual([]);
  await project.ok('down', '-t', '1');
  await expectUnchanged(before, project.name);
});

test('a full disk: up says so, what runs goes on, and down works while it is still full', async () => {
  const before = takeSnapshot();
  const project = makeProject({ files: { 'compose.yaml': stack }, env: { TOKEN: 'x' } });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', project.root]);
  onTestFinished(() => {
    execFileSync('umount', ['-l', project.root]);
  });
  await project.ok('up', '-d');
  const pids = await pidsOf(project);
  fill(project.root);
  project.write('compose.yaml', composeOf(Object.fromEntries([...names, 'd'].map((name) => [name, service]))));
  for (const _ of ['with the supervisor that was there', 'with a new one']) {
    const { code, stderr } = await project.run('up', '-d');
    expect(stderr).toContain('STATE_UNWRITABLE');
    expect(stderr).not.toMatch(/^ +at /m);
    expect(code).toBe(1);
    await killSupervisor(project);
  }
  expect(await pidsOf(project)).toEqual(pids);
  fill(project.root);
  await project.ok('down', '-t', '1');
  expect(pids.filter((pid) => isRunning(pid))).toEqual([]);
  expect(fs.existsSync(`${project.root}/run/projects/${project.name}`)).toBe(false);
  expect(fs.existsSync(`${project.root}/data/projects/${project.name}`)).toBe(false);
  execFileSync('umount', [project.root]);
  await expectUnchanged(before, project.name);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', project.root]);
});

/** To the last byte: large pieces first, then small ones. */
function fill(folder: string): void {
  const file = fs.openSync(path.join(folder, 'filling'), 'a');
  for (const size of [65536, 4096, 1]) {
    try {
      for (;;) fs.writeSync(file, Buffer.alloc(size));
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
  fs.closeSync(file);
}

async function converge(project: Project, services: readonly string[]): Promise<void> {
  const { stderr } = await project.ok('up', '-d');
  expect(stderr).not.toMatch(/^ +at /m);
  expect((await project.ps()).map(({ Service, State }) => `${Service} ${State}`).sort()).toEqual(
    services.map((name) => `${name} running`),
  );
  expect((await project.ok('up', '-d')).stderr).toContain('Nothing to do');
}

function pidsOf(project: Project): Promise<number[]> {
  return Promise.all(names.map((name) => project.pidOf(name)));
}

async function addresses(project: Project): Promise<string[]> {
  const services = (await project.ps()).map(({ Service }) => Service);
  const found = services.map(
    async (name) => (await project.ok('exec', '-T', name, 'ip', '-4', '-o', 'addr', 'show', 'eth0')).stdout,
  );
  return (await Promise.all(found)).map((text) => /inet (\S+)/.exec(text)?.[1] ?? text);
}

function containerFiles({ root, name }: Project, file: string): string[] {
  const folder = `${root}/run/projects/${name}/containers`;
  return fs.readdirSync(folder).map((id) => path.join(folder, id, file));
}

/** The shims bring another one back, which reads everything anew. */
async function killSupervisor(project: Project): Promise<void> {
  const former = await eventually('a supervisor', () => project.supervisorPid());
  process.kill(former, 'SIGKILL');
  await eventually('another supervisor, or none', () => project.supervisorPid() !== former);
}
