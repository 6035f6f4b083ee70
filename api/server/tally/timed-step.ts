import type { Clock } from '@trimtab/machinery';
import { figures } from './figures.js';
import type { Cell, Tally } from './tally.js';

/** Cells of plugins that refused nothing, by plugin: every write asks a dozen of them twice. */
class PluginCells {
  static readonly #all = new WeakMap<Tally, Map<string, PluginCells>>();
  readonly #cells = new Map<string, Cell>();
  #step: Cell | undefined;

  private constructor(
    readonly tally: Tally,
    readonly operation: string,
    readonly type: string,
  ) {}

  static of(tally: Tally, operation: string, type: string): PluginCells {
    const all = PluginCells.#all.get(tally) ?? new Map<string, PluginCells>();
    PluginCells.#all.set(tally, all);
    const key = `${operation} ${type}`;
    const cells = all.get(key) ?? new PluginCells(tally, operation, type);
    all.set(key, cells);
    return cells;
  }

  /** Of the step as a whole. */
  get step(): Cell {
    this.#step ??= this.tally.cell(figures.admissionSteps, [this.operation, 'false', this.type]);
    return this.#step;
  }

  get(name: string): Cell {
    let cell = this.#cells.get(name);
    if (!cell) {
      cell = this.tally.cell(figures.admissionControllers, [name, this.operation, 'false', this.type]);
      this.#cells.set(name, cell);
    }
    return cell;
  }
}

/** Times the plugins of one step of one write, and the step; a plugin that was begun and not ended has refused. */
export class TimedStep {
  readonly #start: number;
  readonly #cells: PluginCells;
  #since: number;
  #name: string | undefined;

  constructor(
    readonly parts: { readonly clock: Clock; readonly tally: Tally },
    readonly operation: string,
    readonly type: 'admit' | 'validate',
  ) {
    this.#start = parts.clock.now();
    this.#since = this.#start;
    this.#cells = PluginCells.of(parts.tally, operation, type);
  }

  begin({ name }: { readonly name: string }): void {
    this.#name = name;
  }

  end(): void {
    this.#note(this.#cells.get(this.#name!));
    this.#name = undefined;
  }

  over(): void {
    const { tally, clock } = this.parts;
    const seconds = (clock.now() - this.#start) / 1000;
    if (this.#name === undefined) tally.note(figures.admissionSteps, this.#cells.step, seconds);
    else {
      this.#note(tally.cell(figures.admissionControllers, [this.#name, this.operation, 'true', this.type]));
      tally.observe(figures.admissionSteps, [this.operation, 'true', this.type], seconds);
    }
  }

  /** One reading of the clock a plugin: one ends when the next begins. */
  #note(cell: Cell): void {
    const { tally, clock } = this.parts;
    const now = clock.now();
    tally.note(figures.admissionControllers, cell, (now - this.#since) / 1000);
    this.#since = now;
  }
}
