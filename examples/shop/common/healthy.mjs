/** Health check: `node healthy.mjs URL` ends with 0 when URL answers with success, with 1 otherwise. */
const response = await fetch(process.argv[2], { signal: AbortSignal.timeout(2000) }).catch((error) => error);
if (!response.ok) console.log(response.status ?? response.cause?.message ?? response.message);
process.exit(response.ok ? 0 : 1);
