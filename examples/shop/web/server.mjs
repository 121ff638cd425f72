/** The page, made for every visitor from public/index.html and what the api says. */
import dns from 'node:dns/promises';
import fs from 'node:fs/promises';
import path from 'node:path';
import { Refusal, serve } from '/app/common/http.mjs';
import { fill } from './template.mjs';

const publicFolder = path.join(import.meta.dirname, 'public');
const types = { '.css': 'text/css', '.svg': 'image/svg+xml', '.html': 'text/html; charset=utf-8' };
let turn = 0;

serve(Number(process.env.PORT ?? 8000), {
  'GET /health': () => ({ body: 'ok\n' }),
  'GET /': page,
  'POST /buy': buy,
  'GET /public/*': publicFile,
});

async function page() {
  const [template, catalogue, book] = await Promise.all([
    fs.readFile(path.join(publicFolder, 'index.html'), 'utf8'),
    askApi('/products'),
    askApi('/orders'),
  ]);
  const body = fill(template, {
    title: process.env.SHOP_TITLE ?? 'Shop',
    products: catalogue.products,
    orders: book.orders.slice(-8).reverse(),
    replica: catalogue.replica,
  });
  return { headers: { 'content-type': types['.html'] }, body };
}

async function buy({ body }) {
  const product = new URLSearchParams(body).get('product');
  await askApi('/orders', { method: 'POST', body: JSON.stringify({ product }) });
  return { status: 303, headers: { location: '/' } };
}

async function publicFile({ url }) {
  const file = path.join(publicFolder, path.basename(url.pathname));
  const body = await fs.readFile(file).catch(() => {
    throw new Refusal(404, 'no such file');
  });
  return { headers: { 'content-type': types[path.extname(file)] ?? 'application/octet-stream' }, body };
}

/** Every replica in turn: the name `api` stands for all their addresses. */
async function askApi(path, init) {
  const replicas = await dns.lookup(process.env.API_HOST ?? 'api', { all: true, family: 4 });
  const addresses = replicas.map((replica) => replica.address).sort();
  const address = addresses[turn++ % addresses.length];
  const response = await fetch(`http://${address}:3000${path}`, init);
  const answer = await response.json();
  if (!response.ok) throw new Refusal(response.status, answer.error);
  return answer;
}
