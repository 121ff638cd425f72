/** Where everything lives. Pure: given the environment and the user's id, the same paths. `docs/files.md` shows the tree. */

export interface StateRoots {
  /** Gone after a reboot: /run/tscompose */
  readonly run: string;
  /** Lasting: /var/lib/tscompose */
  readonly data: string;
}

/** TSCOMPOSE_ROOT=DIR puts both below DIR; without root $XDG_RUNTIME_DIR and $XDG_DATA_HOME are used. */
export function stateRoots(env: Readonly<Record<string, string | undefined>>, uid: number): StateRoots {
  const moved = env['TSCOMPOSE_ROOT'];
  if (moved) return { run: `${moved}/run`, data: `${moved}/data` };
  if (uid === 0) return { run: '/run/tscompose', data: '/var/lib/tscompose' };
  const runtime = env['XDG_RUNTIME_DIR'] ?? `/run/user/${uid}`;
  const data = env['XDG_DATA_HOME'] ?? `${env['HOME'] ?? '/'}/.local/share`;
  return { run: `${runtime}/tscompose`, data: `${data}/tscompose` };
}

export interface ProjectPaths {
  readonly run: string;
  readonly data: string;
  /** Held with flock(2) by the supervisor process for as long as it lives. */
  readonly lock: string;
  /** Control socket. */
  readonly socket: string;
  /** What the supervisor itself says (warnings, crashes). */
  readonly supervisorLog: string;
  /** The project's one record: networks, volumes, containers. */
  readonly record: string;
  /** The same in the run folder, should the record be damaged. */
  readonly recordCopy: string;
}

export function projectPaths(roots: StateRoots, project: string): ProjectPaths {
  const run = `${roots.run}/projects/${project}`;
  const data = `${roots.data}/projects/${project}`;
  return {
    run,
    data,
    lock: `${run}/lock`,
    socket: `${run}/supervisor.sock`,
    supervisorLog: `${run}/supervisor.log`,
    record: `${data}/project.json`,
    recordCopy: `${run}/project.json`,
  };
}

/** The programs a supervisor is made of. */
export interface SupervisorPrograms {
  /** tscompose-core */
  readonly native: string;
  readonly node: string;
  /** supervisor.js */
  readonly program: string;
}

/**
 * argv that brings a project's supervisor up unless it has one: `core supervise` takes the lock, which the process it executes then
 * holds for as long as it lives. The command line uses it, and every shim that has lost its supervisor.
 */
export function supervisorCommand({ native, node, program }: SupervisorPrograms, paths: ProjectPaths, project: string): string[] {
  return [native, 'supervise', paths.lock, '--', node, program, project];
}

export interface ContainerPaths {
  /** config.json, status, shim.sock, hosts, resolv.conf, hostname, health */
  readonly run: string;
  /** upper, work, log */
  readonly data: string;
  readonly bundle: string;
  /** An empty folder that all containers of the project mount their root at, each in a mount namespace of its own. */
  readonly rootfs: string;
  readonly status: string;
  readonly socket: string;
  readonly health: string;
  readonly upper: string;
  readonly work: string;
  /** The current log; older ones are `log.1`, `log.2` … */
  readonly log: string;
}

/** Folders carry the first 12 digits of the id. */
export function containerPaths(project: ProjectPaths, id: string): ContainerPaths {
  const run = `${project.run}/containers/${id.slice(0, 12)}`;
  const data = `${project.data}/containers/${id.slice(0, 12)}`;
  return {
    run,
    data,
    bundle: run,
    rootfs: `${project.run}/rootfs`,
    status: `${run}/status`,
    socket: `${run}/shim.sock`,
    health: `${run}/health`,
    upper: `${data}/upper`,
    work: `${data}/work`,
    log: `${data}/log`,
  };
}

/** The folders in which the project's containers have theirs: the running one and the lasting one. */
export function containerFolders(project: ProjectPaths): readonly [string, string] {
  return [`${project.run}/containers`, `${project.data}/containers`];
}

/** A named volume's content. */
export function volumePath(roots: StateRoots, name: string): string {
  return `${roots.data}/volumes/${name}/_data`;
}

/** Images and what belongs to them. */
export function imagesPath(roots: StateRoots): string {
  return `${roots.data}/images`;
}

/** Subnets and leases of all projects; changed only under `hostLock`. */
export function leasesPath(roots: StateRoots): string {
  return `${roots.data}/leases.json`;
}

export function hostLock(roots: StateRoots): string {
  return `${roots.data}/leases.lock`;
}
