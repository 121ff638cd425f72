/**
 * Removes links, many at the price of one: the kernel waits for all processors to let go of a link (synchronize_net) once a
 * removal, some 20 ms each. So links to be removed are put into a group of their own first, and the group is removed.
 */

import { randomInt } from 'node:crypto';
import { Errno } from './netlink/errno.ts';
import type { NetlinkQueue } from './netlink/queue.ts';
import { deleteGroup, setLink } from './netlink/route.ts';

/**
 * Removes links of the host by their names; with one end of a veth pair the other goes, too. Those gone already are no failure.
 * @throws NETWORK_FAILED
 */
export type RemoveLinks = (names: readonly string[]) => Promise<void>;

/** Calls of one turn of the event loop, and those that come while a removal is under way, share one removal. */
export function createLinkRemover(queue: NetlinkQueue): RemoveLinks {
  let waiting: string[] = [];
  let next: Promise<void> | undefined;
  let current: Promise<void> = Promise.resolve();

  const removeWaiting = async (before: Promise<void>): Promise<void> => {
    await before.catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    const names = waiting;
    waiting = [];
    next = undefined;
    await removeTogether(queue, names);
  };

  return (names) => {
    if (names.length === 0) return Promise.resolve();
    waiting.push(...names);
    next ??= current = removeWaiting(current);
    return next;
  };
}

/** Group numbers of others are small; ours are of 30 random bits, so that nobody's link is in by chance. */
async function removeTogether(queue: NetlinkQueue, names: readonly string[]): Promise<void> {
  const group = randomInt(2 ** 29, 2 ** 30);
  const marks = [...new Set(names)].map((name) => ({ ...setLink(0, { name, group }), purpose: `removing link ${name}` }));
  await queue.mustSend('', [...marks, deleteGroup(group)], [Errno.noDevice]);
}
