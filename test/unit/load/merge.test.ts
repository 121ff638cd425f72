import { describe, expect, test } from 'vitest';
import { loadText, projectOf, told } from './support.ts';

/** The canonical service `a` of a base file and an override file. */
function merged(base: string, override: string): Record<string, unknown> {
  const file = (attributes: string) =>
    `services:\n  a:\n    image: x\n${attributes
      .split('\n')
      .map((line) => `    ${line}`)
      .join('\n')}\n`;
  const { model, diagnostics } = loadText(file(base), { also: { '/shop/compose.override.yaml': file(override) } });
  expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
  const services = model?.['services'] as Record<string, Record<string, unknown>>;
  return JSON.parse(JSON.stringify(services['a'])) as Record<string, unknown>;
}

describe('override files', () => {
  test.each([
    ['scalars replace', 'hostname: a', 'hostname: b', { hostname: 'b' }],
    ['an empty value keeps the base', 'hostname: a', 'hostname:', { hostname: 'a' }],
    ['commands replace', 'command: a b', 'command: [c]', { command: ['c'] }],
    ['lists append', 'cap_add: [A]', 'cap_add: [B, A]', { cap_add: ['A', 'B'] }],
    [
      'variables unite by name',
      'environment: [A=1, B=2]',
      'environment: {B: 3, C: }',
      { environment: { A: '1', B: '3', C: null } },
    ],
    [
      'mounts unite by target',
      'volumes: ["/a:/x", "/b:/y"]',
      'volumes: ["/c:/x/"]',
      {
        volumes: [
          { type: 'bind', source: '/c', target: '/x', bind: {} },
          { type: 'bind', source: '/b', target: '/y', bind: {} },
        ],
      },
    ],
    [
      'ports unite by everything',
      'ports: ["80:80"]',
      'ports: ["80:80", "81:80"]',
      {
        ports: [
          { mode: 'ingress', target: 80, published: '80', protocol: 'tcp' },
          { mode: 'ingress', target: 80, published: '81', protocol: 'tcp' },
        ],
      },
    ],
    [
      'dependencies unite in either form',
      'depends_on: {a1: {condition: service_healthy, required: false}}',
      'depends_on: [a2]',
      {
        depends_on: {
          a1: { condition: 'service_healthy', required: false },
          a2: { condition: 'service_started', required: false },
        },
      },
      'depends_on:\n  a2: {required: false}',
    ],
    [
      'another logging driver replaces',
      'logging: {driver: local, options: {a: "1"}}',
      'logging: {driver: none}',
      { logging: { driver: 'none' } },
    ],
    [
      'the same logging driver merges',
      'logging: {options: {a: "1"}}',
      'logging: {driver: none}',
      { logging: { driver: 'none', options: { a: '1' } } },
    ],
    ['ulimits replace', 'ulimits: {n: {soft: 1, hard: 2}}', 'ulimits: {n: 5}', { ulimits: { n: 5 } }],
    ['!reset removes', 'ports: ["80:80"]', 'ports: !reset []', { ports: undefined }],
    ['!reset removes one entry', 'environment: {A: 1, B: 2}', 'environment: {A: !reset null}', { environment: { B: '2' } }],
    [
      '!override replaces',
      'ports: ["80:80"]',
      'ports: !override ["81:81"]',
      { ports: [{ mode: 'ingress', target: 81, published: '81', protocol: 'tcp' }] },
    ],
    [
      'env files unite by path',
      'env_file: /dev/null',
      'env_file: [{path: /dev/null, required: false}]',
      { env_file: [{ path: '/dev/null', required: false }] },
    ],
  ])('%s', (_name, base, override, expected, instead?: string) => {
    const service = merged(base, instead ?? override);
    expect(Object.fromEntries(Object.keys(expected).map((key) => [key, service[key]]))).toEqual(expected);
  });

  test('later documents of one file merge over earlier ones', () => {
    expect(projectOf('services: {a: {image: x, hostname: h}}\n---\nservices: {a: {image: y}}\n').services[0]).toMatchObject({
      image: 'y',
      hostname: 'h',
    });
  });

  test('subnets of a network unite', () => {
    const base =
      'services: {a: {image: x, networks: [n]}}\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.1}]}}}\n';
    const override = 'networks: {n: {ipam: {config: [{subnet: 10.0.0.0/24, ip_range: 10.0.0.128/25}]}}}\n';
    expect(projectOf(base, { also: { '/shop/compose.override.yml': override } }).networks[0]?.ipam).toEqual([
      { subnet: '10.0.0.0/24', gateway: '10.0.0.1', ipRange: '10.0.0.128/25', auxAddresses: {} },
    ]);
  });
});

