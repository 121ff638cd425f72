import http from 'node:http';

/**
 * A server made of a table: "GET /orders" → handler. A handler gets { url, body, request } and returns what to answer:
 * { status?, headers?, body? }, where a body that is no text is sent as JSON. Ends in an orderly way when asked to (SIGTERM).
 */
export function serve(port, routes) {
  const server = http.createServer(async (request, response) => {
    const answer = await dispatch(routes, request).catch(describeFailure);
    const { status = 200, headers = {}, body = '' } = answer;
    const isText = typeof body === 'string' || Buffer.isBuffer(body);
    response.writeHead(status, { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json', ...headers });
    response.end(isText ? body : `${JSON.stringify(body)}\n`);
  });
  server.listen(port, () => console.log(`listening on ${port}`));
  process.once('SIGTERM', () => {
    console.log('closing');
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}

/** To be thrown by a handler: the caller's fault, in words. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function dispatch(routes, request) {
  const url = new URL(request.url, 'http://localhost');
  const route = `${request.method} ${url.pathname}`;
  const pattern = Object.keys(routes).find((candidate) => matches(candidate, route));
  if (pattern === undefined) throw new Refusal(404, `no such thing: ${route}`);
  return routes[pattern]({ url, request, body: await readBody(request) });
}

/** "GET /public/*" stands for everything below /public/. */
function matches(pattern, route) {
  return pattern.endsWith('*') ? route.startsWith(pattern.slice(0, -1)) : route === pattern;
}

async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function describeFailure(error) {
  if (!(error instanceof Refusal)) console.error(error);
  return { status: error.status ?? 500, body: { error: error.message } };
}
