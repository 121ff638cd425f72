import { TscomposeError } from '../../errors.ts';
import type { CommandRun } from '../invocation.ts';
import { chooseContainer, observeProject } from '../project.ts';

export interface PortFlags {
  readonly index?: number;
  readonly protocol: string;
}

/** The host's address of a container's port: "0.0.0.0:8080". */
export const run: CommandRun<PortFlags> = async (invocation, [service = '', port = ''], flags) => {
  const { target, protocol } = parsePort(port, flags.protocol);
  const container = await chooseContainer(invocation, await observeProject(invocation), {
    service,
    ...(flags.index !== undefined && { index: flags.index }),
  });
  const published = container.ports.filter((candidate) => candidate.target === target && candidate.protocol === protocol);
  if (published.length === 0) {
    throw new TscomposeError('USAGE', `no port ${target}/${protocol} for container ${container.name}`, {
      service,
      hint:
        container.ports.length === 0
          ? 'the service publishes no port'
          : `published: ${container.ports.map((other) => `${other.target}/${other.protocol}`).join(', ')}`,
    });
  }
  for (const { hostIp, published: hostPort } of published) invocation.around.stdout.write(`${address(hostIp)}:${hostPort}\n`);
  return 0;
};

function address(hostIp: string): string {
  if (hostIp === '') return '0.0.0.0';
  return hostIp.includes(':') ? `[${hostIp}]` : hostIp;
}

/** "80", "53/udp". @throws USAGE */
function parsePort(text: string, protocol: string): { target: number; protocol: string } {
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text);
  if (!match) throw new TscomposeError('USAGE', `invalid port "${text}"`, { hint: 'write a number such as 80 or 53/udp' });
  return { target: Number(match[1]), protocol: match[2] ?? protocol };
}
