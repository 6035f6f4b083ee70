/**
 * One life of a store: opens it, tells what it holds, and lets clients write, read and watch until it is killed or its time is up.
 * Everything it does and sees goes to standard output, a JSON value a line, written before and after each call.
 */
import { writeSync } from 'node:fs';
import { directoryDisk } from '../../api/store/dist/engine/embedded/disk.js';
import { engineOn } from '../../api/store/dist/engine/embedded/embedded.js';
import { ConflictError, openStore } from '../../api/store/dist/index.js';
import { withFailpoints } from './failpoints.mjs';

const { directory, since, seed, plan, millis, cycle } = JSON.parse(process.argv[2]);
const say = (value) => writeSync(1, `${JSON.stringify(value)}\n`);
const now = () => performance.timeOrigin + performance.now();
let state = seed;
const random = () => {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const pick = (items) => items[Math.floor(random() * items.length)];

const RESOURCES = ['/pods', '/secrets'];
const keys = RESOURCES.flatMap((resource) =>
  ['a', 'b'].flatMap((namespace) => ['x', 'y', 'z'].map((name) => ({ resource, namespace, name }))),
);
const text = ({ resource, namespace, name }) => `${resource}/${namespace}/${name}`;
const contentOf = (object) => object.value;

const clock = {
  now: () => Date.now(),
  after: (ms, fn) => {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};
const disk = withFailpoints(await directoryDisk(directory), plan);
const engine = engineOn(disk, { segmentBytes: { least: 16_384, most: 65_536 } });
const store = await openStore({ engine, clock, retention: { commits: 1e6, bytes: 1e9, ageMs: 1e9 } });
const opened = store.revision;

say({ t: 'opened', revision: opened, compacted: store.compacted, entries: everything() });
const persisted = [];
for (const resource of RESOURCES)
  store
    .watch({ resource }, since)
    .subscribe(({ revision, key, type, object }) =>
      persisted.push([revision, text(key), type === 'put' ? contentOf(object) : null]),
    )
    .unsubscribe();
for (const [revision, key, value] of persisted.sort(([a], [b]) => a - b)) say({ t: 'persisted', revision, key, value });
say({ t: 'ready' });

const end = now() + millis;
let count = 0;
await Promise.all([...[1, 2, 3, 4, 5, 6].map(writer), ...[1, 2].map(reader), ...[1, 2, 3].map(watcher), compactor()]);
await store.close();
say({ t: 'closed' });

function everything() {
  return RESOURCES.flatMap((resource) =>
    [...store.snapshot().range({ resource })].map(({ key, revision, object }) => [
      text(key),
      revision,
      contentOf(object),
    ]),
  );
}

async function writer(n) {
  while (now() < end) {
    const id = `${cycle}.${n}.${count++}`;
    const chosen = [...new Set(Array.from({ length: random() < 0.3 ? 3 : 1 }, () => pick(keys)))];
    const operations = chosen.map((key, i) => {
      const current = store.pending(key);
      const expect = random() < 0.5 ? (current?.revision ?? 0) : random() < 0.2 ? 0 : undefined;
      if (random() < 0.25 && current !== undefined) return { type: 'delete', key, expect: current.revision };
      const value = `${id}.${i}.${'v'.repeat(random() * random() * 6000)}`;
      return { type: 'put', key, expect, object: { metadata: { name: key.name }, value } };
    });
    const request = {
      expects: operations.filter((o) => o.expect !== undefined).map((o) => [text(o.key), o.expect]),
      changes: operations.map((o) => [text(o.key), o.type === 'put' ? o.object.value : null]),
    };
    // Deletions alone cannot be told apart by their value.
    if (request.changes.every(([, value]) => value === null)) {
      const key = { resource: '/pods', namespace: 'mark', name: String(n) };
      operations.push({ type: 'put', key, object: { metadata: { name: key.name }, value: id } });
      request.changes.push([text(key), id]);
    }
    say({ t: 'call', id, start: now(), request });
    try {
      const { revision } = await store.commit(operations);
      say({ t: 'done', id, end: now(), answer: { revision } });
    } catch (error) {
      if (error instanceof ConflictError)
        say({ t: 'done', id, end: now(), answer: { conflict: { key: text(error.key), actual: error.actual } } });
      else {
        say({ t: 'done', id, end: now(), answer: { refused: error.message } });
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
    if (random() < 0.1) await new Promise((resolve) => setTimeout(resolve, random() * 3));
  }
}

async function reader(n) {
  while (now() < end) {
    const start = now();
    const { revision } = store.snapshot();
    const read = { t: 'read', id: `${cycle}.r${n}.${count++}`, start, revision, entries: everything() };
    say({ ...read, end: now() });
    await new Promise((resolve) => setTimeout(resolve, 1 + random() * 6));
  }
}

async function watcher(n) {
  while (now() < end) {
    const from = Math.max(store.compacted, store.revision - Math.floor(random() * 100));
    const key = pick(keys);
    const scope = pick([{ resource: key.resource }, { resource: key.resource, namespace: key.namespace }, key]);
    const prefix = scope === key ? text(key) : `${scope.resource}/${scope.namespace ? `${scope.namespace}/` : ''}`;
    const id = `${cycle}.w${n}.${count++}`;
    say({ t: 'watch', id, from, prefix });
    const subscription = store.watch(scope, from).subscribe({
      next: ({ revision, key: k, type, object, previous }) =>
        say({
          t: 'event',
          id,
          revision,
          key: text(k),
          value: type === 'put' ? contentOf(object) : null,
          previous: previous === undefined ? null : contentOf(previous),
        }),
      error: (error) => say({ t: 'failed', id, message: error.message }),
    });
    await new Promise((resolve) => setTimeout(resolve, random() * 25));
    if (random() < 0.7) say({ t: 'bookmark', id, revision: Math.max(from, store.revision) });
    await new Promise((resolve) => setTimeout(resolve, random() * 15));
    subscription.unsubscribe();
  }
}

/** Only what has been told above may be forgotten. */
async function compactor() {
  while (now() < end) {
    await new Promise((resolve) => setTimeout(resolve, random() * 20));
    await store.compact(Math.min(opened, store.revision - 50));
  }
}
