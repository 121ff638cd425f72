/**
 * Runs recorded calls of another compose implementation through the loader and tells how many agree.
 *
 *   npx rolldown test/conformance/compose.ts --platform node --format esm --file /tmp/conformance.mjs
 *   node /tmp/conformance.mjs FOLDER [KIND [TEXT]]
 *
 * FOLDER holds cases/KIND.jsonl, and files/ with expected.jsonl. With KIND every difference is printed; TEXT limits them to
 * cases that contain it.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { composeFile } from '../../src/load/attributes.ts';
import { gatherDiagnostics } from '../../src/load/diagnostics.ts';
import { readEnvFile } from '../../src/load/env-file.ts';
import { type ConfigModel, load, type LoadResult, type ProjectFiles } from '../../src/load/load.ts';
import { clean, merge } from '../../src/load/merge.ts';
import { joinPath } from '../../src/load/posix-path.ts';
import { port, volume } from '../../src/load/short-forms.ts';
import { type Node, scalar, markAt, sourceText, toPlain } from '../../src/load/source.ts';
import { substitute, TemplateFault } from '../../src/load/template.ts';
import { readYaml } from '../../src/load/yaml.ts';

/** One recorded call; which fields it has depends on its kind. */
interface Case {
  readonly test: string;
  readonly in?: unknown;
  readonly env?: Readonly<Record<string, string | null>>;
  readonly base?: unknown;
  readonly override?: string;
  readonly files?: readonly { name: string; content: unknown; dict: boolean }[];
  readonly wd?: string;
  readonly opts?: { profiles: string[] | null; services: string[] | null; skipCons: boolean; skipNorm: boolean };
  readonly err?: string | null;
  readonly out?: unknown;
}

type Verdict = { readonly agrees: boolean; readonly got: unknown } | 'needs files that are not recorded';

/** Stands for the folder that recorded files are meant to lie in. */
const root = '/recorded';

const runners: Readonly<Record<string, (recorded: Case) => Verdict>> = {
  substitute: runSubstitute,
  dotenv: runDotenv,
  port: (recorded) => runShort(recorded, port),
  volume: (recorded) => runShort(recorded, volume),
  merge: runMerge,
  schema: runSchema,
  load: runLoad,
};

main(process.argv[2] ?? '.', process.argv[3], process.argv[4]);

function main(folder: string, onlyKind: string | undefined, text: string | undefined): void {
  for (const [kind, run] of Object.entries(runners)) {
    if (onlyKind !== undefined && onlyKind !== kind) continue;
    report(
      kind,
      linesOf(`${folder}/cases/${kind}.jsonl`),
      (line) => run(JSON.parse(line) as Case),
      onlyKind === kind ? (text ?? '') : undefined,
    );
  }
  if (onlyKind === undefined || onlyKind === 'files') {
    report(
      'files',
      linesOf(`${folder}/expected.jsonl`),
      (line) => runFile(line, folder),
      onlyKind === 'files' ? (text ?? '') : undefined,
    );
  }
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}

function report(kind: string, lines: readonly string[], run: (line: string) => Verdict, shown: string | undefined): void {
  let agreeing = 0;
  let differing = 0;
  let skipped = 0;
  for (const line of lines) {
    const verdict = run(line);
    if (typeof verdict === 'string') skipped++;
    else if (verdict.agrees) agreeing++;
    else differing++;
    if (shown !== undefined && typeof verdict !== 'string' && !verdict.agrees && line.includes(shown)) {
      process.stdout.write(`${line.slice(0, 3000)}\n  got ${JSON.stringify(verdict.got)?.slice(0, 3000)}\n\n`);
    }
  }
  process.stdout.write(`${kind.padEnd(11)} ${agreeing} agree, ${differing} differ, ${skipped} skipped\n`);
}

function runSubstitute(recorded: Case): Verdict {
  const lookup = (name: string) => recorded.env?.[name] ?? undefined;
  try {
    const got = substitute(String(recorded.in), lookup);
    return { agrees: recorded.err === null && got === recorded.out, got };
  } catch (error) {
    if (!(error instanceof TemplateFault)) throw error;
    return { agrees: recorded.err !== null, got: error.message };
  }
}

function runDotenv(recorded: Case): Verdict {
  const base = recorded.base as Readonly<Record<string, string>>;
  const diagnostics = gatherDiagnostics();
  const values = readEnvFile('.env', String(recorded.in), (name) => recorded.env?.[name] ?? base[name], diagnostics);
  const got = { ...base, ...Object.fromEntries(values) };
  if (recorded.err !== null) return { agrees: diagnostics.hasErrors(), got };
  return { agrees: !diagnostics.hasErrors() && isDeepStrictEqual(got, recorded.out), got: { got, faults: diagnostics.sorted() } };
}