describe('extends', () => {
  test('a service of the same file, over several steps', () => {
    const text =
      'services:\n  base: {image: x, environment: {A: 1, B: 1}, profiles: [none]}\n  middle: {extends: base, environment: {B: 2}}\n  web: {extends: {service: middle}, profiles: !reset [], environment: {C: 3}}\n';
    expect(projectOf(text).services).toMatchObject([{ name: 'web', image: 'x', environment: { A: '1', B: '2', C: '3' } }]);
  });

  test('a service of another file, whose paths start at that file', () => {
    const base =
      'services:\n  base:\n    image: ${IMAGE}\n    volumes: ["./data:/data"]\n    env_file: base.env\n  broken:\n    imgae: x\n';
    const text = 'services:\n  web:\n    extends: {file: common/base.yaml, service: base}\n    volumes: ["./own:/own"]\n';
    const project = projectOf(text, {
      env: { IMAGE: 'y' },
      also: { '/shop/common/base.yaml': base, '/shop/common/base.env': 'A=1\n' },
    });
    expect(project.services[0]).toMatchObject({
      image: 'y',
      environment: { A: '1' },
      mounts: [{ source: '/shop/common/data' }, { source: '/shop/own' }],
    });
  });

  test('!reset reaches below the extended service', () => {
    const text =
      'services:\n  base: {image: x, ports: ["80:80"], scale: 0}\n  web: {extends: base, scale: 1, ports: !reset []}\n';
    expect(projectOf(text).services.find(({ name }) => name === 'web')?.ports).toEqual([]);
  });
});

describe('include', () => {
  const part = 'services:\n  db: {image: "${DB}", volumes: ["./data:/data", "store:/store"]}\nvolumes: {store: {}}\n';

  test('brings services and volumes, with paths and variables of their own folder', () => {
    const text = 'include: [parts/db.yaml]\nservices:\n  web: {image: x, depends_on: [db]}\n';
    const project = projectOf(text, { also: { '/shop/parts/db.yaml': part, '/shop/parts/.env': 'DB=postgres\n' } });
    expect(project.services).toMatchObject([
      { name: 'db', image: 'postgres', mounts: [{ source: '/shop/parts/data' }, { source: 'store' }] },
      { name: 'web' },
    ]);
    expect(project.volumes).toMatchObject([{ name: 'shop_store' }]);
  });

  test('another definition of the same name is a conflict', () => {
    const result = loadText('include: [parts/db.yaml]\nservices:\n  db: {image: x}\n', {
      env: { DB: 'y' },
      also: { '/shop/parts/db.yaml': part },
    });
    expect(told(result)).toEqual(['3:7 error CONFLICT: services.db is defined here and, differently, in the included db.yaml']);
  });

  test('an override file may change what was included', () => {
    const also = { '/shop/parts/db.yaml': part, '/shop/compose.override.yaml': 'services: {db: {image: mine}}\n' };
    expect(
      projectOf('include: [{path: parts/db.yaml, project_directory: .}]\nservices: {}\n', { env: { DB: 'y' }, also }).services,
    ).toMatchObject([{ image: 'mine', mounts: [{ source: '/shop/data' }, {}] }]);
  });
});
