/** From a container's record to what its shim needs: image, user, files, bundle, launch program. */

import { chmodSync, chownSync, readFileSync, statSync } from 'node:fs';
import { hostname, release } from 'node:os';
import type { ShimFields } from '../core/core.ts';
import { encodeProgram } from '../core/program.ts';
import { LaunchFailure } from '../core/shim-client.ts';
import { ShimFlag } from '../core/protocol.ts';
import { TscomposeError } from '../errors.ts';
import type { Mount, Project, Service } from '../model/project.ts';
import { parseBytes } from '../model/units.ts';
import { type BundleInput, renderBundle } from '../runtime/bundle.ts';
import { boundingSetOf } from '../runtime/capabilities.ts';
import { containerCgroupPath } from '../runtime/cgroup.ts';
import { renderHostname, renderHosts, renderResolvConf } from '../runtime/etc-files.ts';
import { findDeviceNodes, findFileSources, findThrottlePaths } from '../runtime/host-files.ts';
import { readAccountFiles } from '../runtime/image-files.ts';
import { containerCgroups, lower } from '../runtime/lower.ts';
import { securityOptions } from '../runtime/security.ts';
import { signalNumber } from '../runtime/signals.ts';
import type { OciSpec } from '../runtime/spec.ts';
import type { Architecture } from '../runtime/syscalls.ts';
import { type ResolvedUser, resolveUser } from '../runtime/users.ts';
import { makeFolder, writeWholeVolatile } from '../state/files.ts';
import { imagesPath, volumePath } from '../state/paths.ts';
import type { ContainerRecord } from '../state/record.ts';
import { type ResolvedImage, resolveImage, withMountPoints } from '../storage/images.ts';
import { copyImageContent, makeBindSource } from '../storage/volumes.ts';
import { grantedFiles } from './grants.ts';
import { networkNamespace } from './networking.ts';
import { pathsOf, type World } from './world.ts';

/** The name server every container on a network of ours asks. */
export const NAME_SERVER = '127.0.0.11';

const SIGTERM = 15;
/** json-file of docker grows without bound; an edge device's disk does not. */
const defaultLog = { maxBytes: 10 * 1024 * 1024, files: 3 } as const;

/** Writes a container's run folder and says how its shim is to be started. */
export async function prepareLaunch(world: World, record: ContainerRecord, waitAttach: boolean): Promise<ShimFields> {
  const { service, paths } = { service: record.spec, paths: pathsOf(world, record.id) };
  for (const folder of [paths.run, paths.rootfs]) makeFolder(folder);
  const image = await resolveImage(service.image, imagesPath(world.roots));
  const user = userOf(service, image);
  if (!record.everStarted) likeImageRoot(paths.upper, image);
  await prepareSources(world, record, image, user);
  const spec = renderBundle(bundleInput(world, record, image, user));
  writeWholeVolatile(`${paths.bundle}/config.json`, JSON.stringify(spec));
  const context = lowerContext(world, record, image, spec);
  return {
    directory: paths.run,
    ...logFields(service, paths.log),
    network: networkOf(world, service),
    restart: service.restart.kind,
    mostRestarts: service.restart.kind === 'on-failure' ? service.restart.maxAttempts : 0,
    flags:
      (service.tty ? ShimFlag.tty : 0) | (service.stdinOpen ? ShimFlag.stdinOpen : 0) | (waitAttach ? ShimFlag.waitAttach : 0),
    stopSignal: signalNumber(service.stopSignal ?? 'SIGTERM') ?? SIGTERM,
    graceMs: service.stopGraceMs,
    cgroups: containerCgroups(spec, context),
    reviver: world.supervisorCommand,
    program: encodeProgram(lower(spec, context)),
  };
}

/** What can be known before anything is touched: the image, the user, the sources of binds, and that the bundle can be rendered. */
export async function checkLaunch(world: World, project: Project, service: Service): Promise<void> {
  const image = await resolveImage(service.image, imagesPath(world.roots));
  const user = userOf(service, image);
  for (const mount of service.mounts) checkSource(service, mount);
  renderBundle({ ...bareInput(world, service, image, user), id: '0'.repeat(64), name: `${project.name}-${service.name}-1` });
}

/** Tells a failed start in words, with the exit status docker has for it. */
export function launchFailure(record: ContainerRecord, error: unknown): unknown {
  if (!(error instanceof LaunchFailure)) return error;
  const program = record.spec.entrypoint?.[0] ?? record.spec.command?.[0] ?? '';
  const { message, hint } = launchWords[error.code as keyof typeof launchWords] ?? launchWords.LAUNCH_FAILED;
  return new TscomposeError(error.code, `container ${record.name}: ${message(program, error.words)}`, {
    service: record.service,
    cause: error,
    ...(hint ? { hint } : {}),
  });
}

