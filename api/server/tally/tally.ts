/** What is counted (no buckets) or measured (buckets, ascending). */
export interface Figure {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

/** The sum of all that was noted under the same label values. */
export interface Cell {
  readonly values: readonly string[];
  count: number;
  sum: number;
  /** How many were at most the bucket's bound and more than the one before; empty where the figure has no buckets. */
  readonly within: number[];
}

/**
 * Counts in plain numbers: noting something costs a lookup, so that every request may be counted many times over; text is made
 * by who is asked for it. Label values must come from small sets, for each combination is kept for ever.
 */
export class Tally {
  readonly #figures = new Map<Figure, Map<string, Cell>>();

  count(figure: Figure, values: readonly string[], by = 1): void {
    this.cell(figure, values).count += by;
  }

  observe(figure: Figure, values: readonly string[], value: number): void {
    this.note(figure, this.cell(figure, values), value);
  }

  /** As {@link observe}, by who has kept the figure's cell. */
  note({ buckets = [] }: Figure, cell: Cell, value: number): void {
    cell.count++;
    cell.sum += value;
    for (let i = 0; i < buckets.length; i++)
      if (value <= buckets[i]!) {
        cell.within[i]!++;
        return;
      }
  }

  cell(figure: Figure, values: readonly string[]): Cell {
    let cells = this.#figures.get(figure);
    if (!cells) {
      cells = new Map();
      this.#figures.set(figure, cells);
    }
    let key = '';
    for (const value of values) key += `${value}\0`;
    let cell = cells.get(key);
    if (!cell) {
      cell = { values, count: 0, sum: 0, within: (figure.buckets ?? []).map(() => 0) };
      cells.set(key, cell);
    }
    return cell;
  }

  cells(figure: Figure): Iterable<Cell> {
    return this.#figures.get(figure)?.values() ?? [];
  }
}
