import { describe, expect, test } from 'vitest';
import { loadText, told } from './support.ts';

/** A service with these attributes, its first one in line 4, column 5. */
function web(attributes: string, rest = ''): string {
  const lines = attributes
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
  return `services:\n  web:\n    image: host:/usr\n${lines}\n${rest}`;
}

describe('each fault has a code, a place and a hint', () => {
  test.each([
    [
      'an unknown attribute',
      web('imgae: x'),
      '4:5 error UNKNOWN_ATTRIBUTE: services.web has no attribute "imgae"',
      'did you mean "image"?',
    ],
    [
      'an unknown top-level attribute',
      'servics: {}\n',
      '1:1 error UNKNOWN_ATTRIBUTE: the top level has no attribute "servics"',
      'did you mean "services"?',
    ],
    [
      'a nested unknown attribute',
      web('healthcheck:\n  intervall: 3s\n  test: "true"'),
      '5:7 error UNKNOWN_ATTRIBUTE: services.web.healthcheck has no attribute "intervall"',
      'did you mean "interval"?',
    ],
    [
      'a number where text belongs',
      'services:\n  web:\n    image: 12\n',
      '3:12 error VALUE_INVALID: services.web.image must be a text, not the number 12',
      'put it in quotes: "12"',
    ],
    [
      'a list where a mapping belongs',
      'services:\n  - web\n',
      '2:3 error VALUE_INVALID: services must be a mapping, not a list',
      undefined,
    ],
    [
      'a bad port',
      web('ports:\n  - "80a:80"'),
      '5:9 error VALUE_INVALID: services.web.ports[0]: "80a" is no port in "80a:80"',
      expect.stringContaining('8080:80'),
    ],
    [
      'a bad host address',
      web('ports: ["127.0.1:80:80"]'),
      '4:13 error VALUE_INVALID: services.web.ports[0]: "127.0.1" is no IP address in "127.0.1:80:80"',
      expect.anything(),
    ],
    [
      'ranges of different length',
      web('ports: ["80-82:80-81"]'),
      '4:13 error VALUE_INVALID: services.web.ports[0]: the ranges of host and container ports differ in length in "80-82:80-81"',
      expect.anything(),
    ],
    [
      'a bad duration',
      web('stop_grace_period: 5'),
      '4:24 error VALUE_INVALID: services.web.stop_grace_period must be a duration such as 30s or 1m30s, not "5"',
      undefined,
    ],
    [
      'a bad size',
      web('mem_limit: lots'),
      '4:16 error VALUE_INVALID: services.web.mem_limit must be a size such as 512m or 1gb, not "lots"',
      undefined,
    ],
    [
      'a bad choice',
      web('restart: alwyas'),
      '4:14 error VALUE_INVALID: services.web.restart must be "no", always, unless-stopped, on-failure or on-failure:N, not "alwyas"',
      undefined,
    ],
    [
      'a quote left open',
      web('command: echo "hi'),
      '4:14 error VALUE_INVALID: services.web.command has a quote that is not closed',
      expect.stringContaining('list'),
    ],
    [
      'an undefined dependency',
      web('depends_on: [dba]', '  db:\n    image: host:/usr\n'),
      '4:18 error REFERENCE_UNDEFINED: the service "web" refers to the service "dba", which is not defined',
      'did you mean "db"?',
    ],
    [
      'an undefined network',
      web('networks: [back]'),
      '4:16 error REFERENCE_UNDEFINED: the service "web" refers to the network "back", which is not defined',
      'define it under "networks:"',
    ],
    [
      'an undefined volume',
      web('volumes:\n  - data:/data'),
      '5:9 error REFERENCE_UNDEFINED: the service "web" refers to the volume "data", which is not defined',
      'define it under "volumes:"',
    ],
    [
      'an undefined secret',
      web('secrets: [key]'),
      '4:15 error REFERENCE_UNDEFINED: the service "web" refers to the secret "key", which is not defined',
      'define it under "secrets:"',
    ],
    [
      'a namespace of nobody',
      web('network_mode: service:db'),
      '4:19 error REFERENCE_UNDEFINED: the service "web" refers to the service "db", which is not defined',
      expect.anything(),
    ],
    [
      'a cycle',
      web(
        'depends_on: [a]',
        '  a:\n    image: host:/usr\n    depends_on: [b]\n  b:\n    image: host:/usr\n    depends_on: [web]\n',
      ),
      '10:18 error DEPENDENCY_CYCLE: services depend on one another: web → a → b → web',
      expect.anything(),
    ],
    [
      'a service that waits for itself',
      web('depends_on: [web]'),
      '4:18 error DEPENDENCY_CYCLE: services depend on one another: web → web',
      expect.anything(),
    ],
    [
      'network_mode with networks',
      web('network_mode: host\nnetworks: [default]'),
      '4:19 error CONFLICT: the service "web" has both "network_mode" and "networks"',
      'keep one of the two',
    ],
    [
      'a health check without CMD',
      web('healthcheck:\n  test: [curl, -f, localhost]'),
      '5:14 error VALUE_INVALID: the health check of "web" must begin with CMD, CMD-SHELL or NONE, not "curl"',
      expect.stringContaining('"CMD", "curl"'),
    ],
    [
      'a name for many',
      web('container_name: one\nscale: 2'),
      '4:21 error CONFLICT: the service "web" has a fixed container name and 2 replicas',
      'remove "container_name"',
    ],
    [
      'scale against replicas',
      web('scale: 2\ndeploy:\n  replicas: 3'),
      '4:12 error CONFLICT: the service "web" has "scale: 2" and "deploy.replicas: 3"',
      'keep one of the two',
    ],
    [
      'two limits',
      web('mem_limit: 1g\ndeploy:\n  resources:\n    limits:\n      memory: 2g'),
      '4:16 error CONFLICT: the service "web" has "mem_limit: 1073741824" and "deploy.resources.limits.memory: 2147483648"',
      'keep one of the two',
    ],
    [
      'a port for two',
      web('ports: ["80:80"]', '  api:\n    image: host:/usr\n    ports: ["80:81"]\n'),
      '7:13 error CONFLICT: the services "web" and "api" both publish the port 80/tcp',
      expect.stringContaining('range'),
    ],
    [
      'a port for all replicas',
      web('ports: ["80:80"]\nscale: 2'),
      '4:13 error CONFLICT: the service "web" has 2 replicas, which cannot all publish the port 80/tcp',
      expect.stringContaining('range'),
    ],
    [
      'two things at one place',
      web('volumes: ["/a:/x"]\ntmpfs: /x'),
      '5:12 error CONFLICT: the service "web" mounts two things at /x',
      'keep one of them',
    ],
    [
      'a relative target',
      web('volumes: ["/a:x"]'),
      '4:15 error VALUE_INVALID: a mount of the service "web" needs an absolute path in the container, not "x"',
      undefined,
    ],
    [
      'a sync without target',
      web('develop:\n  watch:\n    - path: .\n      action: sync'),
      '6:11 error FILE_INVALID: a watch rule of "web" with the action sync has no "target"',
      expect.stringContaining('target'),
    ],
    [
      'no image',
      'services:\n  web:\n    command: sleep\n',
      '2:3 error FILE_INVALID: the service "web" has neither "image" nor "build"',
      expect.stringContaining('image'),
    ],
    [
      'build alone',
      'services:\n  web:\n    build: .\n',
      '3:12 error UNSUPPORTED_ATTRIBUTE: the service "web" has only "build", which is not supported yet',
      'name an "image" as well',
    ],
    [
      'external with more',
      web('tty: true', 'volumes:\n  v:\n    external: true\n    driver: local\n'),
      '8:5 error CONFLICT: volumes.v is external, so it cannot have "driver"',
      expect.anything(),
    ],
    [
      'a secret from nowhere',
      web('tty: true', 'secrets:\n  s: {}\n'),
      '6:3 error FILE_INVALID: secrets.s has no source',
      'add "file" or "environment"',
    ],
    [
      'a config from two places',
      web('tty: true', 'configs:\n  c: {file: a, content: b}\n'),
      '6:3 error CONFLICT: configs.c has "file" and "content"',
      expect.anything(),
    ],
    [
      'a needed variable',
      web('user: ${WHO:?name somebody}'),
      '4:11 error VARIABLE_MISSING: the variable WHO is required and not set, or empty: name somebody',
      'set WHO in the environment or in .env',
    ],
    ['a bad template', web('user: "a${"'), '4:13 error TEMPLATE_INVALID: "${" is no variable', expect.stringContaining('$$')],
    [
      'a missing env_file',
      web('env_file: web.env'),
      '4:15 error FILE_NOT_FOUND: the file /shop/web.env does not exist',
      expect.stringContaining('required: false'),
    ],
    [
      'a missing extended service',
      web('extends: base'),
      '4:14 error REFERENCE_UNDEFINED: there is no service "base" to extend in compose.yaml',
      undefined,
    ],
    [
      'a missing extended file',
      web('extends: {service: base, file: base.yaml}'),
      '4:14 error FILE_NOT_FOUND: /shop/base.yaml does not exist',
      undefined,
    ],
    [
      'a bad project name',
      'name: My Shop\nservices: {}\n',
      '1:7 error NAME_INVALID: the project\'s name "My Shop" must have lower-case letters, digits, - and _ only, and begin with a letter or digit',
      'e.g. "myshop"',
    ],
    [
      'a bad service name',
      'services:\n  "a b":\n    image: host:/usr\n',
      '2:3 error NAME_INVALID: "a b" cannot be the name of a service',
      expect.anything(),
    ],
    ['an empty file', '', '1:1 error FILE_INVALID: compose.yaml is empty', expect.anything()],
    ['a list as a file', '- a\n', '1:1 error FILE_INVALID: a compose file is a mapping with "services:" and the like', undefined],
    [
      'a remote include',
      'include: ["oci://registry/app"]\nservices: {}\n',
      '1:11 error UNSUPPORTED_ATTRIBUTE: "oci://registry/app" is not on this machine; files from elsewhere are not supported yet',
      expect.anything(),
    ],
    [
      'a file that includes itself',
      'include: [compose.yaml]\nservices: {}\n',
      '1:11 error DEPENDENCY_CYCLE: files include one another: compose.yaml → compose.yaml',
      expect.anything(),
    ],
  ])('%s', (_name, text, message, hint) => {
    const result = loadText(text);
    expect(told(result)).toContain(message);
    expect(result.project).toBeUndefined();
    const [fault] = result.diagnostics.filter((diagnostic) => message.endsWith(diagnostic.message));
    expect(fault?.hint).toEqual(hint);
    expect(fault?.sourceLine).toBe(text.split('\n')[(fault?.at?.line ?? 0) - 1]);
  });

  test('services that extend one another', () => {
    const text = 'services:\n  a:\n    extends: b\n  b:\n    extends: a\n';
    expect(told(loadText(text)).join()).toContain(
      'services extend one another: a in /shop/compose.yaml → b in /shop/compose.yaml → a in /shop/compose.yaml',
    );
  });

  test('a service asked for that is not there', () => {
    const result = loadText(web('tty: true'), { services: ['wbe'] });
    expect(result.diagnostics).toMatchObject([
      { code: 'NO_SUCH_SERVICE', message: 'there is no service "wbe"', hint: 'did you mean "web"?' },
    ]);
  });

  test('no file at all', () => {
    expect(loadText('', { workingDir: '/elsewhere' }).diagnostics).toMatchObject([
      { code: 'FILE_NOT_FOUND', hint: expect.stringContaining('compose.yaml') },
    ]);
  });
});

