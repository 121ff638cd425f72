import { composeFile } from './attributes.ts';
import type { JsonSchema } from './shapes.ts';

/** The JSON Schema (draft 2020-12) of a compose file, made from the loader's own tables; `schema/compose.json` holds its text. */
export function composeSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A compose file as tscompose reads it',
    description: 'Attributes marked "not supported yet" are understood and named in a warning, but have no effect.',
    ...composeFile.schema,
  };
}
