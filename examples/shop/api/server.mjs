/** What the shop can do. Any number of replicas; what they know is in the store. Every answer says which replica gave it. */
import fs from 'node:fs';
import os from 'node:os';
import { Refusal, serve } from '../common/http.mjs';
import * as store from '../common/store.mjs';

const replica = os.hostname();
const prices = JSON.parse(fs.readFileSync(process.env.PRICES_FILE ?? '/etc/shop/prices.json', 'utf8'));

serve(Number(process.env.PORT ?? 3000), {
  'GET /health': () => answer('ok', true),
  'GET /products': async () => answer('products', await products()),
  'GET /orders': async () => answer('orders', await values('order/')),
  'POST /orders': async ({ body }) => answer('order', await placeOrder(JSON.parse(body).product)),
});

function answer(name, value) {
  return { body: { replica, [name]: value } };
}

async function products() {
  const found = await values('product/');
  return found.map((product) => ({ ...product, price: priceOf(product) }));
}

function priceOf({ cents }) {
  const withTax = Math.round((cents * (100 + prices.vatPercent)) / 100);
  return `${(withTax / 100).toFixed(2)} ${prices.currency}`;
}

async function placeOrder(product) {
  if ((await store.get(`product/${product}`)) === undefined) throw new Refusal(400, `no such product: ${product}`);
  const order = { id: newOrderId(), product, status: 'new', at: new Date().toISOString() };
  await store.put(`order/${order.id}`, order);
  console.log(`order ${order.id}: ${product}`);
  return order;
}

/** Sorts by time after the first orders' numbers; two replicas do not choose the same. */
function newOrderId() {
  return `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 6)}`;
}

async function values(prefix) {
  return (await store.list(prefix)).map((entry) => entry.value);
}