function runShort(recorded: Case, shape: typeof port): Verdict {
  const diagnostics = gatherDiagnostics();
  const source = sourceText('case', String(recorded.in));
  const read = shape.read(scalar(String(recorded.in), markAt(source, 0)), 'case', diagnostics);
  const got = read && toPlain(read);
  if (recorded.err) return { agrees: diagnostics.hasErrors(), got };
  const expected = shape === port && Array.isArray(recorded.out) && recorded.out.length === 1 ? recorded.out[0] : recorded.out;
  return { agrees: isDeepStrictEqual(meaningful(got), meaningful(expected)), got: got ?? diagnostics.sorted() };
}

function canonical(text: string): Node | undefined {
  const diagnostics = gatherDiagnostics();
  const [document] = readYaml('case', text, diagnostics) ?? [];
  return document && composeFile.read(document, '', diagnostics);
}

function runMerge(recorded: Case): Verdict {
  const [base, override] = [canonical(String(recorded.base)), canonical(String(recorded.override))];
  const expected = canonical(JSON.stringify(recorded.out));
  const got = base && override && toPlain(clean(merge(base, override)));
  return { agrees: isDeepStrictEqual(meaningful(got), meaningful(expected && toPlain(clean(expected)))), got };
}

function runSchema(recorded: Case): Verdict {
  const diagnostics = gatherDiagnostics();
  const [document] = readYaml('case', JSON.stringify(recorded.in), diagnostics) ?? [];
  if (document) composeFile.read(document, '', diagnostics);
  return { agrees: diagnostics.hasErrors() === Boolean(recorded.err), got: diagnostics.sorted() };
}

function runLoad(recorded: Case): Verdict {
  const directory = absolute(recorded.wd || '.');
  const table = new Map<string, string>();
  const names = (recorded.files ?? []).map((file, index) => {
    const name = absolute(file.name === '' || file.name === '-' ? `file${index}.yml` : file.name, directory);
    const text = typeof file.content === 'string' ? file.content : JSON.stringify(file.content);
    // A file recorded without its text was read from a disk that is not here.
    if (!(text === '' && !recorded.err)) table.set(name, text.replaceAll('$ROOT', root));
    return name;
  });
  const missing = new Set<string>();
  const files: ProjectFiles = {
    read(path) {
      const text = path === '/dev/null' ? '' : table.get(path);
      if (text === undefined) missing.add(path);
      return text;
    },
    exists: (path) => table.has(path),
    isDirectory: () => false,
  };
  const result = load(
    {
      workingDir: directory,
      projectDirectory: directory,
      files: names,
      profiles: recorded.opts?.profiles ?? [],
      services: recorded.opts?.services ?? [],
      envFiles: ['/dev/null'],
      env: environment(recorded.env),
    },
    files,
  );
  const wantsMore = [...missing].some((path) => !path.endsWith('/.env')) || JSON.stringify(recorded.files).includes('remote:');
  const failed = errorsOf(result, recorded.opts?.skipCons === true);
  if (recorded.err)
    return failed.length === 0 && wantsMore
      ? 'needs files that are not recorded'
      : { agrees: errorsOf(result, false).length > 0, got: result.model };
  if (wantsMore || recorded.out === null || recorded.out === undefined) return 'needs files that are not recorded';
  const expected = withRoot(recorded.out);
  const skipNames = recorded.opts?.skipNorm === true;
  // Without a folder the recorded paths stayed relative.
  const text = JSON.stringify(result.model ?? {});
  const located = recorded.wd ? text : text.replaceAll(`"${directory}"`, '"."').replaceAll(`"${directory}/`, '"');
  const [got, wanted] = [
    comparable(JSON.parse(located) as ConfigModel, skipNames),
    comparable(expected as ConfigModel, skipNames),
  ];
  return {
    agrees: failed.length === 0 && isDeepStrictEqual(got, wanted),
    got: failed.length > 0 ? failed : differences(got, wanted),
  };
}

/** Only ours: what tscompose cannot do yet or refuses for good, and the checks a case asked to skip. */
function errorsOf(result: LoadResult, skipChecks: boolean): LoadResult['diagnostics'] {
  const checks = ['REFERENCE_UNDEFINED', 'CONFLICT', 'DEPENDENCY_CYCLE', 'FILE_INVALID', 'VARIABLE_MISSING'];
  return result.diagnostics.filter(
    ({ severity, code }) => severity === 'error' && code !== 'UNSUPPORTED_ATTRIBUTE' && !(skipChecks && checks.includes(code)),
  );
}

