/**
 * Published ports, held while they are published: a socket bound to the same address and port says to every other program, and to
 * every other project, that it is taken, and tells us at once when somebody else was first. No packet reaches it, because the
 * firewall rewrites the destination before the host's sockets are asked.
 */

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { isErrno, TscomposeError } from '../errors.ts';
import type { PublishedPort } from '../model/observed.ts';
import type { PortMapping, Service } from '../model/project.ts';

export interface PortKeeper {
  /**
   * Takes the ports of a service for its container `holder`, choosing where the file leaves it open; `held` are those it had before.
   * What the same holder, or nobody yet, has taken already is fine. @throws PORT_TAKEN, and then takes none
   */
  take(holder: string, service: Service, held: readonly PublishedPort[]): Promise<PublishedPort[]>;
  /** Takes the fixed ports of services about to start, so that a conflict is known before anything is touched. @throws PORT_TAKEN */
  foresee(services: readonly Service[], leaving: readonly string[]): Promise<void>;
  /** Gives back what was foreseen and not taken. */
  forget(): void;
  release(holder: string): void;
}

/** Who holds a port on this host, in words ("process 4121 (nginx)"); undefined when nobody can be named. */
export type FindHolder = (protocol: string, hostIp: string, port: number) => string | undefined;

interface Held {
  /** "" is: foreseen. */
  holder: string;
  readonly close: () => void;
}

export function createPortKeeper(findHolder: FindHolder): PortKeeper {
  const held = new Map<string, Held>();

  const bind = async (holder: string, mapping: PortMapping, port: number): Promise<number> => {
    const known = held.get(keyOf(mapping, port));
    if (known && (known.holder === '' || known.holder === holder)) {
      known.holder = holder;
      return port;
    }
    if (known) throw inUse();
    const bound = await bindSocket(mapping, port);
    held.set(keyOf(mapping, bound.port), { holder, close: bound.close });
    return bound.port;
  };

  const takeOne = async (holder: string, mapping: PortMapping, before: PublishedPort | undefined): Promise<PublishedPort> => {
    const candidates = before ? [before.published, ...candidatesOf(mapping)] : candidatesOf(mapping);
    for (const port of candidates) {
      try {
        return {
          target: mapping.target,
          published: await bind(holder, mapping, port),
          hostIp: mapping.hostIp || '0.0.0.0',
          protocol: mapping.protocol,
        };
      } catch (error) {
        if (!isErrno(error, 'EADDRINUSE')) throw unusable(mapping, port, error);
      }
    }
    throw taken(mapping, held, findHolder);
  };

  const release = (holder: string): void => {
    for (const [key, one] of held) {
      if (one.holder !== holder) continue;
      one.close();
      held.delete(key);
    }
  };

  return {
    take: async (holder, service, before) => {
      const ports: PublishedPort[] = [];
      try {
        for (const mapping of service.ports)
          ports.push(
            await takeOne(
              holder,
              mapping,
              before.find((port) => isSame(port, mapping)),
            ),
          );
      } catch (error) {
        release(holder);
        throw error;
      }
      return ports;
    },
    foresee: async (services, leaving) => {
      const wanted = services.flatMap((service) => service.ports).filter(isFixed);
      try {
        const seen = new Set<string>();
        for (const mapping of wanted) {
          const key = keyOf(mapping, mapping.published);
          if (seen.has(key)) throw takenBy(mapping, SIBLING);
          seen.add(key);
          const known = held.get(key);
          if (!known || (known.holder !== '' && !leaving.includes(known.holder))) await takeOne('', mapping, undefined);
        }
      } catch (error) {
        release('');
        throw error;
      }
    },
    forget: () => release(''),
    release,
  };
}

function keyOf({ protocol, hostIp }: Pick<PortMapping, 'protocol' | 'hostIp'>, port: number): string {
  return `${protocol} ${hostIp || '0.0.0.0'} ${port}`;
}

function isFixed(mapping: PortMapping): boolean {
  return mapping.published !== 0 && mapping.publishedEnd === undefined;
}

function isSame(port: PublishedPort, mapping: PortMapping): boolean {
  return port.target === mapping.target && port.protocol === mapping.protocol && port.hostIp === (mapping.hostIp || '0.0.0.0');
}

function candidatesOf({ published, publishedEnd }: PortMapping): number[] {
  const last = publishedEnd ?? published;
  return Array.from({ length: last - published + 1 }, (_, index) => published + index);
}

interface Bound {
  readonly port: number;
  readonly close: () => void;
}

function bindSocket({ protocol, hostIp }: PortMapping, port: number): Promise<Bound> {
  if (protocol === 'tcp') return bindTcp(hostIp || '0.0.0.0', port);
  if (protocol === 'udp') return bindUdp(hostIp || '0.0.0.0', port);
  return Promise.resolve({ port, close: () => undefined });
}

function bindTcp(host: string, port: number): Promise<Bound> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.unref();
      const address = server.address();
      resolve({ port: typeof address === 'object' && address ? address.port : port, close: () => server.close() });
    });
  });
}

function bindUdp(address: string, port: number): Promise<Bound> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.unref();
      resolve({ port: socket.address().port, close: () => socket.close() });
    });
  });
}

function inUse(): Error {
  return Object.assign(new Error('in use'), { code: 'EADDRINUSE' });
}

const SIBLING = 'another container of this project';

function taken(mapping: PortMapping, held: ReadonlyMap<string, Held>, findHolder: FindHolder): TscomposeError {
  const own = held.get(keyOf(mapping, mapping.published));
  return takenBy(mapping, own ? SIBLING : findHolder(mapping.protocol, mapping.hostIp || '0.0.0.0', mapping.published));
}

function takenBy({ protocol, published, publishedEnd, target }: PortMapping, culprit: string | undefined): TscomposeError {
  const range = publishedEnd === undefined ? `host port ${published}` : `every host port of ${published}-${publishedEnd}`;
  return new TscomposeError('PORT_TAKEN', `${range}/${protocol} is already in use${culprit ? ` by ${culprit}` : ''}`, {
    hint: `stop what uses it, or publish another port, e.g. "${published + 1}:${target}"`,
  });
}

function unusable({ hostIp, protocol }: PortMapping, port: number, cause: unknown): TscomposeError {
  const reason = isErrno(cause, 'EADDRNOTAVAIL')
    ? `this host has no address ${hostIp}`
    : cause instanceof Error
      ? cause.message
      : String(cause);
  return new TscomposeError('PORT_TAKEN', `cannot publish ${hostIp ? `${hostIp}:` : ''}${port}/${protocol}: ${reason}`, {
    cause,
  });
}
