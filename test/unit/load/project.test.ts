import { describe, expect, test } from 'vitest';
import { loadText, projectOf, serviceOf } from './support.ts';

describe('short and long forms mean the same', () => {
  test.each([
    ['ports: ["8080:80"]', { ports: [{ target: 80, published: 8080, hostIp: '', protocol: 'tcp' }] }],
    ['ports: [80]', { ports: [{ target: 80, published: 0, hostIp: '', protocol: 'tcp' }] }],
    [
      'ports: ["127.0.0.1:8000-8001:80-81/udp"]',
      {
        ports: [
          { target: 80, published: 8000, hostIp: '127.0.0.1', protocol: 'udp' },
          { target: 81, published: 8001, hostIp: '127.0.0.1', protocol: 'udp' },
        ],
      },
    ],
    ['ports: ["8000-8010:80"]', { ports: [{ target: 80, published: 8000, publishedEnd: 8010, hostIp: '', protocol: 'tcp' }] }],
    ['ports: ["[::1]:80:80"]', { ports: [{ target: 80, published: 80, hostIp: '::1', protocol: 'tcp' }] }],
    [
      'ports:\n  - {target: 80, published: "8080", name: web}',
      { ports: [{ target: 80, published: 8080, hostIp: '', protocol: 'tcp', name: 'web' }] },
    ],
    ['command: sh -c "echo \'hi  there\'" a\\ b', { command: ['sh', '-c', "echo 'hi  there'", 'a b'] }],
    ['command: []', { command: [] }],
    ['entrypoint: ["a", 1]', { entrypoint: ['a', '1'] }],
    ['environment: [A=1, B=, "C=x=y"]', { environment: { A: '1', B: '', C: 'x=y' } }],
    ['environment: {A: 1, B: true, C: 1.5, D: ""}', { environment: { A: '1', B: 'true', C: '1.5', D: '' } }],
    ['labels: [a.b=c, flag]', { labels: { 'a.b': 'c', flag: '' } }],
    [
      'volumes: ["./src:/app:ro"]',
      { mounts: [{ type: 'bind', source: '/shop/src', target: '/app', readOnly: true, createHostPath: true }] },
    ],
    [
      'volumes: ["~/src:/app/:rslave"]',
      {
        mounts: [
          { type: 'bind', source: '/home/me/src', target: '/app', readOnly: false, createHostPath: true, propagation: 'rslave' },
        ],
      },
    ],
    ['volumes: [/cache]', { mounts: [{ type: 'volume', target: '/cache', readOnly: false, noCopy: false }] }],
    [
      'volumes:\n  - {type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0700}}',
      { mounts: [{ type: 'tmpfs', target: '/t', readOnly: false, sizeBytes: 1048576, mode: 0o700, options: [] }] },
    ],
    [
      'tmpfs: /run:size=64m,mode=1777,uid=5,noexec',
      {
        mounts: [
          { type: 'tmpfs', target: '/run', readOnly: false, sizeBytes: 67108864, mode: 0o1777, options: ['uid=5', 'noexec'] },
        ],
      },
    ],
    [
      'healthcheck: {test: curl localhost, interval: 1m30s}',
      {
        healthcheck: {
          test: ['CMD-SHELL', 'curl localhost'],
          intervalMs: 90_000,
          timeoutMs: 30_000,
          retries: 3,
          startPeriodMs: 0,
          startIntervalMs: 5_000,
        },
      },
    ],
    ['healthcheck: {test: [NONE]}', { healthcheck: undefined }],
    ['restart: "no"', { restart: { kind: 'no' } }],
    ['restart: no', { restart: { kind: 'no' } }],
    ['restart: on-failure:5', { restart: { kind: 'on-failure', maxAttempts: 5 } }],
    ['deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}', { restart: { kind: 'on-failure', maxAttempts: 2 } }],
    ['deploy: {restart_policy: {}}', { restart: { kind: 'always' } }],
    [
      'deploy: {replicas: 3, resources: {limits: {cpus: "0.5", memory: 64M, pids: 10}, reservations: {memory: 32M}}}',
      { replicas: 3, resources: { cpus: 0.5, memoryBytes: 67108864, memoryReservationBytes: 33554432, pids: 10 } },
    ],
    [
      'cpus: 1.5\nmem_limit: 1gb\nmemswap_limit: -1\ncpu_quota: 50000',
      { resources: { cpus: 1.5, memoryBytes: 1073741824, memorySwapBytes: -1, cpuQuotaUs: 50000 } },
    ],
    [
      'ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}',
      {
        ulimits: [
          { name: 'nofile', soft: 10, hard: 20 },
          { name: 'nproc', soft: 5, hard: 5 },
        ],
      },
    ],
    [
      'devices: ["/dev/fuse", "/dev/a:/dev/b:r"]',
      {
        devices: [
          { source: '/dev/fuse', target: '/dev/fuse', permissions: 'rwm' },
          { source: '/dev/a', target: '/dev/b', permissions: 'r' },
        ],
      },
    ],
    [
      'extra_hosts: ["db:10.0.0.1", "v6=[::1]", "up=host-gateway"]',
      {
        extraHosts: [
          { host: 'db', ip: '10.0.0.1' },
          { host: 'up', ip: 'host-gateway' },
          { host: 'v6', ip: '::1' },
        ],
      },
    ],
    ['dns: 1.1.1.1\ndns_search: [a, b]', { dns: ['1.1.1.1'], dnsSearch: ['a', 'b'] }],
    ['stop_grace_period: 1m\nstop_signal: SIGINT', { stopGraceMs: 60_000, stopSignal: 'SIGINT' }],
    ['sysctls: {net.core.somaxconn: 1024}', { sysctls: { 'net.core.somaxconn': '1024' } }],
    [
      'network_mode: bridge',
      { networkMode: { kind: 'bridge' }, networks: [{ network: 'default', aliases: [], priority: 0, gwPriority: 0 }] },
    ],
    ['network_mode: none', { networkMode: { kind: 'none' }, networks: [] }],
    ['tty: "true"\ninit: yes\nread_only: off', { tty: true, init: true, readOnly: false }],
    ['user: 1000\nshm_size: 64m\noom_score_adj: -5', { user: '1000', shmSize: 67108864, oomScoreAdj: -5 }],
    [
      'post_start:\n  - {command: echo hi, user: root}',
      { postStart: [{ command: ['echo', 'hi'], user: 'root', privileged: false, environment: {} }] },
    ],
    [
      'develop:\n  watch:\n    - {path: src, action: sync+restart, target: /app, ignore: node_modules}',
      {
        watch: [
          {
            path: '/shop/src',
            action: 'sync+restart',
            target: '/app',
            ignore: ['node_modules'],
            include: [],
            initialSync: false,
          },
        ],
      },
    ],
    [
      'networks:\n  default: {aliases: [w], gw_priority: 2}',
      { networks: [{ network: 'default', aliases: ['w'], priority: 0, gwPriority: 2 }] },
    ],
    [
      'security_opt: ["no-new-privileges:true", "seccomp=./p.json"]',
      { securityOpt: ['no-new-privileges:true', 'seccomp=/shop/p.json'] },
    ],
  ])('%s', (attributes, expected) => {
    const service = serviceOf(attributes, { env: { HOME: '/home/me' } });
    const given = Object.fromEntries(Object.keys(expected).map((key) => [key, service[key as keyof typeof service]]));
    expect(given).toEqual(expected);
  });
});

