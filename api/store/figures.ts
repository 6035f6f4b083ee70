import type { Operation, WriteFigures } from './store.js';

/** Upper bounds of a commit's duration in seconds, as Kubernetes has them (apiserver: storage/etcd3/metrics). */
export const durationBounds: readonly number[] = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

interface Sum {
  count: number;
  errors: number;
  seconds: number;
  /** How many took no longer than the bound of the same place, and longer than the one before. */
  readonly within: number[];
}

/** How many commits were asked for and how long they took, summed up; looked at when somebody asks. */
export class CommitFigures {
  readonly #sums = new Map<string, Map<WriteFigures['operation'], Sum>>();

  /** A commit of several operations counts as its first that changes something. */
  note(operations: readonly Operation[], ms: number, failed: boolean): void {
    const first = operations.find(({ type }) => type !== 'check');
    if (first === undefined) return;
    const of = this.#sums.get(first.key.resource) ?? new Map<WriteFigures['operation'], Sum>();
    this.#sums.set(first.key.resource, of);
    const operation = first.type === 'delete' ? 'delete' : first.expect === 0 ? 'create' : 'update';
    const sum = of.get(operation) ?? { count: 0, errors: 0, seconds: 0, within: durationBounds.map(() => 0) };
    of.set(operation, sum);
    sum.count++;
    if (failed) sum.errors++;
    sum.seconds += ms / 1000;
    const place = durationBounds.findIndex((bound) => ms <= bound * 1000);
    if (place >= 0) sum.within[place]!++;
  }

  *all(): Iterable<WriteFigures> {
    for (const [resource, of] of this.#sums)
      for (const [operation, { count, errors, seconds, within }] of of) {
        let sum = 0;
        const cumulative = within.map((value) => {
          sum += value;
          return sum;
        });
        yield { resource, operation, count, errors, seconds, within: cumulative };
      }
  }
}
