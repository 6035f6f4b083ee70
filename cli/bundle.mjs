/**
 * Puts the command line and everything below it into one file, and what V8 made of it into another: reading hundreds of small
 * modules, and compiling them, is most of what a start costs. Native code stays where it is; `prom-client`, which is loaded late,
 * stays outside.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { sharedShapes } from './shared-shapes.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const require = createRequire(import.meta.url);

/** lmdb looks for its native code beside the file it believes to be in. */
const nativeBesideItsPackage = {
  name: 'native-beside-its-package',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/lmdb\/dist\/index\.cjs$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll("'file:' + __filename", "__importMeta.resolve('lmdb')"),
    })),
};

/** What is loaded by an address that is known only when it runs stays an `import()`: that of bin/compiled.mjs. */
const importsAtRunTime = {
  name: 'imports-at-run-time',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/cli\/import-file\.ts$/ }, () => ({
      contents: 'export const importFile = (url) => __importFile(url);',
    })),
};

const bundle = here('./dist/bundle/main.cjs');
rmSync(dirname(bundle), { recursive: true, force: true });
await build({
  entryPoints: [here('./main.ts')],
  outfile: bundle,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  // Names stay, for stack traces and profiles.
  minifyWhitespace: true,
  external: ['prom-client', 'msgpackr-extract'],
  plugins: [nativeBesideItsPackage, importsAtRunTime],
  alias: {
    lmdb: require.resolve('lmdb'),
    // Its CommonJS form is two hundred modules that are put together at every start.
    rxjs: join(dirname(require.resolve('rxjs/package.json')), 'dist/esm/index.js'),
  },
  sourcemap: 'linked',
  supported: { 'dynamic-import': false, 'object-rest-spread': false },
  define: {
    'import.meta': '__importMeta',
    // Native code for an encoding that the store does not use.
    'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"',
  },
  banner: {
    js: [
      "const { pathToFileURL: __url } = require('node:url');",
      'const __importMeta = { url: __url(__filename).href, resolve: (name) => __url(require.resolve(name)).href };',
    ].join('\n'),
  },
  logLevel: 'warning',
});
// ASCII is read far quicker; what is left over stands in comments and regular expressions.
const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
writeFileSync(bundle, sharedShapes(readFileSync(bundle, 'utf8')).replace(/[^\0-\x7f]/g, escaped));
await warmUp().catch((error) => console.error(`trimtab will start a little slower: ${error.message}`));

/** Runs a cluster without pods for a moment; when it ends, what was compiled for it is kept. */
async function warmUp() {
  const dir = mkdtempSync(join(tmpdir(), 'trimtab-build-'));
  const words = ['up', '--no-node', '--simulated-nodes', '1', '--bind', '127.0.0.1', '--port', '0'];
  const child = spawn(process.execPath, [here('./bin/trimtab.mjs'), ...words, '--data-dir', dir, '--output', 'json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', TRIMTAB_KEEP_COMPILED: '1' },
  });
  let complaints = '';
  child.stderr.on('data', (text) => {
    complaints += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const ended = new Promise((resolve) => child.on('close', resolve));
  for await (const line of createInterface(child.stdout)) {
    const { event, server } = JSON.parse(line);
    if (event !== 'ready') continue;
    await answered(`${server}/version`);
    child.kill('SIGTERM');
  }
  const code = await ended;
  clearTimeout(timer);
  rmSync(dir, { recursive: true, force: true });
  if (code !== 0) throw new Error(`a first run ended with ${code}: ${complaints.trim()}`);
}

function answered(url) {
  return new Promise((resolve, reject) => {
    get(url, { rejectUnauthorized: false, agent: false }, (answer) => answer.resume().on('end', resolve)).on(
      'error',
      reject,
    );
  });
}
