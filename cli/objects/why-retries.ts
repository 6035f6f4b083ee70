import { retriesOf } from '@trimtab/framework';
import { humanDuration, type KubeObject, timestamp } from '@trimtab/machinery';
import { oneLine } from './why-exits.js';

/** What controllers have written down on an object of their failing at it, in words; none where nothing waits. Pure. */
export const retryLines = (title: string, object: KubeObject, now: number): readonly string[] =>
  retriesOf(object).flatMap(({ controller, failures, until, why }) => {
    const when =
      until === undefined
        ? 'does not try again until something changes'
        : until > now
          ? `tries again in ${humanDuration(until - now)}, at ${timestamp(until)}`
          : `was to try again at ${timestamp(until)}: either it is at it, or it does not run`;
    return [
      `${title} waits for ${controller}, which ${when}.`,
      `  It has failed ${failures} time${failures === 1 ? '' : 's'} in a row, the last time with: ${oneLine(why)}`,
    ];
  });
