import { test } from 'vitest'; import * as m from '/work/main/src/load/attributes.ts'; test('x', () => { Object.keys(m); });
