import fc from 'fast-check';
import { expect, test } from 'vitest';
import { composeFile } from '../../../src/load/attributes.ts';
import { gatherDiagnostics } from '../../../src/load/diagnostics.ts';
import { type ConfigModel, formatConfig } from '../../../src/load/load.ts';
import { clean, merge } from '../../../src/load/merge.ts';
import { type Node, toPlain } from '../../../src/load/source.ts';
import { readYaml } from '../../../src/load/yaml.ts';
import { loadText } from './support.ts';

const name = fc.constantFrom('a', 'b', 'web', 'db');
const words = fc.constantFrom('x', 'hello world', '$NAME', '$$', '${A:-b}', '1', 'true', '', 'ä', '- a', 'a: b', '#no', '"q"');

/** Services as somebody could write them: short and long forms mixed. */
const service = fc.record(
  {
    image: fc.constantFrom('host:/usr', 'nginx:1', 'rootfs:./r'),
    command: fc.oneof(fc.array(words, { maxLength: 3 }), fc.constantFrom('a b', "sh -c 'x y'")),
    environment: fc.oneof(
      fc.dictionary(fc.constantFrom('A', 'B', 'NAME'), fc.oneof(words, fc.integer(), fc.boolean(), fc.constant(null)), {
        noNullPrototype: true,
      }),
      fc.array(fc.constantFrom('A=1', 'B=', 'C=$NAME', 'NAME'), { maxLength: 3 }),
    ),
    volumes: fc.array(fc.constantFrom('./a:/x', 'data:/y:ro', '/z', { type: 'tmpfs', target: '/t', tmpfs: { size: '1m' } }), {
      maxLength: 3,
    }),
    expose: fc.array(fc.constantFrom('80', 81, '90-91'), { maxLength: 2 }),
    labels: fc.oneof(fc.constant({ a: 1 }), fc.constant(['a=2', 'b'])),
    ulimits: fc.constantFrom({ nofile: 5 }, { nofile: { soft: 1, hard: 2 } }),
    healthcheck: fc.constantFrom({ test: 'true', interval: '1500ms' }, { disable: true }),
    mem_limit: fc.constantFrom('1g', '512k', 4096),
    extra_hosts: fc.constantFrom(['b=1.1.1.1', 'a:2.2.2.2'], { a: '::1' }),
    stop_grace_period: fc.constantFrom('1m30s', '0s', '250ms'),
  },
  { requiredKeys: ['image'], noNullPrototype: true },
);
const file = fc.record(
  { services: fc.dictionary(name, service, { noNullPrototype: true }), volumes: fc.constant({ data: null }) },
  { noNullPrototype: true },
);

function canonical(value: unknown): Node {
  const diagnostics = gatherDiagnostics();
  const [document] = readYaml('f', JSON.stringify(value), diagnostics) ?? [];
  const read = document && composeFile.read(document, '', diagnostics);
  if (!read || diagnostics.hasErrors()) throw new Error(JSON.stringify(diagnostics.sorted()));
  return read;
}

test('a file merged over itself is itself', () => {
  fc.assert(
    fc.property(file, (value) => {
      const node = canonical(value);
      expect(toPlain(clean(merge(node, node)))).toEqual(toPlain(clean(node)));
    }),
  );
});

test('merging does not depend on where the brackets are', () => {
  fc.assert(
    fc.property(file, file, file, (a, b, c) => {
      const [x, y, z] = [a, b, c].map(canonical) as [Node, Node, Node];
      expect(toPlain(clean(merge(merge(x, y), z)))).toEqual(toPlain(clean(merge(x, merge(y, z)))));
    }),
  );
});

test('what config prints loads to the same project', () => {
  fc.assert(
    fc.property(file, fc.constantFrom('yaml', 'json'), (value, format) => {
      const first = loadText(JSON.stringify(value), { env: { NAME: 'n$' } });
      expect(first.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
      const again = loadText(formatConfig(first.model as ConfigModel, format as 'yaml' | 'json'));
      expect(again.project).toEqual(first.project);
    }),
  );
});

test('whatever stands in the attributes, every diagnostic has a place inside the file, and nothing throws', () => {
  const attribute = fc.constantFrom(
    'image',
    'ports',
    'volumes',
    'environment',
    'networks',
    'depends_on',
    'healthcheck',
    'deploy',
    'build',
    'develop',
    'extends',
    'ulimits',
    'secrets',
    'command',
    'restart',
    'tmpfs',
    'extra_hosts',
    'devices',
    'env_file',
    'logging',
    'x',
    'scale',
    'network_mode',
    'links',
    'gpus',
  );
  const anyService = fc.dictionary(
    attribute,
    fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      words,
      fc.array(words),
      fc.constant(['80:80']),
      fc.constant({ test: {}, watch: [{}], resources: { limits: [] }, context: 1, service: 'web' }),
    ),
    { noNullPrototype: true },
  );
  const top = fc.dictionary(
    fc.constantFrom('services', 'networks', 'volumes', 'include', 'name', 'configs', 'secrets', 'version', 'models', 'other'),
    fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.dictionary(name, anyService, { noNullPrototype: true })),
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(top, (value) => {
      const text = JSON.stringify(value, null, 1);
      const lines = text.split('\n');
      const { diagnostics, model } = loadText(text);
      if (model) formatConfig(model, 'yaml');
      for (const { at, sourceLine, message } of diagnostics.filter(
        (diagnostic) => diagnostic.at?.file === '/shop/compose.yaml',
      )) {
        const line = lines[(at?.line ?? 0) - 1];
        expect(line).toBe(sourceLine);
        expect(at?.column).toBeGreaterThan(0);
        expect((at?.column ?? 0) - 1).toBeLessThanOrEqual((line ?? '').length);
        expect(message).toMatch(/^[^\n]+$/);
      }
    }),
    { numRuns: 150 },
  );
}, 60_000);
