import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { createRequire } from 'node:module';
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics, writeHeapSnapshot } from 'node:v8';

/**
 * `trimtab up` as it is, API over HTTPS, controllers, scheduler and simulated nodes in one process, which tells over the channel
 * of `fork` what only the inside knows: how late its event loop runs, what the garbage collector takes, what the heap holds.
 */
const RESOLUTION_MS = 5;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
let pauses = [];
const KINDS = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weak',
};
new PerformanceObserver((list) => {
  for (const { duration, detail } of list.getEntries()) pauses.push([KINDS[detail.kind] ?? '?', duration]);
}).observe({ entryTypes: ['gc'] });

let cpuBefore = process.cpuUsage();
let profiler;
const late = (nanos) => Math.max(0, nanos / 1e6 - RESOLUTION_MS);
const commands = {
  /** Since the last time of asking: delays of the event loop beyond its period, pauses, processor time; and memory now. */
  take() {
    const { user, system } = process.cpuUsage(cpuBefore);
    cpuBefore = process.cpuUsage();
    const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
    const value = {
      delay: Object.fromEntries([50, 90, 99, 99.9, 100].map((p) => [p, late(delay.percentile(p))])),
      pauses,
      cpuMs: (user + system) / 1000,
      memory: { rss, heapUsed, heapTotal, external, arrayBuffers, malloced: getHeapStatistics().malloced_memory },
    };
    delay.reset();
    pauses = [];
    return value;
  },
  memory: () => process.memoryUsage(),
  collect: () => globalThis.gc?.(),
  snapshot: (file) => writeHeapSnapshot(file),
  async profile() {
    profiler = new Session();
    profiler.connect();
    await profiler.post('Profiler.enable');
    await profiler.post('Profiler.setSamplingInterval', { interval: 500 });
    await profiler.post('Profiler.start');
  },
  async profiled(file) {
    const { profile } = await profiler.post('Profiler.stop');
    profiler.disconnect();
    writeFileSync(file, JSON.stringify(profile));
  },
};
process.on('message', async ({ id, command, argument }) => {
  process.send({ id, value: await commands[command](argument) });
});
process.on('disconnect', () => process.exit(0));
const { run } = process.env.TRIMTAB_BENCH_MODULES
  ? await import('../../cli/dist/main.js')
  : createRequire(import.meta.url)('../../cli/dist/bundle/main.cjs');
await run(['node', 'trimtab', 'up', ...process.argv.slice(2), '--output', 'json']);
