/** A stack for soak tests: services that count, the program's commands, and what /proc and the state folder say about both. */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { differences, takeSnapshot } from '../support/snapshot.mjs';

const repository = path.dirname(path.dirname(import.meta.dirname));
const program = path.join(repository, 'dist/tscompose.js');

/** A project of its own in a folder of its own: `size` services that print 1, 2, 3 …, a line every 50 ms. */
export function makeStack(size) {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'tscompose-soak-'));
  // Containers' users reach their files through it.
  fs.chmodSync(base, 0o755);
  const name = `soak${path.basename(base).slice(-6).toLowerCase()}`;
  const rootfs = execFileSync(process.execPath, [path.join(repository, 'test/setup/rootfs.mjs'), 'busybox'], {
    encoding: 'utf8',
  });
  const file = path.join(base, 'compose.yaml');
  fs.writeFileSync(file, composeFile(size, `${rootfs.trim()}/busybox`));
  return { name, size, base, file, root: path.join(base, 'root') };
}

function composeFile(size, rootfs) {
  const services = Array.from({ length: size }, (_, index) => `  s${String(index + 1).padStart(2, '0')}: *counter`);
  return `x-counter: &counter
  image: rootfs:${rootfs}
  command: [sh, -c, 'i=0; while :; do i=$$((i+1)); echo $$i; sleep 0.05; done']
  init: true
  stop_grace_period: 1s
services:
${services.join('\n')}
`;
}

/** Starts a command of the program on the stack; `finished` resolves to its exit status, what it said and how long it took. */
export function start(stack, ...words) {
  const startedAt = performance.now();
  const env = { ...process.env, TSCOMPOSE_ROOT: stack.root, NO_COLOR: '1' };
  const child = spawn(process.execPath, [program, '-p', stack.name, '-f', stack.file, ...words], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  const finished = new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code: code ?? signal, output, text, ms: performance.now() - startedAt }));
  });
  return { pid: child.pid, kill: (signal) => child.kill(signal), finished };
}

/** The same to its end. @throws when it fails */
export async function run(stack, ...words) {
  const finished = await start(stack, ...words).finished;
  if (finished.code !== 0)
    throw new Error(`tscompose ${words.join(' ')} ended with ${finished.code}\n${finished.output}${finished.text}`);
  return finished;
}

/** What `look` finds, once it finds something. @throws after `withinMs` */
export async function until(what, look, withinMs = 20_000) {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(5);
  }
}

/** Process ids whose command line holds all the words. */
export function processesWith(...words) {
  return fs
    .readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      const command = readText(`/proc/${pid}/cmdline`).split('\0');
      return words.every((word) => command.some((part) => part === word || part.endsWith(`/${word}`)));
    })
    .map(Number);
}

/** Of the process that holds the project's lock; undefined while there is none. */
export function supervisorOf(stack) {
  // `core supervise … node supervisor.js NAME` has the same words until it has become the supervisor.
  return processesWith('supervisor.js', stack.name).find((pid) => path.basename(readLink(`/proc/${pid}/exe`)).startsWith('node'));
}

/** Container's folder → what its status file says, for every container that has one. */
export function statuses(stack) {
  const folder = path.join(stack.root, 'run/projects', stack.name, 'containers');
  const ids = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  return new Map(
    ids.flatMap((id) => {
      const text = readText(path.join(folder, id, 'status'));
      return text === ''
        ? []
        : [
            [
              id,
              Object.fromEntries(
                text
                  .trim()
                  .split('\n')
                  .map((line) => splitOnce(line)),
              ),
            ],
          ];
    }),
  );
}

/** Container → "pid starttime" of those that run. */
export function running(stack) {
  const entries = [...statuses(stack)].filter(
    ([, status]) => status.state === 'running' && processStart(status.pid) === status.starttime,
  );
  return new Map(entries.map(([id, status]) => [id, `${status.pid} ${status.starttime}`]));
}

