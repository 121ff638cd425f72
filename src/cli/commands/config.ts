import { writeFile } from 'node:fs/promises';
import { TscomposeError } from '../../errors.ts';
import { fingerprintService } from '../../model/fingerprint.ts';
import type { Project } from '../../model/project.ts';
import type { CommandRun, Invocation } from '../invocation.ts';
import { type LoadedProject, loadProject, noSuchService } from '../project.ts';

export interface ConfigFlags {
  readonly format: 'yaml' | 'json';
  readonly quiet?: boolean;
  readonly output?: string;
  readonly services?: boolean;
  readonly images?: boolean;
  readonly volumes?: boolean;
  readonly networks?: boolean;
  readonly profiles?: boolean;
  readonly environment?: boolean;
  readonly hash?: string;
}

/** The project as it is understood, in canonical form, or one aspect of it. */
export const run: CommandRun<ConfigFlags> = async (invocation, services, flags) => {
  const loaded = await loadProject(flags.profiles === true ? withEveryProfile(invocation) : invocation, { services });
  for (const name of services) needService(loaded.project, name);
  if (flags.quiet === true) return 0;
  await write(invocation, flags.output, await configText(invocation, loaded, flags));
  return 0;
};

/** `--profile '*'` is every profile (compose-go). */
function withEveryProfile(invocation: Invocation): Invocation {
  return { ...invocation, globals: { ...invocation.globals, profile: ['*'] } };
}

function needService(project: Project, name: string): void {
  const names = project.services.map((service) => service.name);
  if (!names.includes(name)) throw noSuchService(name, [...names, ...project.inactiveServices]);
}

async function configText({ doors }: Invocation, loaded: LoadedProject, flags: ConfigFlags): Promise<string> {
  const aspect = aspects.find(([flag]) => flags[flag] === true);
  if (aspect) return lines(await aspect[1](loaded));
  if (flags.hash !== undefined) return lines(hashes(loaded.project, flags.hash));
  const text = await doors.formatConfig(loaded.model ?? {}, flags.format);
  return text.endsWith('\n') ? text : `${text}\n`;
}

type Aspect = (loaded: LoadedProject) => readonly string[] | Promise<readonly string[]>;

const aspects: readonly (readonly ['services' | 'images' | 'volumes' | 'networks' | 'profiles' | 'environment', Aspect])[] = [
  ['services', ({ project }) => project.services.map((service) => service.name)],
  ['images', ({ project }) => [...new Set(project.services.map((service) => service.image))].sort()],
  ['volumes', ({ project }) => project.volumes.map((volume) => volume.key)],
  ['networks', ({ project }) => project.networks.map((network) => network.key)],
  ['profiles', ({ project }) => [...new Set(project.services.flatMap((service) => service.profiles))].sort()],
  [
    'environment',
    async (loaded) =>
      Object.entries(await loaded.environment())
        .map(([key, value]) => `${key}=${value}`)
        .sort(),
  ],
];

/** "service sha256"; `--hash '*'` is every service. */
function hashes(project: Project, wish: string): string[] {
  const names = wish === '*' ? project.services.map((service) => service.name) : wish.split(',');
  return names.map((name) => {
    const service = project.services.find((candidate) => candidate.name === name);
    if (!service)
      throw noSuchService(
        name,
        project.services.map((candidate) => candidate.name),
      );
    return `${name} ${fingerprintService(service, project)}`;
  });
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}

/** @throws STATE_UNWRITABLE */
async function write({ around }: Invocation, path: string | undefined, text: string): Promise<void> {
  if (path === undefined) return around.stdout.write(text);
  await writeFile(path, text).catch((cause: Error) => {
    throw new TscomposeError('STATE_UNWRITABLE', `cannot write ${path}: ${cause.message}`, { path, cause });
  });
}
