import { type LoadRequest, type LoadResult, load, type ProjectFiles } from '../../../src/load/load.ts';
import type { Project, Service } from '../../../src/model/project.ts';

/** Files of a table; a path that only begins others is a folder. */
export function filesOf(table: Readonly<Record<string, string>>): ProjectFiles {
  const isDirectory = (path: string) => Object.keys(table).some((name) => name.startsWith(`${path}/`));
  return { read: (path) => table[path], exists: (path) => table[path] !== undefined || isDirectory(path), isDirectory };
}

export type Extra = Partial<LoadRequest> & { readonly also?: Readonly<Record<string, string>> };

/** Loads one compose file of the folder /shop, with further files beside it. */
export function loadText(text: string, { also, ...request }: Extra = {}): LoadResult {
  const files = filesOf({ '/shop/compose.yaml': text, ...also });
  return load({ workingDir: '/shop', files: [], profiles: [], services: [], envFiles: [], env: {}, ...request }, files);
}

/** The project of a file that must be right. */
export function projectOf(text: string, extra: Extra = {}): Project {
  const { project, diagnostics } = loadText(text, extra);
  if (!project) throw new Error(`does not load: ${JSON.stringify(diagnostics, null, 1)}`);
  return project;
}

/** The service `web` of a file with only these attributes (already indented by nothing). */
export function serviceOf(attributes: string, extra: Extra & { readonly rest?: string } = {}): Service {
  const { rest = '', ...others } = extra;
  const indented = attributes
    .trim()
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
  const project = projectOf(`services:\n  web:\n    image: host:/usr\n${indented}\n${rest}`, others);
  return project.services.find((service) => service.name === 'web') as Service;
}

/** "4:7 error CODE: message" for every diagnostic. */
export function told(result: LoadResult): string[] {
  return result.diagnostics.map(
    ({ severity, code, message, at }) => `${at ? `${at.line}:${at.column} ` : ''}${severity} ${code}: ${message}`,
  );
}
