import type { Diagnostics } from './diagnostics.ts';
import {
  boolean,
  bytes,
  either,
  field,
  fileMode,
  integer,
  later,
  mapOf,
  object,
  oneOf,
  pattern,
  type Shape,
  required,
  several,
  text,
  textual,
  andThen,
} from './shapes.ts';
import { childOf, isNull, list, type Mark, mapping, mappingOf, type Node, scalar, textOf, withEntry } from './source.ts';
import { normalizePath } from './posix-path.ts';
import { splitWords } from './words.ts';

/** The attributes that may be written short ("8080:80") or long; all become the long form (compose "services"). */

/** A command as text (split into words, without a shell) or as a list of words. */
export const command: Shape = {
  schema: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
  read(node, path, diagnostics) {
    if (node.kind === 'list') return wordList.read(node, path, diagnostics);
    const read = textual.read(node, path, diagnostics);
    if (!read) return undefined;
    const words = splitWords(String(textOf(read)));
    if (words)
      return list(
        words.map((word) => scalar(word, node.at)),
        node.at,
      );
    diagnostics.error(
      'VALUE_INVALID',
      `${path} has a quote that is not closed`,
      node.at,
      'write the command as a list: ["sh", "-c", "…"]',
    );
    return undefined;
  },
};

const wordList: Shape = {
  schema: { type: 'array', items: { type: 'string' } },
  read(node, path, diagnostics) {
    if (node.kind !== 'list') return undefined;
    const words = node.items.map((item, index) => textual.read(item, `${path}[${index}]`, diagnostics));
    return list(
      words.filter((word) => word !== undefined),
      node.at,
    );
  },
};

/** `healthcheck.test`: a text is a command for the shell. */
export const healthTest: Shape = {
  schema: command.schema,
  read(node, path, diagnostics) {
    if (node.kind === 'list') return wordList.read(node, path, diagnostics);
    const read = text.read(node, path, diagnostics);
    return read && list([scalar('CMD-SHELL', node.at), read], node.at);
  },
};

const portRange = /^\d{1,5}(-\d{1,5})?$/;

const longPort = object({
  mode: field(oneOf('ingress', 'host'), 'How replicas share the port; both mean the same on one machine'),
  host_ip: field(text, 'Address of the host the port is published on'),
  target: required(integer(1, 65_535), 'Port in the container'),
  published: field(andThen(textual, checkPublished), 'Port of the host, or a range "8000-8010" of which a free one is taken'),
  protocol: field(oneOf('tcp', 'udp', 'sctp'), 'tcp, udp or sctp'),
  name: field(text, 'A name for people'),
  app_protocol: field(text, 'What is spoken over the port, for people'),
});

/** One entry of `ports`; a range of container ports stands for one entry each. */
export const port: Shape = {
  schema: { anyOf: [{ type: ['string', 'number'] }, longPort.schema] },
  read(node, path, diagnostics) {
    if (node.kind === 'map') return longPort.read(node, path, diagnostics);
    const read = textual.read(node, path, diagnostics);
    return read && shortPort(String(textOf(read)), node.at, path, diagnostics);
  },
};

function checkPublished(node: Node, path: string, diagnostics: Diagnostics): Node | undefined {
  const written = String(textOf(node) ?? '');
  if (written === '' || rangeOf(written)) return node;
  diagnostics.error('VALUE_INVALID', `${path} must be a port or a range of ports, not "${written}"`, node.at);
  return undefined;
}

