import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TscomposeError } from '../errors.ts';

const fileName = 'tscompose-core';

/**
 * Path of the native program: $TSCOMPOSE_CORE, else the one that travels in the package, else a checkout's own build.
 * @throws NATIVE_MISSING
 */
export function findNative(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const told = env['TSCOMPOSE_CORE'];
  const candidates = told ? [told] : [...packaged(), ...built()];
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  throw new TscomposeError('NATIVE_MISSING', `the native program ${fileName} is not there`, {
    path: candidates[0] ?? fileName,
    hint: told
      ? 'check TSCOMPOSE_CORE'
      : `no build for ${process.arch} is part of this package; in a checkout run "npm run build"`,
  });
}

/** Bundled files lie in dist/ or in a folder of it. */
function packaged(): string[] {
  const place = join('native', `linux-${process.arch}`, fileName);
  return [join(here(), place), join(here(), '..', place)];
}

/** Seen from dist/, dist/chunks/ or src/core/. */
function built(): string[] {
  const place = join('native', 'build', fileName);
  return [join(here(), '..', place), join(here(), '..', '..', place)];
}

function here(): string {
  return dirname(fileURLToPath(import.meta.url));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
