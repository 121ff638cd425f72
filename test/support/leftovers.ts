import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

/**
 * Ends every process and undoes every mount that has to do with a test's folder, and names them: there should be none.
 * Only for a folder that nobody else uses.
 */
export function endLeftovers(folder: string): string[] {
  const processes = processesOf(folder);
  for (const { pid } of processes) kill(pid);
  const mounts = mountsBelow(folder);
  for (const mount of mounts) execFileSync('umount', ['-l', mount]);
  return [...processes.map(({ pid, command }) => `process ${pid}: ${command}`), ...mounts.map((mount) => `mount ${mount}`)];
}

interface Entry {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly isMentioning: boolean;
}

/** Processes that mention the folder (arguments, environment, open files), and everything below them. */
function processesOf(folder: string): Entry[] {
  const all = fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => describe(name, folder));
  const isLeft = (entry: Entry | undefined): boolean => {
    if (entry === undefined) return false;
    return entry.isMentioning || isLeft(all.find((candidate) => candidate.pid === entry.parent));
  };
  return all.filter(isLeft);
}

function describe(pid: string, folder: string): Entry[] {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
    const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    const texts = [command, fs.readFileSync(`/proc/${pid}/environ`, 'utf8'), ...openFiles(pid)];
    const parent = Number(/^PPid:\s*(\d+)/m.exec(status)?.[1]);
    return [{ pid: Number(pid), parent, command, isMentioning: texts.some((text) => text.includes(folder)) }];
  } catch {
    return [];
  }
}

function openFiles(pid: string): string[] {
  return fs.readdirSync(`/proc/${pid}/fd`).flatMap((descriptor) => {
    try {
      return [fs.readlinkSync(`/proc/${pid}/fd/${descriptor}`)];
    } catch {
      return [];
    }
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Its parent's end was its own.
  }
}

/** Innermost first. */
function mountsBelow(folder: string): string[] {
  const points = fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '');
  return points.filter((point) => point.startsWith(`${folder}/`)).reverse();
}
