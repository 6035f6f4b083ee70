// Packs golden vectors into vectors.json.gz: { name: [JSON text without white space, protobuf as base64] }.
//
//   node pack.mjs DIRECTORY
//
// DIRECTORY has one GROUP.VERSION.KIND.json and .pb a kind, as published in kubernetes/api under testdata/HEAD.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const dir = process.argv[2];
if (!dir) {
  console.error('usage: node pack.mjs DIRECTORY');
  process.exit(2);
}
const out = {};
for (const file of readdirSync(dir).sort()) {
  if (!file.endsWith('.pb')) continue;
  const name = file.slice(0, -3);
  const json = JSON.stringify(JSON.parse(readFileSync(join(dir, `${name}.json`), 'utf8')));
  out[name] = [json, readFileSync(join(dir, file)).toString('base64')];
}
writeFileSync(new URL('vectors.json.gz', import.meta.url), gzipSync(JSON.stringify(out), { level: 9 }));
