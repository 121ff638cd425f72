/** What benchmarks share: the program under test in a state folder of its own, the floor, clocks and medians. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = path.dirname(import.meta.dirname);
const program = path.join(root, 'dist/tscompose.js');

export function median(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Milliseconds that `action` takes. */
export async function timed(action) {
  const begun = performance.now();
  await action();
  return performance.now() - begun;
}

/** A folder for one benchmark, removed with everything in it when `action` has ended. */
export async function withFolder(action) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tscompose-bench-'));
  try {
    return await action(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** The folder of root filesystems that the tests use as well. */
export function rootfsFolder(...names) {
  return execFileSync(process.execPath, [path.join(root, 'test/setup/rootfs.mjs'), ...names], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

/** A project of `count` equal services (attributes as in a compose file), in its own state folder below `folder`. */
export function makeProject(folder, count, attributes) {
  const name = `bench${count}x${process.pid}`;
  const file = path.join(folder, 'compose.yaml');
  const services = Object.fromEntries(Array.from({ length: count }, (_, index) => [`s${index + 1}`, attributes]));
  fs.writeFileSync(file, JSON.stringify({ services }));
  const env = { ...process.env, TSCOMPOSE_ROOT: path.join(folder, 'root'), NO_COLOR: '1' };
  const run = (...words) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, '-f', file, '-p', name, ...words], {
      env,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    if (status !== 0) throw new Error(`tscompose ${words.join(' ')}: ${status}\n${stdout}${stderr}`);
    return stdout;
  };
  return { name, run, runFolder: path.join(folder, 'root/run/projects', name) };
}

/** The status files of a project's containers, as objects. */
export function statuses(project) {
  const folder = path.join(project.runFolder, 'containers');
  return fs.readdirSync(folder).map((id) => readStatus(path.join(folder, id, 'status')));
}

function readStatus(file) {
  const lines = fs.readFileSync(file, 'utf8').trim().split('\n');
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** The node process that holds the project's lock open. */
export function supervisorPid(project) {
  const lock = path.join(project.runFolder, 'lock');
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.find((pid) => {
    try {
      const isNode = path.basename(fs.readlinkSync(`/proc/${pid}/exe`)).startsWith('node');
      return isNode && fs.readdirSync(`/proc/${pid}/fd`).some((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`) === lock);
    } catch {
      return false;
    }
  });
}

/** Kilobytes of a process: its share of what is in memory (Pss) and all it has mapped there (Rss); proc_pid_smaps(5). */
export function memoryOf(pid) {
  const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return { rss: Number(/^Rss:\s+(\d+)/m.exec(text)[1]), pss: Number(/^Pss:\s+(\d+)/m.exec(text)[1]) };
}

/** Polls as fast as it can: for times of a few milliseconds. */
export async function until(check, withinMs = 10_000) {
  const deadline = Date.now() + withinMs;
  while (!check()) {
    if (Date.now() > deadline) throw new Error('bench: waited too long');
    await sleep(1);
  }
}

/** Compiles floor.c into the folder; returns count → { upMs, downMs }. */
export function makeFloor(folder, rootfs) {
  const binary = path.join(folder, 'floor');
  execFileSync('cc', ['-O2', '-o', binary, path.join(import.meta.dirname, 'floor.c')], { stdio: 'inherit' });
  return (count) => {
    const state = fs.mkdtempSync(path.join(folder, 'floor-'));
    const text = execFileSync(binary, [rootfs, state, String(count)], { encoding: 'utf8' });
    fs.rmSync(state, { recursive: true, force: true });
    return JSON.parse(text);
  };
}
