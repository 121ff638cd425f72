import { defineConfig } from 'rolldown';

/**
 * What nearly every command reads, in one file: Node takes about half a millisecond to find, read and link each module, and a command
 * would need twenty small ones.
 */
const common = new RegExp(
  [
    'node_modules/commander/',
    'src/(errors|observe)\\.ts',
    'src/(state|model)/',
    'src/core/(channel|frames|native|protocol|status)\\.ts',
    'src/supervise/(client|lines)\\.ts',
    'src/cli/[a-z-]+/(up|up-options|down|exec|ps)\\.ts',
    'src/cli/output/(error|frame|progress|style|visible|words)\\.ts',
    'src/cli/(args|command-table|invocation|project|real-doors|start|surroundings|version)\\.ts',
  ].join('|'),
);

/** Two programs and the chunks they share; a command's code is read only when the command runs. */
export default defineConfig({
  input: { tscompose: 'src/cli/main.ts', supervisor: 'src/cli/supervisor.ts' },
  platform: 'node',
  external: [/^node:/],
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    cleanDir: false,
    minify: { compress: true, mangle: false, codegen: true },
    codeSplitting: { groups: [{ name: 'common', test: common }] },
  },
});
