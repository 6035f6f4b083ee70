import type { Metric, Registry as MetricsRegistry } from 'prom-client';
import type { Cell, Figure, Tally } from './tally.js';

/** A histogram's lines as the exposition format has them; `upTo` says how many were at most each bound. */
export function histogramValues(
  name: string,
  labels: Readonly<Record<string, string | number>>,
  bounds: readonly number[],
  { upTo, count, sum }: { readonly upTo: readonly number[]; readonly count: number; readonly sum: number },
) {
  return [
    ...bounds.map((le, i) => ({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: upTo[i]! })),
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count },
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

function cumulated({ within }: Cell): readonly number[] {
  let sum = 0;
  return within.map((count) => {
    sum += count;
    return sum;
  });
}

/** Makes what the tallies hold part of a registry's text; they are read when it is asked for. */
export function exposeTallies(registry: MetricsRegistry, all: readonly Figure[], tallies: readonly Tally[]): void {
  for (const figure of all) {
    const { name, help, buckets } = figure;
    const values = () =>
      tallies
        .flatMap((tally) => [...tally.cells(figure)])
        .flatMap((cell) => {
          const labels: Readonly<Record<string, string | number>> = Object.fromEntries(
            figure.labels.map((label, i) => [label, cell.values[i] ?? '']),
          );
          return buckets
            ? histogramValues(name, labels, buckets, { ...cell, upTo: cumulated(cell) })
            : [{ labels, value: cell.count }];
        });
    const get = async () => ({
      name,
      help,
      type: buckets ? 'histogram' : 'counter',
      aggregator: 'sum',
      values: values(),
    });
    registry.registerMetric({ name, get, getForPromString: get } as unknown as Metric);
  }
}
