import { readFileSync } from 'node:fs';
import { TscomposeError } from '../errors.ts';
import type { OciSpec } from './spec.ts';

/** config.json of a container that was started, in its bundle's folder. @throws FILE_UNREADABLE when it is gone or damaged */
export function readSpecFile(bundle: string): OciSpec {
  const path = `${bundle}/config.json`;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as OciSpec;
  } catch (cause) {
    throw new TscomposeError('FILE_UNREADABLE', `${path} is gone or damaged`, {
      path,
      hint: 'the container itself is not affected; its next start writes the file anew',
      cause,
    });
  }
}
