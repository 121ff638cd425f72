#!/usr/bin/env node
/**
 * What a compose project could leave behind on this machine, as sorted lists of texts, so that two moments can be compared:
 *
 *     node test/support/snapshot.mjs > before.json
 *     …
 *     node test/support/snapshot.mjs before.json      prints what came and what went; exit status 1 when anything did
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const probes = { links, networkNamespaces, mounts, cgroups, nftTables, processes, sockets, files };

/** Kind → sorted entries. */
export function takeSnapshot() {
  return Object.fromEntries(Object.entries(probes).map(([kind, probe]) => [kind, [...new Set(probe())].sort()]));
}

/** "+ links: tsc0" for what came, "- mounts: /x" for what went. */
export function differences(before, after) {
  return Object.keys(probes).flatMap((kind) => {
    const came = after[kind].filter((entry) => !before[kind].includes(entry));
    const went = before[kind].filter((entry) => !after[kind].includes(entry));
    return [...came.map((entry) => `+ ${kind}: ${entry}`), ...went.map((entry) => `- ${kind}: ${entry}`)];
  });
}

function links() {
  return fs.readdirSync('/sys/class/net');
}

/** Those of processes; one kept by a mount instead shows among the mounts. */
function networkNamespaces() {
  return eachProcess((folder) => fs.readlinkSync(`${folder}/ns/net`));
}

/** proc_pid_mountinfo(5): the fifth field is the mount point, the one after " - " the type. */
function mounts() {
  return fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const [left, right] = line.split(' - ');
      return `${left.split(' ')[4]} (${right.split(' ')[0]})`;
    });
}

/** Ours carry the program's name somewhere in their path; everybody else's come and go at any time. */
function cgroups() {
  return walkFolders('/sys/fs/cgroup').filter((folder) => folder.includes('tscompose'));
}

function walkFolders(folder) {
  const entries = readFolder(folder).filter((entry) => entry.isDirectory());
  return entries.flatMap((entry) => {
    const below = path.join(folder, entry.name);
    return [below, ...walkFolders(below)];
  });
}

function readFolder(folder) {
  try {
    return fs.readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/**
 * Node has no netlink socket and many machines have no nft, so Python asks: NFT_MSG_GETTABLE as a dump
 * (linux/netfilter/nf_tables.h), whose answers carry the name in attribute 1.
 */
const askForTables = `
import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.bind((0, 0))
s.send(struct.pack('=IHHII4B', 20, (10 << 8) | 1, 0x301, 1, 0, 0, 0, 0, 0))
more = True
while more:
    data = s.recv(1 << 20)
    while data:
        length, kind = struct.unpack_from('=IH', data)
        more = more and kind not in (2, 3)
        at = 20
        while kind == (10 << 8) and at < length:
            size, name = struct.unpack_from('=HH', data, at)
            if name == 1:
                print(data[16], data[at + 4:at + size - 1].decode())
            at += (size + 3) & ~3
        data = data[(length + 3) & ~3:]
`;

/** "FAMILY NAME"; none where this user may not ask. */
function nftTables() {
  try {
    const text = execFileSync('python3', ['-c', askForTables], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.split('\n').filter((line) => line !== '');
  } catch {
    return [];
  }
}

/** Programs of this project: the supervisor, the native program and its children. */
function processes() {
  const all = eachProcess((folder) => ({ pid: path.basename(folder), parent: parentOf(folder), command: commandOf(folder) }));
  const known = new Set(
    all
      .filter(
        ({ command }) =>
          /tscompose(-core|-shim|-init|\.js)|memfd:tscompose|dist\/supervisor\.js/.test(command) &&
          !/snapshot|vitest|demo\.mjs/.test(command),
      )
      .map(({ pid }) => pid),
  );
  const isOurs = (entry) => entry !== undefined && (known.has(entry.pid) || isOurs(all.find(({ pid }) => pid === entry.parent)));
  return all.filter(isOurs).map(({ pid, command }) => `${pid} ${command}`);
}

function parentOf(folder) {
  return /^PPid:\s*(\d+)/m.exec(fs.readFileSync(`${folder}/status`, 'utf8'))[1];
}

function commandOf(folder) {
  return `${fs.readFileSync(`${folder}/comm`, 'utf8').trim()}: ${fs.readFileSync(`${folder}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()}`;
}

/** What `look` returns for the folder in /proc of every process that is still there when it looks. */
function eachProcess(look) {
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  return pids.flatMap((pid) => {
    try {
      return [look(`/proc/${pid}`)];
    } catch {
      return [];
    }
  });
}

/** proc_net(5): the eighth field of unix(7) sockets' lines is the path. */
function sockets() {
  const paths = fs
    .readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[7] ?? '');
  return paths.filter((entry) => /tscompose|shim\.sock|supervisor\.sock/.test(entry));
}

/** What `up` makes and `down` removes; volumes and leases stay on purpose. */
function files() {
  return ['/run/tscompose/projects', '/var/lib/tscompose/projects'].flatMap((folder) =>
    readFolder(folder).map((entry) => path.join(folder, entry.name)),
  );
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === import.meta.filename) main(process.argv[2]);

function main(earlier) {
  if (earlier === undefined) {
    console.log(JSON.stringify(takeSnapshot(), null, 2));
    return;
  }
  const found = differences(JSON.parse(fs.readFileSync(earlier, 'utf8')), takeSnapshot());
  console.log(found.length === 0 ? 'nothing came and nothing went' : found.join('\n'));
  process.exitCode = found.length === 0 ? 0 : 1;
}