function shortPort(written: string, at: Mark, path: string, diagnostics: Diagnostics): Node | undefined {
  const fault = (why: string) => {
    diagnostics.error(
      'VALUE_INVALID',
      `${path}: ${why} in "${written}"`,
      at,
      'write "HOST:CONTAINER", e.g. "8080:80", "127.0.0.1:8080:80" or "53:53/udp"',
    );
    return undefined;
  };
  const { hostIp, published, target, protocol } = splitPort(written);
  const targets = rangeOf(target);
  if (!targets) return fault(target === '' ? 'the container port is missing' : `"${target}" is no port`);
  const hostPorts = published === '' ? undefined : rangeOf(published);
  if (published !== '' && !hostPorts) return fault(`"${published}" is no port`);
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) return fault(`"${protocol}" is no protocol`);
  const address = hostIp.replace(/^\[|\]$/g, '');
  if (address !== '' && !isAddress(address)) return fault(`"${hostIp}" is no IP address`);
  const count = targets[1] - targets[0] + 1;
  if (hostPorts && count > 1 && hostPorts[1] - hostPorts[0] + 1 !== count)
    return fault('the ranges of host and container ports differ in length');
  const entries = Array.from({ length: count }, (_, index) =>
    mappingOf(
      {
        mode: scalar('ingress', at),
        host_ip: address === '' ? undefined : scalar(address, at),
        target: scalar(targets[0] + index, at),
        published: hostPorts && scalar(count > 1 || hostPorts[0] === hostPorts[1] ? String(hostPorts[0] + index) : published, at),
        protocol: scalar(protocol.toLowerCase(), at),
      },
      at,
    ),
  );
  return several(entries, at);
}

/** [IP:][HOST:]CONTAINER[/PROTOCOL], read from its end, because an IPv6 address has colons of its own. */
function splitPort(written: string): { hostIp: string; published: string; target: string; protocol: string } {
  const slash = written.lastIndexOf('/');
  const numbers = slash === -1 ? written : written.slice(0, slash);
  const [beforeTarget, target] = splitAtLastColon(numbers);
  const [hostIp, published] = splitAtLastColon(beforeTarget);
  return { hostIp, published, target, protocol: slash === -1 ? 'tcp' : written.slice(slash + 1) };
}

function splitAtLastColon(written: string): [string, string] {
  const colon = written.lastIndexOf(':');
  return colon === -1 ? ['', written] : [written.slice(0, colon), written.slice(colon + 1)];
}

/** "80" or "80-90" → first and last port; undefined when it is neither. */
export function rangeOf(written: string): [number, number] | undefined {
  if (!portRange.test(written)) return undefined;
  const [first = '', last = first] = written.split('-');
  const range: [number, number] = [Number(first), Number(last)];
  return range[0] <= range[1] && range[1] <= 65_535 && range[0] >= 0 ? range : undefined;
}

/** Whether a text is an IPv4 or IPv6 address. */
export function isAddress(written: string): boolean {
  const quads = written.split('.');
  if (quads.length === 4 && quads.every((quad) => /^\d{1,3}$/.test(quad) && Number(quad) <= 255)) return true;
  if (!/^[0-9a-f:]+(:\d+\.\d+\.\d+\.\d+)?$/i.test(written) || !written.includes(':')) return false;
  const groups = written.split(':');
  const compressed = written.split('::').length === 2;
  return (
    groups.every((group) => group.length <= 4 || group.includes('.')) &&
    (compressed ? groups.length <= 8 : groups.length === 8) &&
    !written.includes(':::')
  );
}

const longVolume = object({
  type: required(oneOf('bind', 'volume', 'tmpfs', 'image', 'npipe', 'cluster'), 'bind, volume, tmpfs or image'),
  source: field(text, 'Path on the host, or name of a volume of the file'),
  target: field(text, 'Absolute path in the container'),
  read_only: field(boolean, 'Mount it read-only'),
  consistency: field(text, 'Of Docker Desktop; no effect on Linux'),
  bind: field(
    object({
      propagation: field(text, 'Mount propagation: rprivate, rshared, rslave …'),
      create_host_path: field(boolean, 'Create the path on the host when it is missing; default true'),
      recursive: field(oneOf('enabled', 'disabled', 'writable', 'readonly'), 'Whether mounts below the source come along'),
      selinux: later(oneOf('z', 'Z'), 'Relabel the source for SELinux'),
    }),
    'Of a bind mount',
  ),
  volume: field(
    object({
      labels: later(
        either({ map: mapOf(textual), list: { schema: { type: 'array' }, read: (node) => node } }, 'a mapping'),
        'Labels for an anonymous volume',
      ),
      nocopy: field(boolean, 'Do not copy what the image has at the target into a new volume'),
      subpath: field(text, 'Path within the volume'),
    }),
    'Of a volume mount',
  ),
  tmpfs: field(
    object({
      size: field(andThen(bytes, notNegative), 'Size'),
      mode: field(fileMode, 'Permission bits of its root'),
    }),
    'Of a tmpfs mount',
  ),
  image: later(object({ subpath: field(text, 'Path within the image') }), 'Of an image mount'),
});

