import { seededRandom } from '@trimtab/machinery';
import { EVENT_FAULTS, type Fault, type FaultKind, type Plan, RUN_FAULTS, WRITE_FAULTS } from './plan.js';
import type { PerturbOptions, Scenario } from './scenario.js';

/** What a clean run offers to go wrong. */
export interface Occasions {
  readonly writes: number;
  readonly events: number;
  /** The first write that is a deletion. */
  readonly firstDeletion: number | undefined;
}

const DEFAULT_PLANS = 500;
const DEFAULT_PAIRS = 20;

/** A run to be made. */
export interface Trial {
  readonly seed: number;
  readonly plan: Plan;
}

/**
 * Every single fault (evenly thinned out to the budget), then pairs drawn by the seed, then as many further seeds as asked
 * for, each with what it draws.
 */
export function trialsFor(
  occasions: Occasions,
  scenario: Pick<Scenario, 'without'>,
  options: PerturbOptions,
): readonly Trial[] {
  const { seed = 1, seeds = 0, plans = DEFAULT_PLANS } = options;
  const singles = singlesFor(occasions, scenario, options);
  // Two that work at a time, one of them with a late view, is `stale-leader` by another name: only fencing helps against it.
  const pairable = singles.filter(({ kind }) => kind !== 'replica');
  const drawnBy = (by: number) => {
    const random = seededRandom(by * 31 + 7);
    return () => pairable[Math.floor(random.next() * pairable.length)]!;
  };
  const pick = drawnBy(seed);
  const pairs = pairable.length < 2 ? 0 : (options.pairs ?? DEFAULT_PAIRS);
  return [
    ...thinned(singles, plans).map((fault) => ({ seed, plan: [fault] })),
    ...Array.from({ length: pairs }, () => ({ seed, plan: [pick(), pick()] })),
    ...Array.from({ length: pairable.length === 0 ? 0 : seeds }, (_, i) => {
      const own = seed + i + 1;
      const draw = drawnBy(own);
      return { seed: own, plan: own % 2 === 0 ? [draw()] : [draw(), draw()] };
    }),
  ];
}

function singlesFor(
  { writes, events, firstDeletion = Number.POSITIVE_INFINITY }: Occasions,
  scenario: Pick<Scenario, 'without'>,
  options: PerturbOptions,
): readonly Fault[] {
  const wanted = (kind: FaultKind) =>
    !scenario.without?.includes(kind) && (options.faults ? options.faults.includes(kind) : kind !== 'stale-leader');
  const each = <K extends FaultKind>(kinds: readonly K[], count: number): Fault[] =>
    Array.from({ length: count }, (_, i) => kinds.filter(wanted).map((kind) => ({ kind, at: i + 1 })))
      .flat()
      // Before anything is deleted there is nothing to go back behind.
      .filter(({ kind, at }) => kind !== 'rewind' || at > firstDeletion);
  return [
    ...RUN_FAULTS.filter(wanted).map((kind) => ({ kind, at: 0 })),
    ...each(WRITE_FAULTS, writes),
    ...each(EVENT_FAULTS, events),
  ];
}

function thinned<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all;
  // A step that shares no factor with the number of kinds meets every kind at every place sooner or later.
  return Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)]!);
}
