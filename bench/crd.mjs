/**
 * How long definitions of custom kinds take: each `CustomResourceDefinition` in the files and folders given (YAML) is validated
 * as on create, stored, established and made a served kind, and applied again, which must change nothing. Without arguments one
 * of 0.8 MB is made up.
 *
 *     node bench/crd.mjs [file or folder …]
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Informers } from '@trimtab/client';
import { customKindSource, DefinitionController, definitionStrategy } from '@trimtab/crd';
import { CustomResourceDefinitions, seededRandom, silentLogger, systemClock } from '@trimtab/machinery';
import { builtinKinds, createBuiltinStrategies, createRegistry, localClientOf } from '@trimtab/server';
import { memoryEngine, openStore } from '@trimtab/store';
import { parseAllDocuments } from 'yaml';

const filesOf = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).flatMap((name) => filesOf(join(path, name)))
    : /\.ya?ml$/.test(path)
      ? [path]
      : [];

function documents(path) {
  const text = readFileSync(path, 'utf8');
  if (!text.includes('kind: CustomResourceDefinition')) return [];
  try {
    return parseAllDocuments(text).map((document) => document.toJS());
  } catch {
    return []; // templates are no YAML
  }
}

function large() {
  const text = 'What this field is for, at the length such texts usually have in definitions of operators. '.repeat(3);
  let left = 800_000;
  const node = (depth) => {
    left -= 400;
    if (depth === 0 || left < 0) return { type: 'string', description: text, maxLength: 100 };
    const fields = Array.from({ length: 8 }, (_, i) => [`field${i}`, node(depth - 1)]);
    return { type: 'object', description: text, properties: Object.fromEntries(fields) };
  };
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec: node(5) } } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'larges.bench.example.com' },
    spec: {
      group: 'bench.example.com',
      scope: 'Namespaced',
      names: { plural: 'larges', kind: 'Large' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  };
}

const given = process.argv.slice(2);
const definitions =
  given.length === 0
    ? [large()]
    : given
        .flatMap(filesOf)
        .flatMap(documents)
        .filter((d) => d?.kind === 'CustomResourceDefinition' && d.apiVersion === 'apiextensions.k8s.io/v1');
const byName = new Map(definitions.map((definition) => [definition.metadata.name, definition]));

const clock = systemClock;
const [random, logger] = [seededRandom(1), silentLogger];
const store = await openStore({ engine: memoryEngine(), clock });
const strategies = {
  ...createBuiltinStrategies(),
  'apiextensions.k8s.io/customresourcedefinitions': definitionStrategy,
};
const source = customKindSource(store);
const registry = createRegistry({ store, kinds: [builtinKinds({ strategies }), source], clock, random, logger });
const allowed = { authorize: () => ({ allowed: true, reason: '' }) };
const client = localClientOf(registry, allowed, { name: 'bench', groups: [] });
const informers = new Informers({ client, clock, random, logger });
const controller = new DefinitionController({ client, informers, clock, logger });
controller.start();
informers.start();

const served = (name) => source.kinds().some((kind) => `${kind.resource}.${kind.group}` === name);
const turn = () => new Promise((resolve) => setImmediate(resolve));
const rows = [];
for (const [name, definition] of byName) {
  const bytes = JSON.stringify(definition).length;
  const start = performance.now();
  await client.patch(
    CustomResourceDefinitions,
    { name },
    { type: 'apply', body: definition },
    { fieldManager: 'bench' },
  );
  const created = performance.now();
  while (!served(name)) await turn();
  const established = performance.now();
  const before = await client.get(CustomResourceDefinitions, { name });
  const again = performance.now();
  await client.patch(
    CustomResourceDefinitions,
    { name },
    { type: 'apply', body: definition },
    { fieldManager: 'bench' },
  );
  const applied = performance.now();
  const after = await client.get(CustomResourceDefinitions, { name });
  const same = before.metadata.resourceVersion === after.metadata.resourceVersion;
  rows.push({ name, bytes, first: established - start, create: created - start, again: applied - again, same });
}

const ms = (value) => value.toFixed(0).padStart(8);
console.log(
  `${'definition'.padEnd(50)}${'kB'.padStart(8)}${'apply ms'.padStart(10)}${'served ms'.padStart(10)}${'again ms'.padStart(10)}  unchanged`,
);
for (const { name, bytes, create, first, again, same } of rows.toSorted((a, b) => b.bytes - a.bytes).slice(0, 12))
  console.log(
    `${name.padEnd(50)}${ms(bytes / 1000)}  ${ms(create)}  ${ms(first)}  ${ms(again)}  ${same ? 'yes' : 'NO'}`,
  );
const changed = rows.filter(({ same }) => !same);
console.log(`${rows.length} definitions, ${changed.length} changed by a second apply`);
await controller.stop();
informers.stop?.();
source.close();
process.exit(changed.length > 0 ? 1 : 0);
