import type { Diagnostics } from './diagnostics.ts';
import { childOf, entriesOf, isNull, itemsOf, type MapNode, type Node, textOf } from './source.ts';

/*
 * Attributes that act for some values only: for any other they are understood and have no effect, and a warning says so at the
 * value's place. What never acts is marked in the attribute tables.
 */

interface Rule {
  /** Steps from the service (or resource) to the value: "*" is every item of a list, "=" every key of a mapping. */
  readonly path: readonly string[];
  /** Whether this value (or key) acts. */
  readonly acts: (text: string) => boolean;
}

const oneOf =
  (...values: readonly string[]) =>
  (text: string): boolean =>
    values.includes(text);

const serviceRules: readonly Rule[] = [
  { path: ['logging', 'driver'], acts: oneOf('', 'json-file', 'local', 'none') },
  { path: ['logging', 'options', '='], acts: oneOf('max-size', 'max-file') },
  { path: ['userns_mode'], acts: oneOf('', 'host') },
  {
    path: ['security_opt', '*'],
    acts: (text) =>
      /^(no-new-privileges|seccomp|systempaths)\b/.test(text) ||
      /^label[=:]disable$/.test(text) ||
      text === 'apparmor=unconfined',
  },
];

const networkRules: readonly Rule[] = [
  { path: ['driver'], acts: oneOf('', 'bridge') },
  {
    path: ['driver_opts', '='],
    acts: oneOf(
      'com.docker.network.bridge.name',
      'com.docker.network.bridge.enable_icc',
      'com.docker.network.bridge.enable_ip_masquerade',
      'com.docker.network.driver.mtu',
    ),
  },
  { path: ['enable_ipv6'], acts: oneOf('false') },
  { path: ['enable_ipv4'], acts: oneOf('true') },
];

const volumeRules: readonly Rule[] = [
  { path: ['driver'], acts: oneOf('', 'local') },
  { path: ['driver_opts', '='], acts: () => false },
];

/** Warns of every value that has no effect in this version. */
export function checkHonoured(services: MapNode, model: MapNode, diagnostics: Diagnostics): void {
  for (const [name, { value }] of services.entries) warnOf(serviceRules, `services.${name}`, value, diagnostics);
  for (const [kind, rules] of [
    ['networks', networkRules],
    ['volumes', volumeRules],
  ] as const) {
    for (const [key, { value }] of entriesOf(childOf(model, kind))) warnOf(rules, `${kind}.${key}`, value, diagnostics);
  }
}

function warnOf(rules: readonly Rule[], place: string, node: Node, diagnostics: Diagnostics): void {
  for (const { path, acts } of rules) {
    for (const { text, at } of valuesAt(node, path)) {
      const attribute = path.filter((step) => step !== '*' && step !== '=').join('.');
      if (!acts(text))
        diagnostics.warning(
          'UNSUPPORTED_ATTRIBUTE',
          `${place}.${attribute}: "${text}" is not supported yet and has no effect`,
          at,
        );
    }
  }
}

function valuesAt(node: Node | undefined, path: readonly string[]): { text: string; at: Node['at'] }[] {
  const [step, ...rest] = path;
  if (!node || isNull(node)) return [];
  if (step === undefined) return [{ text: textOf(node) ?? '', at: node.at }];
  if (step === '*') return itemsOf(node).flatMap((item) => valuesAt(item, rest));
  if (step === '=') return [...entriesOf(node)].map(([key, { keyAt }]) => ({ text: key, at: keyAt }));
  return valuesAt(childOf(node, step), rest);
}
