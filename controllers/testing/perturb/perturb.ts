import { maskOf } from './canonical.js';
import { type Baseline, judge, judgeClean } from './oracles.js';
import { type Plan, parseReplay, replayLine } from './plan.js';
import { trialsFor } from './plans.js';
import { Divergence } from './report.js';
import { play } from './run.js';
import type { PerturbOptions, Scenario } from './scenario.js';

/** How a scenario came through. */
export interface PerturbReport {
  readonly seed: number;
  /** Runs with faults. */
  readonly plans: number;
  readonly divergences: readonly Divergence[];
  /** Empty when nothing diverged. */
  text(options?: { readonly colour?: boolean }): string;
  /** Throws the text of the report when anything diverged. */
  expectNoDivergence(): void;
}

const DEFAULT_FAILURES = 3;
const CLEAN_RUNS = 3;

/** Clean runs of the same story: the first is what others are held against, all together say what is left to chance. */
function baselineOf(scenario: Scenario, seed: number): Promise<Baseline | Divergence> {
  const of = baselines.get(scenario) ?? new Map<number, Promise<Baseline | Divergence>>();
  baselines.set(scenario, of);
  const known = of.get(seed) ?? playClean(scenario, seed);
  // Hunts over many seeds come back to the latest only.
  if (of.size >= MOST_BASELINES) of.clear();
  of.set(seed, known);
  return known;
}

const MOST_BASELINES = 8;
/** By scenario and seed: many lines of one story are replayed against the same clean runs. */
const baselines = new WeakMap<Scenario, Map<number, Promise<Baseline | Divergence>>>();

async function playClean(scenario: Scenario, seed: number): Promise<Baseline | Divergence> {
  const run = await play(scenario, seed, []);
  const wrong = judgeClean(run, scenario.tolerates);
  if (wrong.length > 0) {
    const full = await play(scenario, seed, [], true);
    return new Divergence(seed, [], wrong, full, undefined);
  }
  const mask = new Set<string>();
  for (let other = 1; other < CLEAN_RUNS; other++) {
    const { state } = await play(scenario, seed + other * 1_000_003, []);
    for (const path of maskOf(run.state, state)) mask.add(path);
  }
  return { run, mask };
}

/**
 * Plays a scenario clean, and then once for every single fault and for pairs of faults within a budget, each in a world of
 * its own. Whatever goes wrong, the end must be that of a clean run, and nothing on the way worse than the oracles allow.
 * A pair that fails is shrunk to one of its faults where that is enough.
 */
export async function perturb(scenario: Scenario, options: PerturbOptions = {}): Promise<PerturbReport> {
  const { seed = 1, failures = DEFAULT_FAILURES } = options;
  const baseline = await baselineOf(scenario, seed);
  if (baseline instanceof Divergence) return report(seed, 0, [baseline]);
  const divergences: Divergence[] = [];
  const known = new Set<string>();
  let plans = 0;
  for (const { seed: its, plan } of trialsFor(baseline.run, scenario, options)) {
    if (divergences.length >= failures) break;
    plans++;
    if (judge(baseline, await play(scenario, its, plan), scenario.tolerates).length === 0) continue;
    // What is told of must go wrong again when it is replayed: against clean runs of its own seed.
    const own = its === seed ? baseline : await baselineOf(scenario, its);
    if (own instanceof Divergence) {
      divergences.push(own);
      continue;
    }
    const smallest = await shrunk(scenario, own, its, plan);
    const line = replayLine(its, smallest);
    if (known.has(line)) continue;
    known.add(line);
    const divergence = await told(scenario, own, its, smallest);
    if (divergence.findings.length > 0) divergences.push(divergence);
  }
  return report(seed, plans, divergences);
}

/** Plays the one run a line of a report names: `perturb replay: seed=7 plan=crash-after@write3`. */
export async function replay(scenario: Scenario, line: string): Promise<PerturbReport> {
  const { seed, plan } = parseReplay(line);
  const baseline = await baselineOf(scenario, seed);
  if (baseline instanceof Divergence) return report(seed, 0, [baseline]);
  const wrong = judge(baseline, await play(scenario, seed, plan), scenario.tolerates);
  return report(seed, 1, wrong.length > 0 ? [await told(scenario, baseline, seed, plan)] : []);
}

async function shrunk(scenario: Scenario, baseline: Baseline, seed: number, plan: Plan): Promise<Plan> {
  if (plan.length < 2) return plan;
  for (const fault of plan) {
    const run = await play(scenario, seed, [fault]);
    if (judge(baseline, run, scenario.tolerates).length > 0) return [fault];
  }
  return plan;
}

/** The run once more, with everything written down. */
async function told(scenario: Scenario, baseline: Baseline, seed: number, plan: Plan): Promise<Divergence> {
  const run = await play(scenario, seed, plan, true);
  return new Divergence(seed, plan, judge(baseline, run, scenario.tolerates), run, baseline.run);
}

function report(seed: number, plans: number, divergences: readonly Divergence[]): PerturbReport {
  const text = ({ colour = false } = {}) => divergences.map((d) => d.text({ colour })).join('\n\n');
  return {
    seed,
    plans,
    divergences,
    text,
    expectNoDivergence() {
      if (divergences.length > 0) throw new Error(text());
    },
  };
}
