import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * Loaded into a measured Node by `--import`: at SIGUSR2 it writes how late its event loop came since the last time (milliseconds
 * beyond its 1 ms beat) to the file named by `LOOP_DELAY_FILE`, and begins anew.
 */
const histogram = monitorEventLoopDelay({ resolution: 1 });
histogram.enable();
process.on('SIGUSR2', () => {
  const late = (nanos) => Math.max(nanos / 1e6 - 1, 0);
  const told = {
    p50: late(histogram.percentile(50)),
    p99: late(histogram.percentile(99)),
    max: late(histogram.max),
    beats: histogram.count,
  };
  histogram.reset();
  writeFileSync(process.env.LOOP_DELAY_FILE, JSON.stringify(told));
});