function environment(env: Case['env']): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env ?? {}).map(([name, value]) => [name, value?.replaceAll('$ROOT', root)]));
}

function absolute(path: string, directory = `${root}/work`): string {
  const rooted = path.replaceAll('$ROOT', root);
  return joinPath(directory, rooted);
}

function withRoot(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll('$ROOT', root));
}

function runFile(line: string, folder: string): Verdict {
  const recorded = JSON.parse(line) as { set: string; path: string; head: { rc: number; out: unknown } };
  const base = `${folder}/files/${recorded.set}`;
  const files: ProjectFiles = {
    read: (path) => (existsSync(path) && statSync(path).isFile() ? readFileSync(path, 'utf8') : undefined),
    exists: existsSync,
    isDirectory: (path) => existsSync(path) && statSync(path).isDirectory(),
  };
  const path = `${base}/${recorded.path}`;
  const result = load(
    {
      workingDir: path.slice(0, path.lastIndexOf('/')),
      files: [path],
      profiles: [],
      services: [],
      envFiles: [],
      env: { HOME: '/nonexistent' },
    },
    files,
  );
  const failed = result.diagnostics.filter(({ severity, code }) => severity === 'error' && code !== 'UNSUPPORTED_ATTRIBUTE');
  if (recorded.head.rc !== 0) return { agrees: failed.length > 0, got: result.model };
  const expected = JSON.parse(JSON.stringify(recorded.head.out).replaceAll('$ROOT', base)) as ConfigModel;
  const [got, wanted] = [comparable(result.model, false), comparable(expected, false)];
  return {
    agrees: failed.length === 0 && isDeepStrictEqual(got, wanted),
    got: failed.length > 0 ? failed : differences(got, wanted),
  };
}

/** Without what the recording dropped (empty values, defaults that were not filled in) on either side. */
function comparable(model: ConfigModel | undefined, skipNormalization: boolean): unknown {
  const copy = JSON.parse(JSON.stringify(model ?? {})) as {
    services?: Record<string, Record<string, unknown>>;
    networks?: Record<string, Record<string, unknown>>;
  } & Record<string, unknown>;
  delete copy['name'];
  for (const key of Object.keys(copy)) if (key.startsWith('x-')) delete copy[key];
  delete copy['models'];
  for (const service of Object.values(copy.services ?? {})) {
    for (const key of Object.keys(service)) if (key.startsWith('x-') || unrecorded.includes(key)) delete service[key];
    if (skipNormalization) dropNormalized(service);
  }
  if (skipNormalization) dropNames(copy);
  return meaningful(copy);
}

const unrecorded = ['env_file', 'label_file', 'models', 'extends'];

/** What normalization alone puts into a service. */
function dropNormalized(service: Record<string, unknown>): void {
  const networks = service['networks'] as Record<string, unknown> | undefined;
  if (networks && Object.keys(networks).join() === 'default') delete service['networks'];
  delete service['depends_on'];
  const build = service['build'] as Record<string, unknown> | undefined;
  if (build?.['dockerfile'] === 'Dockerfile') delete build['dockerfile'];
}

function dropNames(model: Record<string, unknown>): void {
  for (const kind of ['networks', 'volumes', 'configs', 'secrets']) {
    const group = model[kind] as Record<string, Record<string, unknown> | null> | undefined;
    for (const resource of Object.values(group ?? {})) if (resource) delete resource['name'];
    if (kind === 'networks' && group) delete group['default'];
  }
}

/** The places where two values differ. */
function differences(got: unknown, wanted: unknown, path = ''): unknown[] {
  if (isDeepStrictEqual(got, wanted)) return [];
  const areObjects = [got, wanted].every((value) => typeof value === 'object' && value !== null && !Array.isArray(value));
  if (!areObjects) return [{ path, got, wanted }];
  const [left, right] = [got as Record<string, unknown>, wanted as Record<string, unknown>];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((key) =>
    differences(left[key], right[key], `${path}/${key}`),
  );
}

function meaningful(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meaningful);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(
    ([key, entry]) => [key, key.startsWith('x-') ? undefined : meaningful(entry)] as const,
  );
  return Object.fromEntries(entries.filter(([, entry]) => !isEmpty(entry)).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '' || value === 0 || value === '0') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