describe('a project', () => {
  test('resources have names outside the file, and only used ones are there', () => {
    const project = projectOf(
      'name: shop\nservices:\n  web:\n    image: rootfs:./root\n    networks: [front, shared]\n    volumes: ["data:/data"]\n    secrets: [key]\n    configs: [{source: conf, target: etc/conf, mode: "0400"}]\n' +
        'networks:\n  front: {internal: true, ipam: {config: [{subnet: 10.1.0.0/24}]}}\n  shared: {external: true}\n  unused: {}\nvolumes:\n  data:\nsecrets:\n  key: {file: key.txt}\nconfigs:\n  conf: {content: "a $${b}"}\n',
    );
    expect(project).toMatchObject({
      name: 'shop',
      workingDir: '/shop',
      configFiles: ['/shop/compose.yaml'],
      networks: [
        {
          key: 'front',
          name: 'shop_front',
          internal: true,
          external: false,
          driver: 'bridge',
          ipam: [{ subnet: '10.1.0.0/24', auxAddresses: {} }],
        },
        { key: 'shared', name: 'shared', external: true },
      ],
      volumes: [{ key: 'data', name: 'shop_data', driver: 'local' }],
      secrets: [{ key: 'key', name: 'shop_key', file: '/shop/key.txt' }],
      configs: [{ key: 'conf', name: 'shop_conf', content: 'a ${b}' }],
      services: [
        {
          image: 'rootfs:/shop/root',
          secrets: [{ source: 'key', target: '/run/secrets/key' }],
          configs: [{ source: 'conf', target: '/etc/conf', mode: 0o400 }],
        },
      ],
    });
    expect(project.networks).toHaveLength(2);
  });

  test('a service without networks is on the default one, and the default one is there only then', () => {
    expect(projectOf('services: {a: {image: x}}\n').networks.map(({ name }) => name)).toEqual(['shop_default']);
    expect(projectOf('services: {a: {image: x, network_mode: host}}\n').networks).toEqual([]);
  });

  test('environment over env_file over an earlier env_file, with names looked up outside', () => {
    const service = serviceOf('env_file: [a.env, {path: b.env, format: raw}]\nenvironment:\n  OWN: "1"\n  SHELL:\n  NOWHERE:', {
      env: { SHELL: 'sh' },
      also: { '/shop/a.env': 'A=1\nB=${A}2\nOWN=file\n', '/shop/b.env': 'B="raw"\n' },
    });
    expect(service.environment).toEqual({ A: '1', B: '"raw"', OWN: '1', SHELL: 'sh' });
  });

  test('dependencies come from depends_on, links and shared namespaces', () => {
    const service = serviceOf(
      'depends_on:\n  db: {condition: service_healthy, required: false}\nlinks: ["cache:c"]\nipc: service:db2',
      {
        rest: '  db: {image: x}\n  cache: {image: x}\n  db2: {image: x}\n',
      },
    );
    expect(service.dependsOn).toEqual([
      { service: 'db', condition: 'service_healthy', restart: false, required: false },
      { service: 'cache', condition: 'service_started', restart: true, required: true },
      { service: 'db2', condition: 'service_started', restart: true, required: true },
    ]);
    expect(service.links).toEqual([{ service: 'cache', alias: 'c' }]);
  });

  test('values of secrets from variables are handed over by the name of the variable', () => {
    const text = 'services: {a: {image: x, secrets: [s]}}\nsecrets: {s: {environment: TOKEN}, unused: {environment: NO}}\n';
    expect(loadText(text, { env: { TOKEN: 't' } }).secretValues).toEqual({ TOKEN: 't' });
    expect(loadText(text).diagnostics).toMatchObject([{ severity: 'error', code: 'VARIABLE_MISSING' }]);
  });

  test('names such as __proto__ are only names', () => {
    const project = projectOf(
      'services:\n  __proto__:\n    image: x\n    environment: {__proto__: a, constructor: b}\n  constructor:\n    image: y\n    depends_on: [__proto__]\n',
    );
    expect(project.services.map(({ name }) => name)).toEqual(['__proto__', 'constructor']);
    expect(Object.entries(project.services[0]?.environment ?? {})).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });
});

describe('profiles and targets', () => {
  const text =
    'services:\n  web: {image: x, depends_on: [db]}\n  db: {image: x}\n  debug: {image: x, profiles: [dev], depends_on: [db]}\n  tool: {image: x, profiles: [tools, dev]}\n';

  test.each([
    [{}, ['db', 'web'], ['debug', 'tool']],
    [{ profiles: ['tools'] }, ['db', 'tool', 'web'], ['debug']],
    [{ profiles: ['*'] }, ['db', 'debug', 'tool', 'web'], []],
    [{ env: { COMPOSE_PROFILES: 'dev' } }, ['db', 'debug', 'tool', 'web'], []],
    [{ services: ['web'] }, ['db', 'web'], ['debug', 'tool']],
    [{ services: ['debug'] }, ['db', 'debug'], ['tool', 'web']],
  ])('%j', (extra, active, inactive) => {
    const project = projectOf(text, extra);
    expect([project.services.map(({ name }) => name), project.inactiveServices]).toEqual([active, inactive]);
  });

  test('depending on a service that no active profile includes is a fault', () => {
    expect(loadText('services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [p]}\n').diagnostics).toMatchObject([
      { code: 'REFERENCE_UNDEFINED' },
    ]);
  });
});