const launchWords = {
  COMMAND_NOT_FOUND: {
    message: (program: string) => `command "${program}" was not found in the image`,
    hint: 'check "command" and "entrypoint" of the service, and PATH in its environment',
  },
  COMMAND_NOT_EXECUTABLE: {
    message: (program: string, words: string) => `command "${program}" cannot be executed: ${words}`,
    hint: 'it must be an executable file; a script needs an interpreter line such as #!/bin/sh',
  },
  LAUNCH_FAILED: { message: (_program: string, words: string) => `could not be started: ${words}`, hint: '' },
} as const;

/** As `user` says, within the image's own accounts. @throws VALUE_INVALID */
function userOf(service: Service, image: ResolvedImage): ResolvedUser {
  return resolveUser(service.user ?? image.config.user, readAccountFiles(image.lowerdirs), service.groupAdd);
}

function checkSource(service: Service, mount: Mount): void {
  if (mount.type !== 'bind' || mount.createHostPath) return;
  if (statSync(mount.source, { throwIfNoEntry: false })) return;
  throw new TscomposeError('BIND_SOURCE_MISSING', `service "${service.name}": bind source ${mount.source} does not exist`, {
    service: service.name,
    path: mount.source,
    hint: 'make it, or use the short form, which makes a missing folder',
  });
}

/** "/" of an overlay has the owner and mode of its upper folder, which ours would close to every user of the image. */
function likeImageRoot(upper: string, image: ResolvedImage): void {
  const root = statSync(image.lowerdirs[0] as string);
  chownSync(upper, root.uid, root.gid);
  chmodSync(upper, root.mode & 0o7777);
}

/** Folders that binds want made, and the image's content for a volume's first use. */
async function prepareSources(world: World, record: ContainerRecord, image: ResolvedImage, user: ResolvedUser): Promise<void> {
  for (const mount of record.spec.mounts) {
    if (mount.type === 'bind' && mount.createHostPath && !statSync(mount.source, { throwIfNoEntry: false })) {
      makeBindSource(mount.source, user.uid, user.gid);
    }
    if (mount.type === 'volume' && !mount.noCopy && !mount.subpath) {
      await copyImageContent(volumeOf(world, record, mount), image.lowerdirs, mount.target);
    }
  }
}

function bundleInput(world: World, record: ContainerRecord, image: ResolvedImage, user: ResolvedUser): BundleInput {
  const input = bareInput(world, record.spec, image, user);
  const paths = pathsOf(world, record.id);
  return {
    ...input,
    id: record.id,
    name: record.name,
    hostname: record.spec.hostname ?? (record.spec.networkMode.kind === 'host' ? hostname() : record.id.slice(0, 12)),
    rootPath: paths.rootfs,
    mountSources: new Map(
      record.spec.mounts.flatMap((mount) =>
        mount.type === 'volume' ? [[mount.target, volumeOf(world, record, mount)] as const] : [],
      ),
    ),
    etc: writeEtcFiles(world, record),
    join: sharedNamespaces(world, record.spec),
    cgroupPath: containerCgroupPath(world.project, record.id, record.spec.cgroupParent),
  };
}

/** The part of a bundle that depends on the service and the host alone. */
function bareInput(world: World, service: Service, image: ResolvedImage, user: ResolvedUser): BundleInput {
  const { seccomp } = securityOptions(service);
  return {
    id: '',
    name: '',
    hostname: service.hostname ?? service.name,
    service,
    user,
    image: image.config,
    rootPath: '/',
    hostBinds: image.hostBinds,
    mountSources: new Map(service.mounts.flatMap((mount) => (mount.type === 'volume' ? [[mount.target, '/'] as const] : []))),
    etc: {},
    network: service.networkMode.kind === 'host' ? 'host' : 'new',
    cgroupPath: containerCgroupPath(world.project, '0'.repeat(64), service.cgroupParent),
    deviceNodes: findDeviceNodes(service),
    throttlePaths: findThrottlePaths(),
    architecture: process.arch as Architecture,
    kernelRelease: release(),
    ...(seccomp.kind === 'file' ? { seccompFile: readFileSync(seccomp.path, 'utf8') } : {}),
  };
}