/** One entry of `volumes`. */
export const volume: Shape = {
  schema: { anyOf: [{ type: 'string' }, longVolume.schema] },
  read(node, path, diagnostics) {
    if (node.kind === 'map') return withCleanTarget(longVolume.read(node, path, diagnostics));
    const read = text.read(node, path, diagnostics);
    return read && shortVolume(String(textOf(read)), node.at, path, diagnostics);
  },
};

function withCleanTarget(mount: Node | undefined): Node | undefined {
  const target = childOf(mount, 'target');
  return mount?.kind === 'map' && target
    ? withEntry(mount, 'target', scalar(cleanTarget(textOf(target) ?? ''), target.at))
    : mount;
}

/** An absolute path without empty, `.` and `..` parts, so that the same place has one spelling. */
function cleanTarget(target: string): string {
  return target.startsWith('/') ? normalizePath(target) : target;
}

function notNegative(node: Node, path: string, diagnostics: Diagnostics): Node | undefined {
  const size = Number(textOf(node));
  if (Number.isInteger(size) && size >= 0) return node;
  diagnostics.error('VALUE_INVALID', `${path} must be a whole number of bytes, 0 or more`, node.at);
  return undefined;
}

const propagations = new Set(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']);

function shortVolume(written: string, at: Mark, path: string, diagnostics: Diagnostics): Node | undefined {
  const fault = (why: string) => {
    diagnostics.error('VALUE_INVALID', `${path}: ${why} in "${written}"`, at, 'write "SOURCE:TARGET" or "SOURCE:TARGET:ro"');
    return undefined;
  };
  const sections = splitSections(written);
  if (written === '') return fault('there is nothing');
  if (sections.length > 3) return fault('too many colons');
  if (sections.some((section) => section === '')) return fault('there is nothing between two colons');
  if (sections.length === 1)
    return mappingOf(
      { type: scalar('volume', at), target: scalar(cleanTarget(written), at), volume: mapping(new Map(), at) },
      at,
    );
  const [source = '', target = '', optionText = ''] = sections;
  const options = optionText === '' ? [] : optionText.split(',');
  const isBind = isHostPath(source);
  for (const option of options) {
    if (!knownOption(option))
      diagnostics.warning(
        'VALUE_INVALID',
        `${path}: the option "${option}" is unknown and has no effect`,
        at,
        'known are ro, rw, nocopy, z, Z and the propagation modes',
      );
  }
  const propagation = options.find((option) => propagations.has(option));
  const selinux = options.find((option) => option.toLowerCase() === 'z');
  const bind = mappingOf(
    {
      propagation: propagation === undefined ? undefined : scalar(propagation, at),
      selinux: selinux === undefined ? undefined : scalar(selinux, at),
    },
    at,
  );
  const volumeOptions = mappingOf({ nocopy: options.includes('nocopy') ? scalar(true, at) : undefined }, at);
  return mappingOf(
    {
      type: scalar(isBind ? 'bind' : 'volume', at),
      source: scalar(source, at),
      target: scalar(cleanTarget(target), at),
      read_only: options.includes('ro') ? scalar(true, at) : undefined,
      bind: isBind ? bind : undefined,
      volume: isBind ? undefined : volumeOptions,
    },
    at,
  );
}

function knownOption(option: string): boolean {
  const word = option.toLowerCase();
  return (
    word === 'ro' ||
    word === 'rw' ||
    word === 'z' ||
    option === 'nocopy' ||
    word === 'cached' ||
    word === 'delegated' ||
    word === 'consistent' ||
    propagations.has(option)
  );
}

/** Splits at colons, but not inside `${…}` and not after a Windows drive letter that a backslash or the end follows. */
function splitSections(written: string): string[] {
  const sections: string[] = [];
  let section = '';
  let braces = 0;
  for (let index = 0; index < written.length; index++) {
    const character = written[index] as string;
    if (written.startsWith('${', index)) braces++;
    if (character === '}' && braces > 0) braces--;
    const isDrive = /^[a-zA-Z]$/.test(section) && /^(\\|$|:)/.test(written.slice(index + 1, index + 2));
    if (character === ':' && braces === 0 && !isDrive) {
      sections.push(section);
      section = '';
    } else {
      section += character;
    }
  }
  return [...sections, section];
}

/** Whether the source of a short mount is a path of the host rather than the name of a volume. */
export function isHostPath(source: string): boolean {
  return /^[./~]/.test(source) || /^[a-zA-Z]:[\\/]/.test(source) || source.startsWith('\\\\');
}

const longGrant = object({
  source: field(text, 'Name of a config or secret of the file'),
  target: field(text, 'Path in the container'),
  uid: field(textual, 'Owner'),
  gid: field(textual, 'Group'),
  mode: field(fileMode, 'Permission bits; default 0444'),
});

/** One entry of a service's `configs` or `secrets`: a name, or the long form. */
export const grant: Shape = either(
  { scalar: andThen(text, (node) => mappingOf({ source: node }, node.at)), map: longGrant },
  'a name, or a mapping with "source"',
);

const longDevice = object({
  source: required(text, 'Device of the host'),
  target: field(text, 'Path in the container; default: the same'),
  permissions: field(pattern(/^[rwm]+$/, 'of the letters r, w and m'), 'What the container may do: r, w, m; default rwm'),
});

/** One entry of `devices`: "HOST[:CONTAINER[:rwm]]" or the long form. */
export const device: Shape = either({ scalar: andThen(text, shortDevice), map: longDevice }, 'a device such as /dev/fuse');

function shortDevice(node: Node, path: string, diagnostics: Diagnostics): Node | undefined {
  const written = String(textOf(node));
  const [source = '', target = '', permissions = 'rwm', ...rest] = written.split(':');
  if (source === '' || rest.length > 0 || !/^[rwm]+$/.test(permissions)) {
    diagnostics.error(
      'VALUE_INVALID',
      `${path}: "${written}" is no device`,
      node.at,
      'write "HOST:CONTAINER:rwm", e.g. "/dev/fuse"',
    );
    return undefined;
  }
  return mappingOf(
    { source: scalar(source, node.at), target: scalar(target || source, node.at), permissions: scalar(permissions, node.at) },
    node.at,
  );
}

const longEnvFile = object({
  path: required(text, 'The file'),
  required: field(boolean, 'A missing file is an error; default true'),
  format: field(oneOf('raw'), 'raw: lines are taken as they are'),
});

/** One entry of `env_file`. */
export const envFile: Shape = either(
  { scalar: andThen(text, (node) => mappingOf({ path: node }, node.at)), map: longEnvFile },
  'a path, or a mapping with "path"',
);

/** `extra_hosts`: a list of HOST=IP or HOST:IP, or a map; canonical form: a list of HOST=IP. */
export const extraHosts: Shape = {
  schema: { anyOf: [{ type: 'array', items: { type: 'string' } }, { type: 'object' }] },
  read(node, path, diagnostics) {
    const lines: Node[] = [];
    const add = (host: string, ip: string, at: Mark) => {
      for (const part of ip.split(',')) addOne(host, part, at);
    };
    const addOne = (host: string, ip: string, at: Mark) => {
      const address = ip.trim().replace(/^\[(.*)\]$/, '$1');
      if (host !== '' && (address === 'host-gateway' || isAddress(address))) lines.push(scalar(`${host}=${address}`, at));
      else
        diagnostics.error(
          'VALUE_INVALID',
          `${path}: "${ip}" is no IP address for the host "${host}"`,
          at,
          'write "NAME=ADDRESS", e.g. "db=10.0.0.7" or "host.docker.internal=host-gateway"',
        );
    };
    if (node.kind === 'list') {
      for (const item of node.items) {
        const [, host = '', ip = ''] = /^([^=:]*)[=:](.*)$/s.exec(textOf(item) ?? '') ?? [];
        add(host, ip, item.at);
      }
    } else if (node.kind === 'map') {
      for (const [host, { value }] of node.entries) {
        for (const item of value.kind === 'list' ? value.items : [value]) add(host, textOf(item) ?? '', item.at);
      }
    } else {
      diagnostics.error('VALUE_INVALID', `${path} must be a list of HOST=IP, or a mapping`, node.at);
      return undefined;
    }
    return list(lines, node.at);
  },
};

/** A list of names that stands for a map, as in `depends_on` and `networks`. */
export function namesOrMap(value: Shape, valueOfName: (at: Mark) => Node, nullable: boolean): Shape {
  const long = mapOf(value, { nullable });
  return {
    schema: { anyOf: [{ type: 'array', items: { type: 'string' } }, long.schema] },
    read(node, path, diagnostics) {
      if (node.kind !== 'list') return long.read(node, path, diagnostics);
      const entries = new Map<string, { keyAt: Mark; value: Node }>();
      node.items.forEach((item, index) => {
        const read = text.read(item, `${path}[${index}]`, diagnostics);
        if (read) entries.set(String(textOf(read)), { keyAt: item.at, value: valueOfName(item.at) });
      });
      return mapping(entries, node.at);
    },
  };
}

/** `ulimits.NAME`: one number for both, or soft and hard. */
export const ulimit: Shape = either(
  {
    scalar: integer(-1),
    map: object({
      soft: required(integer(-1), 'The limit that is in force'),
      hard: required(integer(-1), 'How far the process may raise it'),
    }),
  },
  'a number, or a mapping with soft and hard',
);

/** `external`: true, or the old form with the name inside, which is lifted to `name`. */
export const external: Shape = either(
  { scalar: boolean, map: object({ name: field(text, 'Name outside the project') }) },
  'true or false',
);

/** Lifts `external: {name: N}` to `external: true, name: N`. */
export function liftExternalName(node: Node, path: string, diagnostics: Diagnostics): Node | undefined {
  if (node.kind !== 'map') return node;
  const old = childOf(node, 'external');
  if (old?.kind !== 'map') return node;
  const name = childOf(old, 'name');
  const flagged = withEntry(node, 'external', scalar(true, old.at));
  if (!name || isNull(name)) return flagged;
  if (childOf(node, 'name')) {
    diagnostics.error(
      'CONFLICT',
      `${path} has both "name" and "external.name"`,
      name.at,
      'keep "name", and write "external: true"',
    );
    return undefined;
  }
  diagnostics.warning(
    'UNSUPPORTED_ATTRIBUTE',
    `${path}.external.name is the old form`,
    name.at,
    `write "external: true" and "name: ${String(textOf(name))}"`,
  );
  return withEntry(flagged, 'name', name);
}

/** `gpus`: "all", or a list of device requests. */
export function allOrList(item: Shape): Shape {
  return {
    schema: { anyOf: [{ const: 'all' }, { type: 'array', items: item.schema }] },
    read(node, path, diagnostics) {
      if (textOf(node) === 'all') return list([mappingOf({ count: scalar(-1, node.at) }, node.at)], node.at);
      if (node.kind === 'list')
        return list(
          node.items.flatMap((entry, index) => item.read(entry, `${path}[${index}]`, diagnostics) ?? []),
          node.at,
        );
      diagnostics.error('VALUE_INVALID', `${path} must be "all" or a list`, node.at);
      return undefined;
    },
  };
}
