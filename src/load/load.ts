import type { Project } from '../model/project.ts';
import { checkModel } from './check.ts';
import { checkPublishedPorts } from './check-project.ts';
import { servicesOf, withDefaultNetwork, withDefaults, withImpliedDependencies, withNames, withVariables } from './complete.ts';
import { type ConfigModel, toConfigModel } from './config.ts';
import { type Diagnostic, type Diagnostics, gatherDiagnostics } from './diagnostics.ts';
import { type FileRequest, findFiles, isProjectName, type Location, normalizeName } from './files.ts';
import { interpolate } from './interpolate.ts';
import { documentsOf, type ProjectFiles, type Reading, readPart } from './model.ts';
import { baseName } from './posix-path.ts';
import { selectByProfiles, selectTargets, withoutUnused } from './select.ts';
import { childOf, entriesOf, type MapEntry, type MapNode, mapping, type Mark, type Node, textOf } from './source.ts';
import type { Lookup } from './template.ts';
import { toProject } from './to-project.ts';

export { type ConfigModel, formatConfig } from './config.ts';
export type { Diagnostic } from './diagnostics.ts';
export { findFiles, guessProjectName } from './files.ts';
export type { ProjectFiles } from './model.ts';

/** Which project to load, as the command line says it. */
export interface LoadRequest extends FileRequest {
  /** `-p` */
  readonly projectName?: string | undefined;
  /** `--profile` */
  readonly profiles: readonly string[];
  /** Services named on the command line; empty: all. They activate their own profiles and bring their dependencies. */
  readonly services: readonly string[];
}

/** What came out: a project unless there are errors. */
export interface LoadResult {
  readonly project?: Project;
  /** Errors and warnings, by file and place. */
  readonly diagnostics: readonly Diagnostic[];
  /** For `config`; there as soon as the files could be read, even with errors in them. */
  readonly model?: ConfigModel;
  /** Values of the variables that secrets and configs of the project take their content from, by the variable's name. */
  readonly secretValues: Readonly<Record<string, string>>;
}

/** Text → Project (the order of the stages is compose-go's; every fault of all files is told in one run). Pure, given `files`. */
export function load(request: LoadRequest, files: ProjectFiles): LoadResult {
  const diagnostics = gatherDiagnostics();
  const location = findFiles(request, files, diagnostics);
  if (location.paths.length === 0) return { diagnostics: diagnostics.sorted(), secretValues: {} };
  const reading: Reading = { files, diagnostics, home: location.env.get('HOME'), documents: new Map() };
  const name = projectName(request, location, reading);
  const lookup: Lookup = (variable) => (variable === 'COMPOSE_PROJECT_NAME' ? name : location.env.get(variable));
  const model = readPart(reading, { paths: location.paths, directory: location.directory, lookup, chain: [] });
  if (model?.kind !== 'map') return { diagnostics: diagnostics.sorted(), secretValues: {} };
  return finish({ request, location, reading, name, lookup, model });
}

interface Loaded {
  readonly request: LoadRequest;
  readonly location: Location;
  readonly reading: Reading;
  readonly name: string;
  readonly lookup: Lookup;
  readonly model: MapNode;
}

