import type { Clock } from '@trimtab/machinery';
import type { Metric, Sample } from './exposition.js';

/** Counts and times of one kind of thing, by labels. */
export class Tally {
  readonly #counts = new Map<string, { readonly labels: Sample['labels']; value: number }>();

  add(labels: Sample['labels'], by = 1): void {
    const key = JSON.stringify(labels);
    const known = this.#counts.get(key);
    if (known) known.value += by;
    else this.#counts.set(key, { labels, value: by });
  }

  /** Labels that are gone for good must not be kept for ever. */
  forget(gone: (labels: Sample['labels']) => boolean): void {
    for (const [key, { labels }] of this.#counts) if (gone(labels)) this.#counts.delete(key);
  }

  samples(): readonly Sample[] {
    return [...this.#counts.values()];
  }
}

/** A histogram in the form the text format has it: cumulative buckets, a sum and a count. */
export class Durations {
  readonly #buckets: readonly number[];
  readonly #series = new Map<
    string,
    { readonly labels: Sample['labels']; counts: number[]; sum: number; count: number }
  >();

  /** `buckets`: upper bounds in seconds, rising. */
  constructor(buckets: readonly number[]) {
    this.#buckets = buckets;
  }

  observe(labels: Sample['labels'], seconds: number): void {
    const key = JSON.stringify(labels);
    let series = this.#series.get(key);
    if (!series) {
      series = { labels, counts: this.#buckets.map(() => 0), sum: 0, count: 0 };
      this.#series.set(key, series);
    }
    const at = this.#buckets.findIndex((bound) => seconds <= bound);
    if (at >= 0) series.counts[at]!++;
    series.sum += seconds;
    series.count++;
  }

  /** Its one family; the samples' names end in `_bucket`, `_sum` and `_count`. */
  metrics(name: string, help: string): readonly Metric[] {
    if (this.#series.size === 0) return [];
    const all = [...this.#series.values()];
    const buckets = all.flatMap(({ labels, counts, count }) => {
      let below = 0;
      const bounded = this.#buckets.map((bound, i) => {
        below += counts[i]!;
        return { labels: { ...labels, le: String(bound) }, value: below };
      });
      return [...bounded, { labels: { ...labels, le: '+Inf' }, value: count }];
    });
    return [
      {
        name,
        help,
        type: 'histogram',
        samples: [],
        parts: [
          ['_bucket', buckets],
          ['_sum', all.map(({ labels, sum }) => ({ labels, value: sum }))],
          ['_count', all.map(({ labels, count }) => ({ labels, value: count }))],
        ],
      },
    ];
  }
}

/** Seconds that `work` takes by the clock, given to `told` whether it succeeds or fails. */
export async function timed<T>(
  clock: Clock,
  work: () => Promise<T>,
  told: (seconds: number, failed: boolean) => void,
): Promise<T> {
  const begun = clock.now();
  try {
    const value = await work();
    told((clock.now() - begun) / 1000, false);
    return value;
  } catch (error) {
    told((clock.now() - begun) / 1000, true);
    throw error;
  }
}
