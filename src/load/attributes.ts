import { service } from './service-attributes.ts';
import {
  anything,
  boolean,
  either,
  type Field,
  type Fields,
  field,
  integer,
  keyValues,
  later,
  listOf,
  mapOf,
  object,
  oneOrList,
  required,
  type Shape,
  text,
  textual,
  andThen,
} from './shapes.ts';
import { external, liftExternalName } from './short-forms.ts';
import { mappingOf } from './source.ts';

/** The top level of a compose file, and the resources beside the services (compose "networks", "volumes", "configs", "secrets"). */

const resourceNames = { key: /^[a-zA-Z0-9._-]+$/, keyHint: 'names have letters, digits and . _ -' };

const network: Shape = andThen(
  object({
    name: field(text, 'Its name outside the file; default: PROJECT_KEY'),
    driver: field(text, 'bridge, or host and none for the ones that are always there'),
    driver_opts: field(mapOf(textual, { nullable: true }), "The driver's options"),
    ipam: field(
      object({
        driver: field(text, 'Who hands out addresses; "default" is the only one'),
        config: field(
          listOf(
            object({
              subnet: field(text, 'Its subnet: 172.28.0.0/16'),
              ip_range: field(text, 'The part of it that addresses are taken from'),
              gateway: field(text, 'Address of the bridge'),
              aux_addresses: field(mapOf(text), 'Addresses that are never handed out'),
            }),
          ),
          'The address pools',
        ),
        options: later(mapOf(textual), 'Options of the driver'),
      }),
      'Addresses',
    ),
    internal: field(boolean, 'No way out to other networks'),
    attachable: field(boolean, 'Containers outside the project may join; always so here'),
    enable_ipv4: field(boolean, 'IPv4; default true'),
    enable_ipv6: field(boolean, 'IPv6'),
    external: field(external, 'It is there already, and stays'),
    labels: field(keyValues(), 'Labels'),
  }),
  liftExternalName,
);

const volumeResource: Shape = andThen(
  object({
    name: field(text, 'Its name outside the file; default: PROJECT_KEY'),
    driver: field(text, 'local'),
    driver_opts: field(mapOf(textual, { nullable: true }), 'For local: type, device and o of mount(2)'),
    external: field(external, 'It is there already, and stays'),
    labels: field(keyValues(), 'Labels'),
  }),
  liftExternalName,
);

const fileResourceFields: Fields = {
  name: field(text, 'Its name outside the file'),
  file: field(text, 'The file with the content'),
  environment: field(text, 'The variable with the content'),
  external: field(external, 'It is there already'),
  labels: field(keyValues(), 'Labels'),
  template_driver: later(text, 'How to expand its content'),
};

const config: Shape = andThen(object({ ...fileResourceFields, content: field(text, 'The content itself') }), liftExternalName);

const secret: Shape = andThen(
  object({
    ...fileResourceFields,
    driver: later(text, 'Who keeps it'),
    driver_opts: later(mapOf(textual), "The driver's options"),
  }),
  liftExternalName,
);

const model: Shape = object({
  name: field(text, 'Its name'),
  model: required(text, 'the model'),
  context_size: field(integer(0), 'Size of the context'),
  runtime_flags: field(listOf(text), 'Flags of the engine'),
});

const includeEntry: Shape = either(
  {
    scalar: andThen(text, (node) => mappingOf({ path: { kind: 'list', items: [node], at: node.at } }, node.at)),
    map: object({
      path: required(oneOrList(text), 'the file, or several that are merged'),
      project_directory: field(text, 'The folder its relative paths start from'),
      env_file: field(oneOrList(text), 'Files with variables for it'),
    }),
  },
  'a file, or a mapping with "path"',
);

/** The top level; services are read one by one, so that a file that is only extended need not be right as a whole. */
export const topLevelFields: Fields = {
  version: field(textual, 'Obsolete; no effect'),
  name: field(text, 'Name of the project'),
  include: field(listOf(includeEntry), 'Other compose files that belong to the project'),
  services: field(mapOf(service, { ...resourceNames, nullable: true, noun: 'a service' }), 'What runs'),
  networks: field(mapOf(network, { ...resourceNames, nullable: true, noun: 'a network' }), 'Networks between the services'),
  volumes: field(
    mapOf(volumeResource, { ...resourceNames, nullable: true, noun: 'a volume' }),
    'Storage that outlives containers',
  ),
  configs: field(mapOf(config, { ...resourceNames, nullable: true, noun: 'a config' }), 'Files for services'),
  secrets: field(mapOf(secret, { ...resourceNames, nullable: true, noun: 'a secret' }), 'Secret files for services'),
  models: later(mapOf(model, { ...resourceNames, noun: 'a model' }), 'AI models'),
};

export const composeFile: Shape = object(topLevelFields);

/** The same for a file one service of which is extended: only its `services` matter, and those stay unread. */
export const extendedFile: Shape = object(
  Object.fromEntries(
    Object.entries(topLevelFields).map(([name, definition]): [string, Field] => [
      name,
      { shape: anything, description: definition.description },
    ]),
  ),
);
