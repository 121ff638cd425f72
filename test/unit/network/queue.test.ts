import { describe, expect, test } from 'vitest';
import { decodeBatch, type Message } from '../../../src/network/netlink/codec.ts';
import { NetlinkQueue } from '../../../src/network/netlink/queue.ts';
import { dumpLinks, getLink, setLink } from '../../../src/network/netlink/route.ts';
import type { NetlinkCarrier } from '../../../src/network/ports.ts';
import { createLinkRemover } from '../../../src/network/removal.ts';

/** A kernel that takes everything, but answers ENODEV for links called "gone" and EBUSY for "busy". */
function recordingKernel() {
  const batches: { path: string; names: string[]; acknowledged: number }[] = [];
  const carrier: NetlinkCarrier = {
    async netlink(path, _protocol, batch) {
      const messages = decodeBatch(batch);
      const names = messages.map(({ type, body }) => `${type}:${Buffer.from(body.subarray(20)).toString().replace(/\0.*/s, '')}`);
      batches.push({ path, names, acknowledged: messages.filter(({ flags }) => (flags & 4) !== 0).length });
      await new Promise((resolve) => setTimeout(resolve, 5));
      return Buffer.concat(
        messages.map(({ sequence, type, flags }, index) => reply(sequence, flags, errnoOf(names[index], type))),
      );
    },
  };
  return { batches, queue: new NetlinkQueue(carrier) };
}

function errnoOf(name: string | undefined, type: number): number {
  return name === '16:gone' && type === 16 ? 19 : name === '16:busy' ? 16 : 0;
}

/** Errors come always, acknowledgements when asked for. */
function reply(sequence: number, flags: number, errno: number): Buffer {
  if (errno === 0 && (flags & 4) === 0) return Buffer.alloc(0);
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(20, 0);
  bytes.writeUInt16LE(2, 4);
  bytes.writeUInt32LE(sequence, 8);
  bytes.writeInt32LE(-errno, 16);
  return bytes;
}

const set = (...names: string[]): Message[] => names.map((name) => setLink(0, { name }));

describe('the queue', () => {
  test('carries what is asked in one turn as one batch, one acknowledgement a request, each namespace for itself', async () => {
    const { batches, queue } = recordingKernel();
    const answers = await Promise.all([
      queue.send('', set('a', 'b')),
      queue.send('', set('gone', 'c')),
      queue.send('/proc/7/ns/net', set('d')),
    ]);
    expect(batches).toEqual([
      { path: '', names: ['16:a', '16:b', '16:gone', '16:c'], acknowledged: 2 },
      { path: '/proc/7/ns/net', names: ['16:d'], acknowledged: 1 },
    ]);
    expect(answers.map((list) => list.map(({ errno }) => errno))).toEqual([[0, 0], [19, 0], [0]]);
  });

  test('gathers what comes while a batch is under way, and keeps dumps alone', async () => {
    const { batches, queue } = recordingKernel();
    const first = queue.send('', set('a'));
    await new Promise((resolve) => setTimeout(resolve, 1));
    await Promise.all([
      first,
      queue.send('', set('b')),
      queue.send('', [dumpLinks()]),
      queue.send('', set('c')),
      queue.send('', set('d')),
    ]);
    expect(batches.map(({ names }) => names)).toEqual([['16:a'], ['16:b'], ['18:'], ['16:c', '16:d']]);
  });

  test('cuts batches whose answers would not fit into the receive buffer', async () => {
    const { batches, queue } = recordingKernel();
    await Promise.all(Array.from({ length: 700 }, (_, index) => queue.send('', [getLink(`l${index}`)])));
    expect(batches.map(({ names }) => names.length)).toEqual([300, 300, 100]);
  });

  test('throws the first failure that is not tolerated, in words', async () => {
    const { queue } = recordingKernel();
    await expect(queue.mustSend('', set('gone', 'busy'), [19])).rejects.toThrow('configuring link busy: object is busy (EBUSY)');
    await expect(queue.mustSend('', set('gone'), [19])).resolves.toHaveLength(1);
  });

  test('tells every request of a batch that could not be carried, and goes on', async () => {
    let isBroken = true;
    const queue = new NetlinkQueue({
      netlink: async () => {
        if (isBroken) throw new Error('the core is gone');
        return new Uint8Array();
      },
    });
    const results = await Promise.allSettled([queue.send('', set('a')), queue.send('', set('b'))]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isBroken = false;
    await expect(queue.send('', set('c'))).resolves.toMatchObject([{ errno: 0 }]);
  });
});

describe('removal', () => {
  test('of many links at once is one group, and names given twice or gone are fine', async () => {
    const { batches, queue } = recordingKernel();
    const remove = createLinkRemover(queue);
    await Promise.all([remove(['a', 'b']), remove(['b', 'gone']), remove([])]);
    expect(batches.map(({ names }) => names.map((name) => name.slice(0, 7)))).toEqual([
      ['16:a', '16:b', '16:gone', expect.stringMatching(/^17:/)],
    ]);
  });

  test('that fails does not stop the next', async () => {
    const { batches, queue } = recordingKernel();
    const remove = createLinkRemover(queue);
    const [failed, later] = await Promise.allSettled([
      remove(['busy']),
      new Promise((resolve) => setTimeout(resolve, 2)).then(() => remove(['a'])),
    ]);
    expect([failed.status, later.status]).toEqual(['rejected', 'fulfilled']);
    expect(batches).toHaveLength(2);
  });
});
