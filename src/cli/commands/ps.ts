import { TscomposeError } from '../../errors.ts';
import type { ObservedContainer } from '../../model/observed.ts';
import { ago, commandWords, goTime, portWords, shownPorts, statusWords } from '../output/words.ts';
import { formatTable } from '../output/table.ts';
import { makePlain } from '../output/visible.ts';
import type { CommandRun, Invocation } from '../invocation.ts';
import { checkServices, containersOf, loadProject, observeProject } from '../project.ts';

export interface PsFlags {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly services?: boolean;
  readonly filter: readonly string[];
  readonly status: readonly string[];
  readonly format: string;
  /** `--no-trunc` makes it false. */
  readonly trunc: boolean;
  readonly orphans: boolean;
}

/** The project's containers, from files alone. */
export const run: CommandRun<PsFlags> = async (invocation, services, flags) => {
  const observed = await observeProject(invocation);
  await checkServices(invocation, observed, services);
  const wanted = wantedStates(flags);
  const known = flags.orphans ? undefined : await servicesOfFile(invocation);
  const shown = containersOf(observed, services).filter(
    (container) => isShown(container, flags, wanted) && (known === undefined || known.has(container.service)),
  );
  invocation.around.stdout.write(formatContainers(shown, observed.project, flags, invocation.around.now()));
  return 0;
};

/** Services of the file, those of inactive profiles too: whatever else has a container is an orphan. */
async function servicesOfFile(invocation: Invocation): Promise<ReadonlySet<string>> {
  const { project } = await loadProject(invocation, { showWarnings: false });
  return new Set([...project.services.map(({ name }) => name), ...project.inactiveServices]);
}

/** States that `--status` and `--filter status=` ask for; undefined: no wish. @throws USAGE */
function wantedStates({ filter, status }: PsFlags): ReadonlySet<string> | undefined {
  const filtered = filter.map((text) => {
    const match = /^status=(.+)$/.exec(text);
    if (!match) throw new TscomposeError('USAGE', `unknown filter "${text}"`, { hint: 'use --filter status=running' });
    return match[1] as string;
  });
  const states = [...filtered, ...status];
  return states.length === 0 ? undefined : new Set(states);
}

const stoppedStates: readonly ObservedContainer['state'][] = ['created', 'exited'];

function isShown(container: ObservedContainer, flags: PsFlags, wanted: ReadonlySet<string> | undefined): boolean {
  if (container.oneOff && flags.all !== true) return false;
  if (wanted) return wanted.has(container.state);
  return flags.all === true || !stoppedStates.includes(container.state);
}

function formatContainers(containers: readonly ObservedContainer[], project: string, flags: PsFlags, now: number): string {
  if (flags.quiet === true) return lines(containers.map((container) => container.id));
  if (flags.services === true) return lines([...new Set(containers.map((container) => container.service))]);
  if (flags.format === 'json')
    return lines(containers.map((container) => JSON.stringify(containerJson(container, project, now, flags.trunc))));
  if (flags.format !== 'table')
    throw new TscomposeError('USAGE', `unknown format "${flags.format}"`, { hint: 'use table or json' });
  return formatTable(
    ['NAME', 'IMAGE', 'COMMAND', 'SERVICE', 'CREATED', 'STATUS', 'PORTS'],
    containers.map((container) =>
      [
        container.name,
        container.image,
        commandWords(container, flags.trunc),
        container.service,
        ago(container.createdAt, now),
        statusWords(container, now),
        portWords(shownPorts(container)),
      ].map(makePlain),
    ),
  );
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}

/** The fields of `docker compose ps --format json`, in its order. */
export function containerJson(container: ObservedContainer, project: string, now: number, truncate: boolean): object {
  const ports = shownPorts(container);
  const mounts = container.spec.mounts.map((mount) =>
    'source' in mount && mount.source !== undefined ? mount.source : mount.target,
  );
  return {
    Command: commandWords(container, truncate),
    CreatedAt: goTime(container.createdAt),
    ExitCode: container.exitCode ?? 0,
    Health: container.health === 'none' ? '' : container.health,
    ID: truncate ? container.id.slice(0, 12) : container.id,
    Image: container.image,
    Labels: Object.entries(container.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    LocalVolumes: String(container.spec.mounts.filter((mount) => mount.type === 'volume').length),
    Mounts: mounts.join(','),
    Name: container.name,
    Names: container.name,
    Networks: container.attachments.map((attachment) => attachment.network).join(','),
    Ports: portWords(ports),
    Project: project,
    Publishers: ports.map(({ hostIp, target, published, protocol }) => ({
      URL: hostIp,
      TargetPort: target,
      PublishedPort: published,
      Protocol: protocol,
    })),
    RunningFor: ago(container.createdAt, now),
    Service: container.service,
    Size: '0B',
    State: container.state,
    Status: statusWords(container, now),
  };
}
