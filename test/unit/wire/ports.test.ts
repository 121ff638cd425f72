import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { PortMapping, Service } from '../../../src/model/project.ts';
import { createPortKeeper, type PortKeeper } from '../../../src/wire/ports.ts';

const keepers: PortKeeper[] = [];
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const keeper of keepers.splice(0)) for (const holder of ['a', 'b', '']) keeper.release(holder);
  for (const clean of cleanups.splice(0)) clean();
});

function keeperOf(culprit?: string): PortKeeper {
  const keeper = createPortKeeper(() => culprit);
  keepers.push(keeper);
  return keeper;
}

/** A service of which nothing but its ports counts here. */
function publishing(...ports: Partial<PortMapping>[]): Service {
  const full = ports.map((port) => ({ target: 80, published: 0, hostIp: '127.0.0.1', protocol: 'tcp', ...port }));
  return { name: 'web', ports: full } as unknown as Service;
}

async function occupiedTcp(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  cleanups.push(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

async function occupiedUdp(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  cleanups.push(() => socket.close());
  await once(socket, 'listening');
  return socket.address().port;
}

describe('taking ports', () => {
  test('a port left open is chosen, and the same again after a restart', async () => {
    const keeper = keeperOf();
    const [first] = await keeper.take('a', publishing({}), []);
    keeper.release('a');
    const [second] = await keeper.take('a', publishing({}), first ? [first] : []);
    expect(first?.published).toBeGreaterThan(0);
    expect(second).toEqual(first);
  });

  test.each([
    ['tcp' as const, occupiedTcp],
    ['udp' as const, occupiedUdp],
  ])('a %s port that another program has is refused, and the program named', async (protocol, occupied) => {
    const published = await occupied();
    const keeper = keeperOf('process 7 (other)');
    await expect(keeper.take('a', publishing({ published, protocol }), [])).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: `host port ${published}/${protocol} is already in use by process 7 (other)`,
    });
  });

  test('two containers of a project cannot have one port; when the first has gone the second can', async () => {
    const keeper = keeperOf();
    const published = await occupiedTcp();
    cleanups.splice(0)[0]?.();
    await keeper.take('a', publishing({ published }), []);
    await expect(keeper.take('b', publishing({ published }), [])).rejects.toThrow('by another container of this project');
    keeper.release('a');
    await expect(keeper.take('b', publishing({ published }), [])).resolves.toHaveLength(1);
  });

  test('of a range the first free one is taken', async () => {
    const keeper = keeperOf();
    const occupied = await occupiedTcp();
    const [port] = await keeper.take('a', publishing({ published: occupied, publishedEnd: occupied + 20 }), []);
    expect(port?.published).toBeGreaterThan(occupied);
  });

  test('a failure gives everything back', async () => {
    const keeper = keeperOf();
    const occupied = await occupiedTcp();
    const [free] = await keeper.take('a', publishing({}), []);
    keeper.release('a');
    const both = publishing({ published: free?.published ?? 0 }, { published: occupied });
    await expect(keeper.take('a', both, [])).rejects.toMatchObject({ code: 'PORT_TAKEN' });
    await expect(keeper.take('b', publishing({ published: free?.published ?? 0 }), [])).resolves.toHaveLength(1);
  });

  test('an address this host does not have is named', async () => {
    const keeper = keeperOf();
    await expect(keeper.take('a', publishing({ published: 4000, hostIp: '198.51.100.7' }), [])).rejects.toThrow(
      'this host has no address 198.51.100.7',
    );
  });
});

describe('foreseeing', () => {
  test('keeps a fixed port free for whoever starts next, until it is forgotten', async () => {
    const keeper = keeperOf();
    const published = await occupiedTcp();
    cleanups.splice(0)[0]?.();
    await keeper.foresee([publishing({ published })], []);
    await expect(keeperOf().take('b', publishing({ published }), [])).rejects.toMatchObject({ code: 'PORT_TAKEN' });
    await keeper.take('a', publishing({ published }), []);
    keeper.forget();
    await expect(keeperOf().take('b', publishing({ published }), [])).rejects.toMatchObject({ code: 'PORT_TAKEN' });
  });

  test('two containers that want one port are told before either starts', async () => {
    const published = await occupiedTcp();
    cleanups.splice(0)[0]?.();
    const service = publishing({ published });
    await expect(keeperOf().foresee([service, service], [])).rejects.toThrow('by another container of this project');
  });

  test('a port that a leaving container still has is no conflict', async () => {
    const keeper = keeperOf();
    const [port] = await keeper.take('a', publishing({}), []);
    const service = publishing({ published: port?.published ?? 0 });
    await expect(keeper.foresee([service], ['a'])).resolves.toBeUndefined();
    await expect(keeper.foresee([service], [])).rejects.toMatchObject({ code: 'PORT_TAKEN' });
  });
});
