import {
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { TscomposeError } from '../errors.ts';

/** What a reference to an image comes down to: directories to stack, host directories to bind in, defaults of the process. */
export interface ResolvedImage {
  /** As `ps` shows it. */
  readonly reference: string;
  /** Topmost first, as overlayfs wants them. */
  readonly lowerdirs: readonly string[];
  /** Read-only binds from the host, same path on both sides. */
  readonly hostBinds: readonly string[];
  readonly config: ImageDefaults;
}

export interface ImageDefaults {
  readonly environment: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly stopSignal?: string;
}

const defaultConfig: ImageDefaults = {
  environment: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  entrypoint: [],
  command: [],
  user: '',
  workingDir: '/',
};

/**
 * Finds the image behind a reference: `rootfs:DIR` (absolute by now) or `host:/usr`, whose skeleton is kept in `folder`.
 * @throws IMAGE_MISSING, IMAGE_UNSUPPORTED
 */
export async function resolveImage(reference: string, folder: string): Promise<ResolvedImage> {
  if (reference === 'host:/usr') return hostImage(folder);
  if (reference.startsWith('rootfs:')) return rootfsImage(reference);
  throw new TscomposeError('IMAGE_UNSUPPORTED', `image "${reference}" would have to be pulled, which tscompose cannot do yet`, {
    hint: 'use "rootfs:DIR" for a root filesystem in a folder, or "host:/usr" for the host\'s own programs',
  });
}

function rootfsImage(reference: string): ResolvedImage {
  const directory = reference.slice('rootfs:'.length);
  if (!lstatSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new TscomposeError('IMAGE_MISSING', `image "${reference}": ${directory} is not a folder`, {
      path: directory,
      hint: 'unpack a root filesystem there, or correct the path',
    });
  }
  return { reference, lowerdirs: [directory], hostBinds: [], config: defaultConfig };
}

/**
 * The host's own /usr, read-only, below a fresh minimal root: nothing to download, and nothing of the host's /etc, /home
 * or /var inside but what its programs cannot do without.
 */
function hostImage(folder: string): ResolvedImage {
  const skeleton = `${folder}/host-usr/rootfs`;
  if (!existsSync(skeleton)) makeWhole(skeleton, fillHostImage);
  return { reference: 'host:/usr', lowerdirs: [skeleton], hostBinds: hostBinds(), config: defaultConfig };
}

/**
 * An image's folders, and below them one with nothing but the places where every container gets something mounted. An image seldom has
 * them all, and without this layer each container's own layer would get a copy of /etc and an empty file for each: the most expensive
 * part of a start on a disk. The layer is kept in `folder`.
 */
export function withMountPoints(lowerdirs: readonly string[], folder: string): readonly string[] {
  const layer = `${folder}/mount-points/rootfs`;
  if (!existsSync(layer)) makeWhole(layer, (root) => fillSkeleton(root, mountPointFolders, mountPointFiles));
  // The kernel takes no layer that lies within another one (ELOOP), as with rootfs:/.
  const place = realpathSync(layer);
  const holdsIt = (lowerdir: string): boolean => `${place}/`.startsWith(`${realpathSync(lowerdir)}/`.replace('//', '/'));
  return lowerdirs.some(holdsIt) ? lowerdirs : [...lowerdirs, layer];
}

type Folder = readonly [path: string, mode: number];

const mountPointFolders: readonly Folder[] = [
  ['dev', 0o755],
  ['etc', 0o755],
  ['proc', 0o555],
  ['sys', 0o555],
];
const mountPointFiles: Readonly<Record<string, string>> = { 'etc/hostname': '', 'etc/hosts': '', 'etc/resolv.conf': '' };

/** On a merged-usr host /bin and its kin are links into /usr; elsewhere they are folders and bound in like it. */
const usrFolders = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
const usrCompanions = ['/etc/alternatives', '/etc/ssl', '/etc/ld.so.cache', '/etc/ca-certificates.conf', '/etc/mime.types'];

function hostBinds(): string[] {
  const folders = usrFolders.filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory());
  return ['/usr', ...folders, ...usrCompanions.filter((path) => existsSync(path))];
}

const emptyFolders: readonly Folder[] = [
  ['dev', 0o755],
  ['etc', 0o755],
  ['home', 0o755],
  ['mnt', 0o755],
  ['opt', 0o755],
  ['proc', 0o555],
  ['root', 0o700],
  ['run', 0o755],
  ['srv', 0o755],
  ['sys', 0o555],
  ['tmp', 0o1777],
  ['usr', 0o755],
  ['var', 0o755],
  ['var/lib', 0o755],
  ['var/log', 0o755],
  ['var/tmp', 0o1777],
];

const smallFiles: Readonly<Record<string, string>> = {
  'etc/passwd':
    'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  'etc/group': 'root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

/** Made beside its place and renamed into it, so that two projects may do it at once and a crash leaves nothing half made. */
function makeWhole(place: string, fill: (root: string) => void): void {
  const temporary = `${place}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true, mode: 0o755 });
  fill(temporary);
  try {
    renameSync(temporary, place);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    if (!existsSync(place)) throw error;
  }
}

function fillHostImage(root: string): void {
  fillSkeleton(root, emptyFolders, smallFiles);
  for (const path of usrFolders) copyLink(path, `${root}${path}`);
}

function fillSkeleton(root: string, folders: readonly Folder[], files: Readonly<Record<string, string>>): void {
  for (const [path, mode] of folders) makeFolderWithMode(`${root}/${path}`, mode);
  for (const [path, text] of Object.entries(files)) writeFileSync(`${root}/${path}`, text, { mode: 0o644 });
}

/** umask(2) would take bits from mkdir's mode. */
function makeFolderWithMode(path: string, mode: number): void {
  const before = process.umask(0);
  try {
    mkdirSync(path, { mode });
  } finally {
    process.umask(before);
  }
}

function copyLink(from: string, to: string): void {
  if (lstatSync(from, { throwIfNoEntry: false })?.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
}
