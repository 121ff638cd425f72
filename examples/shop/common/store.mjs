import fs from 'node:fs';

const base = process.env.STORE_URL ?? 'http://store:7000';
const password = fs.readFileSync(process.env.STORE_PASSWORD_FILE ?? '/run/secrets/store_password', 'utf8').trim();

/** The value, or undefined when there is none. */
export async function get(key) {
  const response = await ask('GET', `/keys/${key}`);
  return response.status === 404 ? undefined : response.json();
}

/** Resolves when the value is on disk. */
export async function put(key, value) {
  await ask('PUT', `/keys/${key}`, JSON.stringify(value));
}

/** Every { key, value } whose key begins with `prefix`, in order. */
export async function list(prefix) {
  const response = await ask('GET', `/list?prefix=${encodeURIComponent(prefix)}`);
  return response.json();
}

async function ask(method, path, body) {
  const response = await fetch(base + path, { method, body, headers: { authorization: `Bearer ${password}` } });
  if (!response.ok && response.status !== 404)
    throw new Error(`store: ${method} ${path}: ${response.status} ${await response.text()}`);
  return response;
}
