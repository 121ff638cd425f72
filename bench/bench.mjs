#!/usr/bin/env node
/**
 * `npm run bench [-- NAME] [--runs N] [--format json]`: measures the built program on this machine, and what the kernel alone takes
 * for the same work in the same run (floor.c). Each benchmark is a file of its own beside this one; default: stack. Needs root.
 */
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './measure.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '5' }, format: { type: 'string', default: 'table' } },
});
const names = fs
  .readdirSync(import.meta.dirname)
  .filter((file) => !['bench.mjs', 'measure.mjs'].includes(file) && file.endsWith('.mjs'))
  .map((file) => path.basename(file, '.mjs'));
const [name = 'stack'] = positionals;
if (!names.includes(name)) {
  console.error(`no benchmark ${name}; there are ${names.join(', ')}`);
  process.exit(2);
}

/** Rows: { what, unit, samples, floor? (samples of the limit), aim? } */
const rows = [];
const { run } = await import(`./${name}.mjs`);
await run({ runs: Number(values.runs), record: (row) => rows.push(row) });
const results = rows.map(summarise);
console.log(values.format === 'json' ? JSON.stringify(results, null, 2) : formatTable(results));

function summarise({ what, unit, samples, floor, aim }) {
  const [value, limit] = [median(samples), floor && median(floor)];
  return {
    what,
    unit,
    median: round(value),
    least: round(Math.min(...samples)),
    most: round(Math.max(...samples)),
    floor: limit && round(limit),
    ratio: limit && round(value / limit),
    aim,
  };
}

function round(value) {
  return Math.round(value * 10) / 10;
}

function formatTable(results) {
  const header = ['', 'median', 'least', 'most', 'floor', 'ratio', 'aim'];
  const body = results.map((row) => [
    `${row.what} (${row.unit})`,
    row.median,
    row.least,
    row.most,
    row.floor ?? '',
    row.ratio === undefined ? '' : `× ${row.ratio}`,
    row.aim ?? '',
  ]);
  const cells = [header, ...body].map((line) => line.map(String));
  const widths = header.map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
