#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadCompiled } from './compiled.mjs';

const main = fileURLToPath(new URL('../dist/bundle/main.cjs', import.meta.url));
if (!existsSync(main)) {
  console.error('trimtab has not been built yet. Run: npm run build');
  process.exit(1);
}
const { exports, keep } = loadCompiled(main);
// Set by the build, which runs this once so that later starts need not compile.
if (process.env.TRIMTAB_KEEP_COMPILED) process.on('exit', keep);
await exports.run(process.argv);