test('all faults of a file are told in one run, in the order of their places', () => {
  const text = web('restart: sometimes\nports: ["x"]\nnetworks: [nowhere]\nhealtcheck: {}');
  expect(told(loadText(text)).map((line) => line.split(':').slice(0, 2).join(':'))).toEqual(
    ['4:14 error VALUE_INVALID', '5:13 error VALUE_INVALID', '6:16 error REFERENCE_UNDEFINED', '7:5 error UNKNOWN_ATTRIBUTE'].map(
      (line) => line.split(':').slice(0, 2).join(':'),
    ),
  );
});

describe('warnings', () => {
  test.each([
    [
      'an attribute for later',
      web('blkio_config: {weight: 10}'),
      '4:5 warning UNSUPPORTED_ATTRIBUTE: services.web.blkio_config is not supported yet and has no effect',
    ],
    [
      'build beside image',
      web('build: .'),
      '4:5 warning UNSUPPORTED_ATTRIBUTE: services.web.build is not supported yet: the image is not built',
    ],
    [
      'an unset variable',
      web('user: $WHO'),
      '4:11 warning VARIABLE_MISSING: the variable WHO is not set; an empty text stands in for it',
    ],
    [
      'the version',
      `version: "3"\n${web('tty: true')}`,
      '1:1 warning UNSUPPORTED_ATTRIBUTE: the attribute "version" is obsolete and has no effect',
    ],
    [
      'an unknown mount option',
      web('volumes: ["/a:/b:fast"]'),
      '4:15 warning VALUE_INVALID: services.web.volumes[0]: the option "fast" is unknown and has no effect',
    ],
    [
      'a deploy attribute for clusters',
      web('deploy:\n  placement: {max_replicas_per_node: 1}'),
      '5:7 warning UNSUPPORTED_ATTRIBUTE: services.web.deploy.placement is not supported yet and has no effect',
    ],
  ])('%s', (_name, text, message) => {
    const result = loadText(text);
    expect(told(result)).toEqual([message]);
    expect(result.project).toBeDefined();
  });

  test.each([['x-notes: {a: 1}'], ['gpus: null'], ['use_api_socket: false'], ['env_file: {path: none.env, required: false}']])(
    'none for %s',
    (attributes) => {
      expect(told(loadText(web(attributes)))).toEqual([]);
    },
  );
});
