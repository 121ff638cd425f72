/** Packs orders, oldest first. What is under way is in the store, so a worker that died is resumed by the next one. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as store from '../common/store.mjs';

const jamEvery = Number(process.env.JAM_EVERY ?? 4);
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

console.log('looking for orders');
while (!stop.signal.aborted) {
  const order = await nextOrder();
  if (order) await pack(order);
  await sleep(order ? 100 : 1000, undefined, { signal: stop.signal }).catch(() => undefined);
}
console.log('going home');

async function nextOrder() {
  const orders = (await store.list('order/')).map((entry) => entry.value);
  return orders.find((order) => order.status === 'packing') ?? orders.find((order) => order.status === 'new');
}

async function pack(order) {
  const isResumed = order.status === 'packing';
  console.log(`${isResumed ? 'resuming' : 'packing'} ${order.id}: ${order.product}`);
  if (!isResumed) await store.put(`order/${order.id}`, { ...order, status: 'packing' });
  const labels = await printLabel();
  if (!isResumed && labels % jamEvery === 0) jam();
  await store.put(`order/${order.id}`, { ...order, status: 'packed' });
}

/** How many labels were printed so far, also by the workers before this one. */
async function printLabel() {
  const labels = ((await store.get('labels')) ?? 0) + 1;
  await store.put('labels', labels);
  return labels;
}

function jam() {
  console.error('the label printer has jammed');
  process.exit(1);
}
