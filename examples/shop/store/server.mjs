/** A key-value server. All of it is in memory; every change is one line at the end of a file, on disk before it is answered. */
import { Refusal, serve } from '../common/http.mjs';
import fs from 'node:fs';
import { timingSafeEqual } from 'node:crypto';
import { openLog } from './log.mjs';

const password = fs.readFileSync(process.env.STORE_PASSWORD_FILE ?? '/run/secrets/store_password', 'utf8').trim();
const log = openLog(process.env.DATA_FILE ?? '/data/store.log');
console.log(`${log.values.size} keys read`);

serve(Number(process.env.PORT ?? 7000), {
  'GET /health': () => ({ body: { keys: log.values.size } }),
  'GET /list': allowed(listKeys),
  'GET /keys/*': allowed(readKey),
  'PUT /keys/*': allowed(writeKey),
});

function listKeys({ url }) {
  const prefix = url.searchParams.get('prefix') ?? '';
  const keys = [...log.values.keys()].filter((key) => key.startsWith(prefix)).sort();
  return { body: keys.map((key) => ({ key, value: log.values.get(key) })) };
}

function readKey({ url }) {
  const value = log.values.get(keyOf(url));
  if (value === undefined) throw new Refusal(404, 'no such key');
  return { body: value };
}

function writeKey({ url, body }) {
  log.write(keyOf(url), JSON.parse(body));
  return { status: 204 };
}

function keyOf(url) {
  return decodeURIComponent(url.pathname.slice('/keys/'.length));
}

function allowed(handler) {
  return (call) => {
    const given = Buffer.from(call.request.headers.authorization ?? '');
    const wanted = Buffer.from(`Bearer ${password}`);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new Refusal(401, 'wrong password');
    return handler(call);
  };
}
