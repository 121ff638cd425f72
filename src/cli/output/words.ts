/** Docker's words for times, states and ports. Pure. */
import type { ObservedContainer, PublishedPort } from '../../model/observed.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** "3 seconds", "About a minute", "5 weeks" (docker's go-units HumanDuration). */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / SECOND);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(milliseconds / MINUTE);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(milliseconds / HOUR + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(hours / 24 / 365)} years`;
}

export function ago(then: number, now: number): string {
  return `${humanDuration(Math.max(0, now - then))} ago`;
}

/** The STATUS column: "Up 3 seconds (healthy)", "Exited (1) 5 minutes ago" (moby container/state.go). */
export function statusWords(container: ObservedContainer, now: number): string {
  const up = `Up ${humanDuration(Math.max(0, now - (container.startedAt ?? now)))}`;
  switch (container.state) {
    case 'created':
      return 'Created';
    case 'running':
      return up + healthWords[container.health];
    case 'paused':
      return `${up} (Paused)`;
    case 'restarting':
      return `Restarting (${container.exitCode ?? 0}) ${ago(container.finishedAt ?? now, now)}`;
    case 'exited':
      return `Exited (${container.exitCode ?? 0}) ${ago(container.finishedAt ?? now, now)}`;
  }
}

const healthWords: Readonly<Record<ObservedContainer['health'], string>> = {
  none: '',
  starting: ' (health: starting)',
  healthy: ' (healthy)',
  unhealthy: ' (unhealthy)',
};

/** A port that a container shows: published on the host, or only exposed. */
export interface ShownPort {
  readonly hostIp: string;
  readonly published: number;
  readonly target: number;
  readonly protocol: string;
}

/** What a running container offers: published ports, then what it only exposes. */
export function shownPorts(container: ObservedContainer): ShownPort[] {
  if (container.state !== 'running' && container.state !== 'paused') return [];
  const published = container.ports.map(({ hostIp, published: port, target, protocol }) => ({
    hostIp: hostIp || '0.0.0.0',
    published: port,
    target,
    protocol,
  }));
  const exposed = container.spec.expose.flatMap(exposedPorts).filter((port) => !isPublished(port, container.ports));
  return [...published, ...exposed];
}

/** The PORTS column: "0.0.0.0:8080->80/tcp, 9000/tcp"; neighbours of one address are drawn together as ranges. */
export function portWords(ports: readonly ShownPort[]): string {
  return joinNeighbours([...ports].sort(byPlace))
    .map(rangeWords)
    .join(', ');
}

/** "3000", "53/udp", "8000-8002" → the ports it names. */
function exposedPorts(text: string): ShownPort[] {
  const match = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(text);
  if (!match) return [];
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_port, index) => ({
    hostIp: '',
    published: 0,
    target: first + index,
    protocol: match[3] ?? 'tcp',
  }));
}

function isPublished(port: ShownPort, published: readonly PublishedPort[]): boolean {
  return published.some((other) => other.target === port.target && other.protocol === port.protocol);
}

interface PortRange extends ShownPort {
  readonly length: number;
}

function byPlace(a: ShownPort, b: ShownPort): number {
  return (
    Number(a.hostIp === '') - Number(b.hostIp === '') ||
    compareText(a.hostIp, b.hostIp) ||
    compareText(a.protocol, b.protocol) ||
    a.target - b.target ||
    a.published - b.published
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function joinNeighbours(sorted: readonly ShownPort[]): PortRange[] {
  const ranges: PortRange[] = [];
  for (const port of sorted) {
    const last = ranges.at(-1);
    if (last && continues(last, port)) ranges[ranges.length - 1] = { ...last, length: last.length + 1 };
    else ranges.push({ ...port, length: 1 });
  }
  return ranges;
}

function continues(range: PortRange, port: ShownPort): boolean {
  const sameKind = range.hostIp === port.hostIp && range.protocol === port.protocol;
  const nextPublished = range.hostIp === '' || port.published === range.published + range.length;
  return sameKind && nextPublished && port.target === range.target + range.length;
}

function rangeWords({ hostIp, published, target, protocol, length }: PortRange): string {
  const inside = `${span(target, length)}/${protocol}`;
  if (hostIp === '') return inside;
  const address = hostIp.includes(':') ? `[${hostIp}]` : hostIp;
  return `${address}:${span(published, length)}->${inside}`;
}

function span(first: number, length: number): string {
  return length === 1 ? String(first) : `${first}-${first + length - 1}`;
}

/** The COMMAND column: quoted and, unless asked otherwise, cut to 20 characters with an ellipsis, as docker does. */
export function commandWords(container: ObservedContainer, truncate: boolean): string {
  const words = [...(container.spec.entrypoint ?? []), ...(container.spec.command ?? [])].join(' ');
  return truncate ? `"${ellipsis(words, 20)}"` : `"${words}"`;
}

function ellipsis(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

/** "2026-11-22 05:56:48 +0000 UTC" (Go's time.Time.String of a docker timestamp). */
export function goTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}
