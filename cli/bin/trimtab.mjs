#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/bundle/main.js', import.meta.url);
if (!existsSync(fileURLToPath(main))) {
  console.error('trimtab has not been built yet. Run: npm run build');
  process.exit(1);
}
const { run } = await import(main.href);
await run(process.argv);