/** Those of `before` that are not the same process any more. */
export function changed(before, after) {
  return [...before].filter(([id, identity]) => after.get(id) !== identity).map(([id]) => id);
}

/** Field 22 of proc_pid_stat(5), counted behind the name, which may hold anything. */
function processStart(pid) {
  const text = readText(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** Lines of `logs` by service, as numbers. */
export async function counts(stack) {
  const { output } = await run(stack, 'logs', '--no-color');
  const byService = new Map();
  for (const line of output.split('\n')) {
    const [, service, number] = /^(\S+)\s+\| (\d+)$/.exec(line) ?? [];
    if (service) byService.set(service, [...(byService.get(service) ?? []), Number(number)]);
    else if (line !== '') throw new Error(`a line of logs that no service wrote: ${JSON.stringify(line)}`);
  }
  return byService;
}

/** Each run of a service counts from 1 without a gap or a repetition. Resolves to the number of lines. @throws otherwise */
export async function checkCounts(stack) {
  const byService = await counts(stack);
  let lines = 0;
  for (const [service, numbers] of byService) {
    lines += numbers.length;
    const at = numbers.findIndex((number, index) => number !== 1 && number !== (numbers[index - 1] ?? 0) + 1);
    if (at >= 0) throw new Error(`${service}: line ${numbers[at]} after ${numbers[at - 1] ?? 'nothing'}`);
  }
  if (byService.size !== stack.size) throw new Error(`lines of ${byService.size} services instead of ${stack.size}`);
  return lines;
}

/** `down`, and nothing of the stack is left: not in the kernel, and no file but the lease file, which is empty. */
export async function downToNothing(stack, before) {
  const finished = await run(stack, 'down', '-v', '-t', '1');
  await expectNothing(stack, before);
  return finished;
}

/** @throws what came since `before` and stays */
export async function expectNothing(stack, before) {
  let staying;
  await until('nothing is left', () => {
    const now = [...relevant(stack, differences(before, takeSnapshot())), ...files(stack)];
    staying = (staying ?? now).filter((entry) => now.includes(entry));
    return staying.length === 0;
  }).catch(() => {
    throw new Error(`left after down:\n${staying.join('\n')}`);
  });
}

/** Other projects of this machine come and go meanwhile, so where a name is to be seen it has to be ours. */
function relevant(stack, entries) {
  const mine = (entry) => /^. (cgroups|files|nftTables):/.test(entry) === false || entry.includes(stack.name);
  return entries.filter(
    (entry) => entry.startsWith('+') && !entry.startsWith('+ sockets') && mine(entry) && !isForeignLink(stack, entry),
  );
}

/** The alias of a link says whose it is (src/network/link-names.ts). */
function isForeignLink(stack, entry) {
  const [, link] = /^. links: (.*)$/.exec(entry) ?? [];
  return link !== undefined && !readText(`/sys/class/net/${link}/ifalias`).startsWith(`tscompose:${stack.name}:`);
}

function files({ root, name }) {
  const folders = ['run', 'data']
    .map((part) => path.join(root, part, 'projects', name))
    .filter((folder) => fs.existsSync(folder));
  const leases = readText(path.join(root, 'data/leases.json'));
  const temporary = fs.existsSync(`${root}/data`) ? fs.readdirSync(`${root}/data`).filter((file) => file.endsWith('.tmp')) : [];
  return [...folders, ...temporary, ...(leases === '' || leases.includes('"networks":{}') ? [] : [`leases: ${leases}`])];
}

/** Whatever happened: nothing of the stack stays on this machine. */
export async function remove(stack) {
  await start(stack, 'down', '-v', '-t', '0').finished;
  await until('the supervisor to go', () => supervisorOf(stack) === undefined, 5000).catch(() => undefined);
  fs.rmSync(stack.base, { recursive: true, force: true });
}

export function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

function splitOnce(line) {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function readLink(file) {
  try {
    return fs.readlinkSync(file);
  } catch {
    return '';
  }
}
