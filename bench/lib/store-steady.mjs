/** Writes at a steady rate while the past is being forgotten, and what every slow one waited for. */
import { once } from 'node:events';
import { join } from 'node:path';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { systemClock } from '@trimtab/machinery';
import { openStore } from '@trimtab/store';
import { directoryDisk } from '../../api/store/dist/engine/embedded/disk.js';
import { engineOn } from '../../api/store/dist/engine/embedded/embedded.js';

/** A disk that says when and how long it was asked to sync. */
function timed(disk, spans) {
  const file = (inner) => ({
    write: (bytes, position) => span(spans, 'write', () => inner.write(bytes, position)),
    sync: () => span(spans, 'sync', () => inner.sync()),
    truncate: (length) => inner.truncate(length),
    close: () => inner.close(),
  });
  return {
    place: disk.place,
    names: () => disk.names(),
    read: (...args) => disk.read(...args),
    create: async (name) => file(await disk.create(name)),
    open: async (name) => file(await disk.open(name)),
    rename: (from, to) => disk.rename(from, to),
    remove: (name) => disk.remove(name),
    syncNames: () => span(spans, 'sync of names', () => disk.syncNames()),
  };
}

async function span(spans, what, run) {
  const start = performance.now();
  try {
    return await run();
  } finally {
    spans.push({ what, start, end: performance.now() });
  }
}

/**
 * Gives latencies with their starts, the spans (syncs, garbage collections, late turns) by which a slow write can be explained, and
 * what the disk alone made a probe beside it wait.
 */
export async function steady(directory, { object, objects, rate, seconds, commits }) {
  const spans = [];
  const timedDisk = timed(await directoryDisk(directory), spans);
  const retention = { commits, bytes: 2 ** 40, ageMs: 3_600_000 };
  const store = await openStore({ engine: engineOn(timedDisk), clock: systemClock, retention });
  const put = (n, round) => {
    const of = object(n, round);
    const { namespace, name } = of.metadata;
    return store.commit([{ type: 'put', key: { resource: '/pods', namespace, name }, object: of }]);
  };
  for (let n = 0; n < objects; n += 250)
    await Promise.all(Array.from({ length: Math.min(250, objects - n) }, (_, i) => put(n + i, 0)));
  spans.length = 0;
  const collected = new PerformanceObserver((list) => {
    for (const { startTime, duration, detail } of list.getEntries())
      spans.push({
        what: detail.kind === constants.NODE_PERFORMANCE_GC_MINOR ? 'minor collection' : 'major collection',
        start: startTime,
        end: startTime + duration,
      });
  });
  collected.observe({ entryTypes: ['gc'] });
  const probe = new Worker(new URL('./disk-probe.mjs', import.meta.url), {
    workerData: { file: join(directory, '..', 'probe') },
  });
  let turn = performance.now();
  const turns = setInterval(() => {
    const now = performance.now();
    if (now - turn > 12) spans.push({ what: 'event loop', start: turn, end: now });
    turn = now;
  }, 2);
  const writes = [];
  const begin = performance.now();
  let compactions = 0;
  let floor = store.compacted;
  for (let n = 0; n < rate * seconds; ) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - begin) * rate) / 1000));
    for (; n < due; n++) {
      // When it was due, not when there was time for it: a stall counts for all it held up.
      const start = begin + (n * 1000) / rate;
      writes.push(put((n * 7919) % objects, n).then(() => ({ start, ms: performance.now() - start })));
    }
    if (store.compacted > floor) {
      compactions++;
      floor = store.compacted;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const done = await Promise.all(writes);
  clearInterval(turns);
  const stopped = once(probe, 'message');
  probe.postMessage('stop');
  const [alone] = await stopped;
  await new Promise((resolve) => setTimeout(resolve, 10));
  collected.disconnect();
  const bytes = store.health.bytes;
  await store.close();
  return {
    writes: done.map(({ start, ms }) => ({ at: start - begin, ms, causes: causesOf(spans, start, start + ms) })),
    spans,
    disk: alone,
    compactions,
    bytes,
  };
}

/** What lasted longest while a write waited. */
function causesOf(spans, start, end) {
  return spans
    .map(({ what, start: from, end: to }) => ({ what, ms: Math.min(end, to) - Math.max(start, from) }))
    .filter(({ ms }) => ms > 5)
    .sort((a, b) => b.ms - a.ms)
    .slice(0, 3);
}
