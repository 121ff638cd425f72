#!/usr/bin/env node
/**
 * Assembles the root filesystems that the system tests and some examples run on, from Debian's own packages:
 *
 *     node test/setup/rootfs.mjs [busybox] [redis] [postgres] [nginx]      (default: all)
 *
 * prints the folder that holds them, one subfolder each. Packages are fetched by apt-get and unpacked by dpkg-deb and tar;
 * nothing is installed on this machine. A finished root is left alone by the next run.
 *
 * TSCOMPOSE_TEST_CACHE names another folder than <temporary folder>/tscompose-test-cache.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/**
 * What each root is made of. `packages` are the roots of the dependency walk (further entries of a list of alternatives are taken
 * where the first is unknown to apt); `users` are those the packages' install scripts would have made.
 */
const recipes = {
  busybox: { packages: ['busybox-static'], users: [], verify: ['/bin/busybox', 'true'] },
  redis: { packages: ['redis-server'], users: ['redis:100:101:/var/lib/redis'], verify: ['/usr/bin/redis-server', '--version'] },
  postgres: {
    packages: ['postgresql'],
    users: ['postgres:100:102:/var/lib/postgresql'],
    finish: finishPostgres,
    verify: ['/usr/local/bin/postgres', '--version'],
  },
  nginx: { packages: ['nginx'], users: ['www-data:33:33:/var/www'], finish: finishNginx, verify: ['/usr/sbin/nginx', '-v'] },
};

/** Depended upon for installing, for a desktop or for another init; nothing that the programs load or call. */
const notNeeded = new Set([
  'adduser',
  'debconf',
  'dpkg',
  'init-system-helpers',
  'iproute2',
  'locales',
  'lsb-base',
  'perl',
  'perl-base',
  'postgresql-common',
  'postgresql-client-common',
  'sensible-utils',
  'ssl-cert',
  'sysvinit-utils',
  'ucf',
  'systemd',
  'krb5-locales',
  'libc-l10n',
]);
/** libllvm (100 MB) only speeds up long queries; PostgreSQL does without when its plug-in is not there. */
const notNeededPrefixes = ['libllvm'];

/** Changing a recipe changes this, and so the stamp that marks a root as finished. */
const version = 3;

/** What apt said, for this run. */
const descriptions = new Map();
let listsAreFresh = false;

function main(names) {
  const unknown = names.filter((name) => !(name in recipes));
  if (unknown.length > 0) {
    console.error(`rootfs: no recipe for ${unknown.join(', ')}; there are ${Object.keys(recipes).join(', ')}`);
    process.exit(2);
  }
  console.log(prepareRootfs(names));
}

/** Makes the roots that are missing (all recipes when `names` is empty) and returns the folder that holds them. */
export function prepareRootfs(names = []) {
  const cache = process.env.TSCOMPOSE_TEST_CACHE ?? path.join(os.tmpdir(), 'tscompose-test-cache');
  const roots = path.join(cache, 'rootfs');
  fs.mkdirSync(roots, { recursive: true });
  fs.chmodSync(cache, 0o755);
  for (const name of names.length > 0 ? names : Object.keys(recipes)) {
    if (!isFinished(roots, name)) assemble(cache, roots, name);
  }
  return roots;
}

function isFinished(roots, name) {
  try {
    return fs.readFileSync(path.join(roots, `${name}.finished`), 'utf8') === String(version);
  } catch {
    return false;
  }
}

/** Built aside and renamed, so that two runs at once, or one that was cut short, never show half a root. */
function assemble(cache, roots, name) {
  const recipe = recipes[name];
  const packages = dependencyClosure(['busybox-static', ...recipe.packages]);
  console.error(`rootfs: ${name}: ${packages.length} packages`);
  const files = fetchPackages(path.join(cache, 'packages'), packages);
  const aside = fs.mkdtempSync(path.join(roots, `.${name}-`));
  try {
    fs.chmodSync(aside, 0o755);
    laySkeleton(aside);
    for (const file of files) unpack(file, aside);
    linkApplets(aside);
    addUsers(aside, recipe.users);
    recipe.finish?.(aside);
    dropDocumentation(aside);
    verify(aside, recipe.verify);
    const target = path.join(roots, name);
    fs.rmSync(target, { recursive: true, force: true });
    fs.renameSync(aside, target);
    fs.writeFileSync(path.join(roots, `${name}.finished`), String(version));
  } finally {
    fs.rmSync(aside, { recursive: true, force: true });
  }
}

/** Names of these packages and of everything they depend on, less what is not needed, level by level. */
function dependencyClosure(names) {
  const seen = new Set();
  let level = names;
  while (level.length > 0) {
    learn(level);
    for (const name of level) seen.add(name);
    const wanted = level.flatMap((name) => dependenciesOf(name));
    level = [...new Set(wanted)].filter((name) => !seen.has(name) && isNeeded(name));
  }
  return [...seen].sort();
}

function isNeeded(name) {
  return !notNeeded.has(name) && !notNeededPrefixes.some((prefix) => name.startsWith(prefix));
}

