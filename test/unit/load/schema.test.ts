import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { composeSchema } from '../../../src/load/json-schema.ts';

test('schema/compose.json is made of the tables', async () => {
  // After a change of the tables: npx vitest run test/unit/load/schema.test.ts -u
  await expect(`${JSON.stringify(composeSchema(), null, 2)}\n`).toMatchFileSnapshot('../../../schema/compose.json');
});

const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(composeSchema());

test.each([
  [
    { services: { web: { image: 'x', ports: ['80:80', 81, { target: 80 }], command: 'a b', environment: ['A=1'], 'x-own': 1 } } },
    true,
  ],
  [{ services: { web: null }, volumes: { data: null }, networks: { n: { external: true } } }, true],
  [
    {
      services: {
        web: { depends_on: { db: { condition: 'service_healthy' } }, networks: ['n'], healthcheck: { test: ['CMD', 'x'] } },
      },
    },
    true,
  ],
  [{ services: { web: { imgae: 'x' } } }, false],
  [{ services: { web: { restart: 'sometimes' } } }, false],
  [{ services: { web: { ports: [{ published: 80 }] } } }, false],
  [{ services: { 'a b': {} } }, false],
  [{ helicopters: {} }, false],
])('%j', (document, expected) => {
  expect(validate(document)).toBe(expected);
});
