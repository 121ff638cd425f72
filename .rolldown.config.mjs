import { defineConfig } from 'rolldown';

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
  },
});
