/**
 * Puts the command line and everything below it into a few files: reading hundreds of small modules is most of what a start
 * costs. What is loaded lazily stays in files of its own. `lmdb` brings native code and `prom-client` is CommonJS loaded late:
 * both stay outside.
 */
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

rmSync(here('./dist/bundle'), { recursive: true, force: true });
await build({
  entryPoints: [here('./main.ts')],
  outdir: here('./dist/bundle'),
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: ['lmdb', 'prom-client'],
  sourcemap: 'linked',
  // CommonJS packages inside the bundle ask for Node's own modules through `require`.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
