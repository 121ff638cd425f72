import fs from 'node:fs';

/**
 * The folder of a process's cgroup in the hierarchy that has the controller: version 1's own, or the unified one.
 * @throws when the process has gone
 */
export function cgroupFolder(pid: number, controller: string): string {
  // cgroups(7): "N:controllers:/path" is a hierarchy of version 1, "0::/path" the one of version 2.
  const lines = fs
    .readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line) as RegExpExecArray);
  const own = lines.find(([, controllers]) => (controllers as string).split(',').includes(controller));
  if (own) return `/sys/fs/cgroup/${controller}${own[2]}`;
  return `/sys/fs/cgroup${lines.find(([, controllers]) => controllers === '')?.[2]}`;
}

/** A counter of a file of "key number" lines in that folder; 0 when there is none. */
export function cgroupCounter(folder: string, file: string, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(fs.readFileSync(`${folder}/${file}`, 'utf8'))?.[1] ?? 0);
}

/** The processes in that folder itself. */
export function cgroupMembers(folder: string): number[] {
  return fs
    .readFileSync(`${folder}/cgroup.procs`, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}
