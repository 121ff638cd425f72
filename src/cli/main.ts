#!/usr/bin/env node
import { whyUnsuitable } from './platform.ts';

const reason = whyUnsuitable(process.versions.node, process.platform);
if (reason !== '') {
  process.stderr.write(`${reason}\n`);
  process.exitCode = 1;
} else {
  import('./start.ts')
    .then(({ start }) => start(process.argv.slice(2)))
    .then((exitCode) => {
      process.exitCode = exitCode;
    });
}
