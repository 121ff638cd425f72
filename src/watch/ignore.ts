/** Which files below a watched path count. Pure. */
import dockerignore from '@balena/dockerignore';

/** The package is CommonJS: its types promise a `default` that Node's import has already taken. */
const ignore = dockerignore as unknown as typeof dockerignore.default;

/** Takes a path relative to the watched one. */
export type PathFilter = (relativePath: string) => boolean;

export interface FilterWish {
  /** Patterns in the manner of .dockerignore. */
  readonly ignore: readonly string[];
  /** When there are any, only what one of them matches counts. */
  readonly include: readonly string[];
  /** Text of the folder's own .dockerignore. */
  readonly ignoreFile: string | undefined;
}

/** What editors and version control leave beside the files that are meant. */
const neverMeant: readonly string[] = [
  '**/.git',
  '**/.hg',
  '**/.svn',
  '**/*~',
  '**/.*.swp',
  '**/.*.swx',
  '**/.*.swo',
  '**/4913',
  '**/.#*',
  '**/#*#',
  '**/*___jb_tmp___',
  '**/*___jb_old___',
  '**/.goutputstream-*',
  '**/.DS_Store',
  '**/*.tmp.[0-9]*',
];

export function pathFilter({ ignore: patterns, include, ignoreFile }: FilterWish): PathFilter {
  const fromFile = (ignoreFile ?? '').split(/\r?\n/);
  const ignored = ignore().add([...neverMeant, ...fromFile, ...patterns]);
  const included = include.length === 0 ? undefined : ignore().add([...include]);
  return (path) => {
    if (path === '') return true;
    return !ignored.ignores(path) && (included === undefined || included.ignores(path));
  };
}

/** For whole folders: false only when nothing below can count, so that they need not be watched at all. */
export function folderFilter({ ignore: patterns, ignoreFile }: FilterWish): PathFilter {
  const lines = [...neverMeant, ...(ignoreFile ?? '').split(/\r?\n/), ...patterns];
  // "!pattern" may bring back something below an ignored folder; then every folder is looked into.
  if (lines.some((line) => line.trim().startsWith('!'))) return () => true;
  const ignored = ignore().add(lines);
  return (path) => path === '' || !ignored.ignores(path);
}
