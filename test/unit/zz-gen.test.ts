import fs from 'node:fs';
import { test } from 'vitest';
import { topLevelFields } from '../../src/load/nested-attributes.ts';
import { serviceFields } from '../../src/load/service-attributes.ts';
test('gen', () => {
  const rows = (prefix: string, fields: typeof serviceFields) => Object.entries(fields).map(([name, f]) => `| \`${prefix}${name}\` | ${f.support === undefined ? 'yes' : 'not yet'} | ${f.description.replaceAll('|', '\\|')} |`).join('\n');
  fs.writeFileSync('/tmp/e2e-compose-rows', rows('', topLevelFields) + '\n@@\n' + rows('services.*.', serviceFields) + '\n');
});