/** hosts, resolv.conf and hostname; a container on the host's network has the host's. */
function writeEtcFiles(world: World, record: ContainerRecord): BundleInput['etc'] {
  const { run } = pathsOf(world, record.id);
  const { networkMode } = record.spec;
  if (networkMode.kind === 'host') return { hosts: '/etc/hosts', resolvConf: '/etc/resolv.conf' };
  if (networkMode.kind === 'service') return sharedEtcFiles(world, networkMode.service);
  const name = record.spec.hostname ?? record.id.slice(0, 12);
  const nameservers = record.attachments.length > 0 ? [NAME_SERVER] : record.spec.dns;
  const files = {
    hosts: renderHosts(record.spec, name, record.attachments),
    'resolv.conf': renderResolvConf(record.spec, nameservers, []),
    hostname: renderHostname(name),
  };
  for (const [file, text] of Object.entries(files)) writeWholeVolatile(`${run}/${file}`, text, 0o644);
  return { hosts: `${run}/hosts`, resolvConf: `${run}/resolv.conf`, hostname: `${run}/hostname` };
}

/** Who shares a network shares the names on it. */
function sharedEtcFiles(world: World, service: string): BundleInput['etc'] {
  const { run } = pathsOf(world, sharedWith(world, service).id);
  return { hosts: `${run}/hosts`, resolvConf: `${run}/resolv.conf`, hostname: `${run}/hostname` };
}

/** Namespaces of another service's first process, which `pid` and `ipc` may ask to share. */
function sharedNamespaces(world: World, { pid, ipc }: Service): NonNullable<BundleInput['join']> {
  const pathTo = (wish: string | undefined, kind: string): string | undefined => {
    const service = /^service:(.+)$/.exec(wish ?? '')?.[1];
    if (service === undefined) return undefined;
    return `/proc/${world.live.get(sharedWith(world, service).id)?.status.pid ?? 0}/ns/${kind}`;
  };
  const paths = { pid: pathTo(pid, 'pid'), ipc: pathTo(ipc, 'ipc') };
  return { ...(paths.pid === undefined ? {} : { pid: paths.pid }), ...(paths.ipc === undefined ? {} : { ipc: paths.ipc }) };
}

function sharedWith(world: World, service: string): ContainerRecord {
  const record = world.store.record.containers.find((container) => container.service === service && world.live.has(container.id));
  if (record) return record;
  throw new TscomposeError('NOT_RUNNING', `service "${service}", whose namespace is to be shared, does not run`, { service });
}

function volumeOf(world: World, record: ContainerRecord, mount: Extract<Mount, { type: 'volume' }>): string {
  const named = world.store.record.volumes.find(({ spec }) => spec.key === mount.source)?.spec.name;
  const name = mount.source === undefined ? record.anonymousVolumes[mount.target] : named;
  if (name === undefined)
    throw new TscomposeError('EXTERNAL_MISSING', `container ${record.name}: the volume for ${mount.target} is not there`);
  return volumePath(world.roots, name);
}

function lowerContext(world: World, record: ContainerRecord, image: ResolvedImage, spec: OciSpec): Parameters<typeof lower>[1] {
  const { upper, work } = pathsOf(world, record.id);
  return {
    rootfs: { kind: 'overlay', lowerdirs: withMountPoints(image.lowerdirs, imagesPath(world.roots)), upper, work },
    cgroups: world.cgroups,
    architecture: process.arch as Architecture,
    files: grantedFiles(world, record.spec),
    fileSources: findFileSources(spec.mounts.flatMap(({ source }) => (source?.startsWith('/') ? [source] : []))),
    init: record.spec.init,
    keyring: record.id.slice(0, 12),
    launcherOwnsNetwork: true,
    availableCapabilities: availableCapabilities(),
  };
}

let ownBoundingSet: bigint | undefined;
export function availableCapabilities(): bigint {
  ownBoundingSet ??= boundingSetOf(readFileSync('/proc/self/status', 'utf8'));
  return ownBoundingSet;
}

function logFields(service: Service, logFile: string): Pick<ShimFields, 'logFile' | 'rotateBytes' | 'keepLogs'> {
  const { driver, options } = service.logging ?? { options: {} };
  const bounds = {
    rotateBytes: parseBytes(options['max-size'] ?? '') ?? defaultLog.maxBytes,
    keepLogs: Number.parseInt(options['max-file'] ?? '', 10) || defaultLog.files,
  };
  return driver === 'none' ? bounds : { ...bounds, logFile };
}

function networkOf(world: World, { networkMode }: Service): ShimFields['network'] {
  if (networkMode.kind === 'host') return 'host';
  if (networkMode.kind !== 'service') return 'new';
  const { id } = sharedWith(world, networkMode.service);
  return { join: networkNamespace(world.live.get(id)?.shimPid ?? 0) };
}
