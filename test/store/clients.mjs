/**
 * Clients of a store that say everything they do and see, a JSON value a line, before and after each call: for a checker to judge.
 */
import { writeSync } from 'node:fs';
import { ConflictError, UnknownOutcomeError } from '../../api/store/dist/index.js';

export const say = (value) => writeSync(1, `${JSON.stringify(value)}\n`);
/** Of one clock for all processes of a machine, in milliseconds. */
export const now = () => Number(process.hrtime.bigint()) / 1e6;

const RESOURCES = ['/pods', '/secrets'];
const keys = RESOURCES.flatMap((resource) =>
  ['a', 'b'].flatMap((namespace) => ['x', 'y', 'z'].map((name) => ({ resource, namespace, name }))),
);
const text = ({ resource, namespace, name }) => `${resource}/${namespace}/${name}`;
const contentOf = (object) => object.value;

/** A repeatable source of chance in [0, 1). */
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Clients of one store; `name` begins the ids of what they do, `pace` is how long they think between things, in milliseconds. */
export function clientsOf(store, { name, random, pace = 1 }) {
  const pick = (items) => items[Math.floor(random() * items.length)];
  let count = 0;
  let end = 0;
  const runFor = (millis) => {
    end = now() + millis;
  };
  return { runFor, everything, tellPersisted, writer, reader, watcher };

  function everything() {
    return RESOURCES.flatMap((resource) =>
      [...store.snapshot().range({ resource })].map(({ key, revision, object }) => [
        text(key),
        revision,
        contentOf(object),
      ]),
    );
  }

  /** Everything the store remembers after a revision. */
  function tellPersisted(since) {
    const persisted = [];
    for (const resource of RESOURCES)
      store
        .watch({ resource }, since)
        .subscribe(({ revision, key, type, object }) =>
          persisted.push([revision, text(key), type === 'put' ? contentOf(object) : null]),
        )
        .unsubscribe();
    for (const [revision, key, value] of persisted.sort(([a], [b]) => a - b))
      say({ t: 'persisted', revision, key, value });
  }

  async function writer(n) {
    while (now() < end) {
      const id = `${name}.${n}.${count++}`;
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
        if (error instanceof UnknownOutcomeError) continue;
        if (error instanceof ConflictError)
          say({ t: 'done', id, end: now(), answer: { conflict: { key: text(error.key), actual: error.actual } } });
        else {
          say({ t: 'done', id, end: now(), answer: { refused: error.message } });
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      }
      if (random() < 0.1) await new Promise((resolve) => setTimeout(resolve, random() * 3 * pace));
    }
  }

  async function reader(n) {
    while (now() < end) {
      const start = now();
      if (store.shared) await store.latest();
      const { revision } = store.snapshot();
      const read = { t: 'read', id: `${name}.r${n}.${count++}`, start, revision, entries: everything() };
      say({ ...read, end: now() });
      await new Promise((resolve) => setTimeout(resolve, (1 + random() * 6) * pace));
    }
  }

  async function watcher(n) {
    while (now() < end) {
      const from = Math.max(store.compacted, store.revision - Math.floor(random() * 100));
      const key = pick(keys);
      const scope = pick([{ resource: key.resource }, { resource: key.resource, namespace: key.namespace }, key]);
      const prefix = scope === key ? text(key) : `${scope.resource}/${scope.namespace ? `${scope.namespace}/` : ''}`;
      const id = `${name}.w${n}.${count++}`;
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
}
