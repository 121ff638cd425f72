/** A service as the flags of `run` change it. Pure. */
import { isAbsolute, resolve } from 'node:path';
import { TscomposeError } from '../errors.ts';
import type { Mount, PortMapping, Service } from '../model/project.ts';

export interface RunSpecFlags {
  readonly env: readonly string[];
  readonly label: readonly string[];
  readonly volume: readonly string[];
  readonly publish: readonly string[];
  readonly servicePorts?: boolean;
  readonly user?: string;
  readonly workdir?: string;
  readonly name?: string;
  readonly entrypoint?: string;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
}

export interface RunTerminal {
  readonly tty: boolean;
  readonly stdinOpen: boolean;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Keys of the project's volumes. */
  readonly volumes: readonly string[];
}

/** A one-off never restarts, is alone, and publishes nothing unless asked. @throws USAGE */
export function runSpec(service: Service, command: readonly string[], flags: RunSpecFlags, terminal: RunTerminal): Service {
  const { containerName: _name, ...rest } = service;
  return {
    ...rest,
    replicas: 1,
    restart: { kind: 'no' },
    tty: terminal.tty,
    stdinOpen: terminal.stdinOpen,
    environment: { ...service.environment, ...environmentOf(flags.env, terminal.env) },
    labels: { ...service.labels, ...Object.fromEntries(flags.label.map(keyValue)) },
    mounts: [...mountsWithout(service.mounts, flags), ...flags.volume.map((text) => parseVolume(text, terminal))],
    ports: [...(flags.servicePorts === true ? service.ports : []), ...flags.publish.map(parsePublish)],
    capAdd: [...service.capAdd, ...flags.capAdd],
    capDrop: [...service.capDrop, ...flags.capDrop],
    ...(flags.user !== undefined && { user: flags.user }),
    ...(flags.workdir !== undefined && { workingDir: flags.workdir }),
    ...(flags.name !== undefined && { containerName: flags.name }),
    ...(flags.entrypoint !== undefined && {
      entrypoint: flags.entrypoint === '' ? [] : splitWords(flags.entrypoint),
      command: [],
    }),
    ...(command.length > 0 && { command }),
  };
}

/** `-e KEY=VALUE` sets, `-e KEY` passes the caller's value on, if there is one. */
export function environmentOf(
  texts: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const pairs = texts.map((text): readonly [string, string | undefined] => {
    const split = text.indexOf('=');
    return split < 0 ? [text, env[text]] : [text.slice(0, split), text.slice(split + 1)];
  });
  return Object.fromEntries(pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined));
}

function keyValue(text: string): readonly [string, string] {
  const split = text.indexOf('=');
  return split < 0 ? [text, ''] : [text.slice(0, split), text.slice(split + 1)];
}

function mountsWithout(mounts: readonly Mount[], flags: RunSpecFlags): readonly Mount[] {
  const replaced = new Set(flags.volume.map((text) => text.split(':')[1] ?? text));
  return mounts.filter((mount) => !replaced.has(mount.target));
}

/** "SOURCE:TARGET[:ro]" or "TARGET" (an anonymous volume). */
function parseVolume(text: string, { cwd, volumes }: RunTerminal): Mount {
  const [first = '', second, mode, ...more] = text.split(':');
  const target = second ?? first;
  if (more.length > 0 || !isAbsolute(target) || (mode !== undefined && mode !== 'ro' && mode !== 'rw')) {
    throw new TscomposeError('USAGE', `invalid volume "${text}"`, {
      hint: 'write SOURCE:TARGET, or SOURCE:TARGET:ro, with an absolute TARGET',
    });
  }
  const readOnly = mode === 'ro';
  if (second === undefined) return { type: 'volume', target, readOnly, noCopy: false };
  if (/^[./]/.test(first)) return { type: 'bind', source: resolve(cwd, first), target, readOnly, createHostPath: true };
  if (!volumes.includes(first))
    throw new TscomposeError('USAGE', `no volume "${first}" in this project`, {
      hint: `begin a path with ./ or /; volumes: ${volumes.join(', ') || 'none'}`,
    });
  return { type: 'volume', source: first, target, readOnly, noCopy: false };
}

/** "[IP:][HOST:]TARGET[/PROTOCOL]" */
export function parsePublish(text: string): PortMapping {
  const match = /^(?:(?:(\[[0-9a-f:]+\]|[0-9.]+):)?(\d*):)?(\d+)(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const target = Number(match?.[3]);
  const published = Number(match?.[2] || 0);
  if (!match || !isPort(target) || (published !== 0 && !isPort(published))) {
    throw new TscomposeError('USAGE', `invalid port "${text}"`, {
      hint: 'write HOST:CONTAINER, e.g. 8080:80 or 127.0.0.1:8080:80/tcp',
    });
  }
  return {
    target,
    published,
    hostIp: (match[1] ?? '').replace(/[[\]]/g, ''),
    protocol: (match[4]?.toLowerCase() ?? 'tcp') as PortMapping['protocol'],
  };
}

function isPort(value: number): boolean {
  return value >= 1 && value <= 65535;
}

/** Words of a command line: blanks part, quotes and backslashes hold together (POSIX shell, 2.2, without expansions). */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  for (const [word] of text.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs)) {
    words.push(
      word.replace(
        /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/gs,
        (_all, single, double, escaped) => single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped,
      ),
    );
  }
  return words;
}
