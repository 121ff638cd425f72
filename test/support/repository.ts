import path from 'node:path';

/** The checkout these tests belong to. */
export const repository = path.resolve(import.meta.dirname, '../..');
