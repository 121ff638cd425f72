import { stringify } from 'yaml';
import { childOf, entriesOf, isNull, type MapNode, type Node, type Plain, type PlainObject, toPlain } from './source.ts';

/** What `config` prints: the project in canonical form, as plain data. */
export type ConfigModel = PlainObject;

/** Puts the canonical tree together as docker compose prints it: names sorted, attributes sorted, empty ones left out. */
export function toConfigModel(parts: { name: string; model: MapNode; services: MapNode }): ConfigModel {
  const sections = ['networks', 'volumes', 'secrets', 'configs', 'models'].flatMap((kind): [string, Plain][] => {
    const group = childOf(parts.model, kind);
    return group && entriesOf(group).length > 0 ? [[kind, sortedSection(kind, group)]] : [];
  });
  const extensions = entriesOf(parts.model)
    .filter(([key]) => key.startsWith('x-'))
    .map(([key, { value }]): [string, Plain] => [key, toPlain(value)]);
  const services = record(
    entriesOf(parts.services)
      .sort(byName)
      .map(([name, { value }]) => [name, serviceModel(value)]),
  );
  return record([['name', parts.name], ['services', services], ...sections, ...extensions]);
}

function sortedSection(kind: string, group: Node): Plain {
  return record(
    entriesOf(group)
      .sort(byName)
      .map(([key, { value }]) => {
        const plain = sorted(toPlain(value), kind === 'volumes' || kind === 'networks' ? 2 : 1) as PlainObject;
        return [
          key,
          kind === 'networks' && plain['ipam'] === undefined && plain['external'] !== true
            ? record([...Object.entries(plain), ['ipam', {}]])
            : plain,
        ];
      }),
  );
}

/** Attributes docker compose prints before the others. */
const leading: Readonly<Record<string, readonly string[]>> = {
  '': ['profiles'],
  ports: ['name', 'mode', 'host_ip', 'target', 'published', 'protocol', 'app_protocol'],
  volumes: ['type', 'source', 'target', 'read_only'],
  depends_on: ['condition', 'restart', 'required'],
  healthcheck: ['test', 'timeout', 'interval', 'retries', 'start_period', 'start_interval'],
  build: ['context', 'additional_contexts', 'dockerfile'],
  secrets: ['source', 'target', 'uid', 'gid', 'mode'],
  configs: ['source', 'target', 'uid', 'gid', 'mode'],
};

function serviceModel(service: Node): Plain {
  const attributes = new Map<string, Plain>();
  for (const [key, { value }] of entriesOf(service)) {
    if (isNull(value) && key !== 'command' && key !== 'entrypoint') continue;
    attributes.set(key, attributeModel(key, toPlain(value)));
  }
  for (const key of ['command', 'entrypoint']) if (!attributes.has(key)) attributes.set(key, null);
  const keys = [...attributes.keys()].sort(byLeading(leading[''] ?? []));
  return record(keys.map((key) => [key, attributes.get(key) as Plain]));
}

function attributeModel(key: string, value: Plain): Plain {
  const first = leading[key] ?? [];
  if (Array.isArray(value)) return value.map((item: Plain) => (isObject(item) ? ordered(item, first) : item));
  if (!isObject(value)) return value;
  if (key === 'depends_on')
    return record(
      Object.keys(value)
        .sort()
        .map((name) => [
          name,
          isObject(value[name] as Plain) ? ordered(value[name] as PlainObject, first) : (value[name] as Plain),
        ]),
    );
  return ordered(value, first);
}

function ordered(object: PlainObject, first: readonly string[]): Plain {
  return record(
    Object.keys(object)
      .sort(byLeading(first))
      .map((key) => [key, sorted(object[key] as Plain, 9)]),
  );
}

function sorted(value: Plain, depth: number): Plain {
  if (depth === 0 || !isObject(value)) return Array.isArray(value) ? value.map((item: Plain) => sorted(item, depth - 1)) : value;
  return record(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key] as Plain, depth - 1)]),
  );
}

function byLeading(first: readonly string[]): (a: string, b: string) => number {
  const rank = (key: string) => (first.includes(key) ? first.indexOf(key) : first.length);
  return (a, b) => rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isObject(value: Plain): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object without a prototype, so that `__proto__` is only a key. */
function record(entries: readonly (readonly [string, Plain])[]): PlainObject {
  const object: Record<string, Plain> = Object.create(null);
  for (const [key, value] of entries) object[key] = value;
  return object;
}

/**
 * The text `config` prints. Dollar signs are doubled, so that the text can be loaded again, and `env_file` is left out, because
 * its variables already stand in `environment`.
 */
export function formatConfig(model: ConfigModel, format: 'yaml' | 'json'): string {
  const printable = printableModel(model);
  if (format === 'json') return `${JSON.stringify(printable, null, 2)}\n`;
  return stringify(printable, { lineWidth: 0, aliasDuplicateObjects: false });
}

function printableModel(model: ConfigModel): Plain {
  const services = model['services'];
  const stripped = isObject(services as Plain)
    ? record(
        Object.entries(services as PlainObject).map(([name, service]) => [
          name,
          record(Object.entries(service as PlainObject).filter(([key]) => key !== 'env_file' && key !== 'label_file')),
        ]),
      )
    : null;
  return withDollarsEscaped(record(Object.entries(model).map(([key, value]) => [key, key === 'services' ? stripped : value])));
}

function withDollarsEscaped(value: Plain): Plain {
  if (typeof value === 'string') return value.replaceAll('$', '$$$$');
  if (Array.isArray(value)) return value.map((item: Plain) => withDollarsEscaped(item));
  return isObject(value) ? record(Object.entries(value).map(([key, entry]) => [key, withDollarsEscaped(entry as Plain)])) : value;
}