/** First alternative of each of its Depends and Pre-Depends. */
function dependenciesOf(name) {
  const fields = [...descriptions.get(name).matchAll(/^(?:Pre-)?Depends: (.*)$/gm)].flatMap((match) => match[1].split(','));
  return fields
    .map((field) =>
      field
        .split('|')[0]
        .trim()
        .replace(/[ (:].*$/, ''),
    )
    .filter((found) => found !== '');
}

/** Reads the packages' records from apt's lists; fetches the lists once when one is unknown. */
function learn(names) {
  readDescriptions(names);
  if (names.some((name) => !descriptions.has(name))) {
    updateListsOnce();
    readDescriptions(names);
  }
  const unknown = names.filter((name) => !descriptions.has(name));
  if (unknown.length > 0) throw new Error(`rootfs: apt knows no package ${unknown.join(', ')}`);
}

/** One call for all of them: each start of apt-cache reads its whole index. */
function readDescriptions(names) {
  const unknown = names.filter((name) => !descriptions.has(name));
  if (unknown.length === 0) return;
  const { stdout } = spawnSync('apt-cache', ['show', '--no-all-versions', ...unknown], { encoding: 'utf8', maxBuffer: 1 << 26 });
  for (const text of (stdout ?? '').split('\n\n')) {
    const name = /^Package: (.*)$/m.exec(text)?.[1];
    if (name !== undefined) descriptions.set(name, text);
  }
}

function updateListsOnce() {
  if (listsAreFresh) return;
  listsAreFresh = true;
  execFileSync('apt-get', ['update', '-q'], { stdio: ['ignore', 2, 2] });
}

/** Files of these packages in the folder; fetches those that are not there. */
function fetchPackages(folder, names) {
  fs.mkdirSync(folder, { recursive: true });
  const missing = names.filter((name) => debFile(folder, name) === undefined);
  if (missing.length > 0) {
    try {
      download(folder, missing);
    } catch {
      // Lists older than the mirror name files that are gone by now.
      updateListsOnce();
      descriptions.clear();
      learn(names);
      download(folder, missing);
    }
  }
  return names.map((name) => debFile(folder, name));
}

function download(folder, names) {
  execFileSync('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=3', 'download', ...names], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
  });
}

function debFile(folder, name) {
  const field = /^Version: (.*)$/m.exec(descriptions.get(name));
  const versionInFile = field[1].replaceAll(':', '%3a');
  const found = fs.readdirSync(folder).find((file) => file.startsWith(`${name}_${versionInFile}_`) && file.endsWith('.deb'));
  return found && path.join(folder, found);
}

/** /bin, /lib and their kin are links into /usr, as on every merged system; packages may still name either. */
function laySkeleton(root) {
  for (const folder of [
    'usr/bin',
    'usr/sbin',
    'usr/lib',
    'usr/lib64',
    'usr/local/bin',
    'etc',
    'proc',
    'sys',
    'dev',
    'run',
    'var/lib',
    'var/log',
    'root',
  ]) {
    fs.mkdirSync(path.join(root, folder), { recursive: true });
  }
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) fs.symlinkSync(`usr/${name}`, path.join(root, name));
  fs.mkdirSync(path.join(root, 'tmp'));
  fs.chmodSync(path.join(root, 'tmp'), 0o1777);
}

function unpack(file, root) {
  const archive = execFileSync('dpkg-deb', ['--fsys-tarfile', file], { maxBuffer: 1 << 30 });
  execFileSync('tar', ['-x', '--keep-directory-symlink', '-C', root], { input: archive, stdio: ['pipe', 2, 2] });
}

/** Every applet as a link beside busybox, but a package's own program keeps its name. */
function linkApplets(root) {
  const busybox = path.join(root, 'usr/bin/busybox');
  for (const name of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    const link = path.join(root, 'usr/bin', name);
    if (!fs.existsSync(link) && !fs.existsSync(path.join(root, 'usr/sbin', name))) fs.symlinkSync('busybox', link);
  }
}

/** `users` are "name:uid:gid:home"; the group has the same name. */
function addUsers(root, users) {
  const all = ['root:0:0:/root', ...users, 'nobody:65534:65534:/nonexistent'].map((user) => user.split(':'));
  fs.writeFileSync(
    path.join(root, 'etc/passwd'),
    all.map(([name, uid, gid, home]) => `${name}:x:${uid}:${gid}:${name}:${home}:/bin/sh\n`).join(''),
  );
  fs.writeFileSync(path.join(root, 'etc/group'), all.map(([name, , gid]) => `${name}:x:${gid}:\n`).join(''));
  for (const user of users) {
    const [, uid, gid, home] = user.split(':');
    fs.mkdirSync(path.join(root, home), { recursive: true });
    fs.chownSync(path.join(root, home), Number(uid), Number(gid));
  }
}

/** Debian keeps the programs of each major version apart; /usr/local/bin names them as everybody does. */
function finishPostgres(root) {
  const versions = path.join(root, 'usr/lib/postgresql');
  const major = fs
    .readdirSync(versions)
    .sort((a, b) => Number(a) - Number(b))
    .at(-1);
  for (const program of fs.readdirSync(path.join(versions, major, 'bin'))) {
    fs.symlinkSync(`/usr/lib/postgresql/${major}/bin/${program}`, path.join(root, 'usr/local/bin', program));
  }
  fs.rmSync(path.join(versions, major, 'lib/llvmjit.so'), { force: true });
  fs.mkdirSync(path.join(root, 'run/postgresql'), { recursive: true });
  fs.chownSync(path.join(root, 'run/postgresql'), 100, 102);
}

function finishNginx(root) {
  for (const folder of ['var/lib/nginx', 'var/log/nginx', 'var/www']) fs.mkdirSync(path.join(root, folder), { recursive: true });
}

function dropDocumentation(root) {
  for (const folder of ['doc', 'man', 'locale', 'lintian', 'bug', 'info']) {
    fs.rmSync(path.join(root, 'usr/share', folder), { recursive: true, force: true });
  }
}

function verify(root, command) {
  execFileSync('chroot', [root, ...command], { stdio: 'pipe' });
}

if (isProgram()) main(process.argv.slice(2));

function isProgram() {
  return process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === import.meta.filename;
}