function finish({ request, location, reading, name, lookup, model }: Loaded): LoadResult {
  const { diagnostics, files } = reading;
  const all = servicesOf(model);
  if (all.entries.size === 0 && !diagnostics.hasErrors())
    diagnostics.warning('FILE_INVALID', 'there are no services', model.at, 'add them under "services:"');
  const profiles = [
    ...request.profiles,
    ...(location.env.get('COMPOSE_PROFILES') ?? '').split(',').filter((profile) => profile !== ''),
  ];
  const byProfile = selectByProfiles(all, profiles, request.services);
  const linked = mapServices(byProfile.active, (service) => withDefaults(withDefaultNetwork(withImpliedDependencies(service))));
  const usesDefault = [...linked.entries.values()].some(
    ({ value }) => childOf(value, 'networks', 'default') !== undefined || textOf(childOf(value, 'network_mode')) === 'bridge',
  );
  const named = withNames(model, name, usesDefault);
  checkModel({ services: linked, inactive: byProfile.inactive, model: named }, diagnostics);
  const targeted = selectTargets(linked, request.services, [...all.entries.keys()], diagnostics);
  const services = mapServices(targeted.active, (service) => withVariables(service, { files, lookup, diagnostics }));
  checkPublishedPorts(services, diagnostics);
  const secretValues = valuesFromEnvironment(named, services, location, diagnostics);
  const inactive = [...byProfile.inactive, ...targeted.inactive];
  const parts = { name, workingDir: location.directory, configFiles: location.paths, model: named, services, inactive };
  return {
    ...(!diagnostics.hasErrors() && { project: toProject(parts) }),
    diagnostics: diagnostics.sorted(),
    // Only `config` asks for it.
    get model() {
      return toConfigModel({ name, model: request.services.length > 0 ? withoutUnused(named, services) : named, services });
    },
    secretValues,
  };
}

function mapServices(services: MapNode, change: (service: Node) => Node): MapNode {
  const entries = new Map<string, MapEntry>();
  for (const [name, { keyAt, value }] of services.entries) entries.set(name, { keyAt, value: change(value) });
  return mapping(entries, services.at);
}

/** `-p`, COMPOSE_PROJECT_NAME, the last `name:` of the files, or the folder's name (compose "name"). */
function projectName(request: LoadRequest, location: Location, reading: Reading): string {
  const { diagnostics } = reading;
  const given = request.projectName || location.env.get('COMPOSE_PROJECT_NAME');
  if (given) return checkedName(given, undefined, diagnostics);
  const lookup: Lookup = (variable) => location.env.get(variable);
  const written = location.paths
    .flatMap((path) => documentsOf(reading, path))
    .map((document) => childOf(document, 'name'))
    .filter((node) => node?.kind === 'scalar' && typeof node.value === 'string')
    .at(-1);
  if (written) return checkedName(textOf(interpolate(written, lookup, diagnostics)) ?? '', written.at, diagnostics);
  const guessed = normalizeName(baseName(location.directory));
  if (guessed === '')
    diagnostics.error(
      'NAME_INVALID',
      `no name for the project can be made of the folder "${location.directory}"`,
      undefined,
      'add "name:" to the file, or use -p',
    );
  return guessed;
}

function checkedName(name: string, at: Mark | undefined, diagnostics: Diagnostics): string {
  if (isProjectName(name)) return name;
  const fixed = normalizeName(name);
  const hint = fixed === '' ? 'e.g. "shop"' : `e.g. "${fixed}"`;
  diagnostics.error(
    'NAME_INVALID',
    `the project's name "${name}" must have lower-case letters, digits, - and _ only, and begin with a letter or digit`,
    at,
    hint,
  );
  return fixed || 'unnamed';
}

/** The content of secrets and configs that come from variables, for those the services use. */
function valuesFromEnvironment(
  model: MapNode,
  services: MapNode,
  location: Location,
  diagnostics: Diagnostics,
): Record<string, string> {
  const values: Record<string, string> = Object.create(null);
  for (const kind of ['configs', 'secrets']) {
    const used = new Set(entriesOf(services).flatMap(([, { value }]) => namesGranted(value, kind)));
    for (const [key, { value }] of entriesOf(childOf(model, kind))) {
      const variable = childOf(value, 'environment');
      const name = textOf(variable);
      if (!variable || name === undefined || !used.has(key)) continue;
      const content = location.env.get(name);
      if (content === undefined)
        diagnostics.error(
          'VARIABLE_MISSING',
          `${kind}.${key} takes its content from the variable ${name}, which is not set`,
          variable.at,
          `set ${name} in the environment or in .env`,
        );
      else values[name] = content;
    }
  }
  return values;
}

function namesGranted(service: Node, kind: string): string[] {
  const grants = childOf(service, kind);
  return grants?.kind === 'list' ? grants.items.flatMap((grant) => textOf(childOf(grant, 'source')) ?? []) : [];
}
