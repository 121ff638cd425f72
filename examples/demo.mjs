#!/usr/bin/env node
/**
 * `npm run demo`: starts examples/shop, waits until it is healthy and shows it. `npm run demo -- down` stops it and leaves
 * nothing behind. Installs and builds first where that has not been done.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const root = path.dirname(import.meta.dirname);
const composeFile = path.join(import.meta.dirname, 'shop/compose.yaml');
const program = path.join(root, 'dist/tscompose.js');
const built = [program, path.join(root, `dist/native/linux-${process.arch}/tscompose-core`)];

const actions = { up, down };
const [name = 'up', ...rest] = process.argv.slice(2);
if (!(name in actions) || rest.length > 0) {
  console.error('usage: npm run demo [-- down]');
  process.exit(2);
}
prepare();
await actions[name]();

async function up() {
  const before = containerIds();
  tscompose('up', '-d', '--wait');
  const address = `http://${capture('port', 'web', '8000').trim().replace('0.0.0.0', '127.0.0.1')}/`;
  heading(`The page, from ${address}`);
  console.log(await (await fetch(address)).text());
  heading('tscompose ps -a');
  tscompose('ps', '-a');
  sayWhatChanged(before, containerIds());
  sayHowToGoOn(address);
}

function down() {
  tscompose('down', '-v', '--remove-orphans');
  console.log('\nThe shop is closed: no process, network, mount or file of it is left.');
}

function prepare() {
  if (!fs.existsSync(path.join(root, 'node_modules/rolldown'))) npm('ci');
  if (isOutdated()) npm('run', 'build');
}

/** Whether a source is newer than what was built from it. */
function isOutdated() {
  if (built.some((file) => !fs.existsSync(file))) return true;
  const oldestBuilt = Math.min(...built.map((file) => fs.statSync(file).mtimeMs));
  return ['src', 'native', 'schema', 'package.json'].some((source) => newest(path.join(root, source)) > oldestBuilt);
}

function newest(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  const entries = fs.readdirSync(file).filter((entry) => entry !== 'build');
  return Math.max(0, ...entries.map((entry) => newest(path.join(file, entry))));
}

function npm(...words) {
  run('npm', [...words, '--no-fund', '--no-audit'], root);
}

function tscompose(...words) {
  run(process.execPath, [program, '-f', composeFile, ...words], root);
}

/** Ends this program with the other's exit status when that failed; the other has said why. */
function run(command, words, folder) {
  const { status, error } = spawnSync(command, words, { cwd: folder, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function capture(...words) {
  return execFileSync(process.execPath, [program, '-f', composeFile, ...words], { cwd: root, encoding: 'utf8' });
}

function containerIds() {
  const lines = capture('ps', '-a', '--format', 'json').split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).ID)
    .sort();
}

function sayWhatChanged(before, after) {
  if (before.length === 0) return;
  const kept = after.filter((id) => before.includes(id));
  const same = kept.length === after.length && after.length === before.length;
  console.log(
    same
      ? `\nNothing changed: all ${after.length} containers are the same as before.`
      : `\n${kept.length} of ${after.length} containers were kept.`,
  );
}

function sayHowToGoOn(address) {
  const base = `node ${path.relative(process.cwd(), program)} -f ${path.relative(process.cwd(), composeFile)}`;
  heading('Look further');
  console.log(`In a browser:            ${address}
What they say:           ${base} logs -f
Inside one:              ${base} exec api sh
What up would change:    ${base} plan
Follow changed files:    ${base} watch
Stop, leave nothing:     npm run demo -- down`);
}

function heading(text) {
  console.log(`\n── ${text} ${'─'.repeat(Math.max(3, 90 - text.length))}`);
}
