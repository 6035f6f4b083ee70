import { milliseconds } from '../world/duration.js';
import type { TraceEntry } from '../world/trace.js';
import { world } from '../world/world.js';
import { type CanonicalState, canonicalState } from './canonical.js';
import { Injector } from './injector.js';
import { type Plan, planText } from './plan.js';
import type { Oracle, Scenario } from './scenario.js';
import { type RunSummary, summarize } from './summary.js';

export interface Finding {
  readonly oracle: Oracle;
  readonly text: string;
}

/** What one run showed, clean or not. */
export interface Run {
  readonly plan: Plan;
  readonly state: CanonicalState;
  readonly summary: RunSummary;
  /** What is wrong whatever a clean run does. */
  readonly findings: readonly Finding[];
  readonly writes: number;
  readonly events: number;
  /** Which of the writes was the first deletion. */
  readonly firstDeletion: number | undefined;
  /** Writes asked for at rest. */
  readonly restless: number;
  readonly reconciles: number;
  readonly thrown: readonly string[];
  readonly entries: readonly TraceEntry[];
  readonly start: number;
}

const REST = '15m';
/** What no story needs; more is a loop, however slow. */
const MOST_WRITES = 500;
/** More looks at one object that nothing has happened to are polling. */
const POLLS_A_MINUTE = 20;
const IGNORED = ['events', 'leases'];

/** Plays a scenario once with these faults. With `trace` everything that happens is kept, for people to read. */
export async function play(scenario: Scenario, seed: number, plan: Plan, trace = false): Promise<Run> {
  const { controllers, ...rest } = typeof scenario.world === 'function' ? scenario.world() : scenario.world;
  const w = await world({ ...rest, seed, trace });
  const spawn = (name: string) => {
    const spawned = w.spawn(name, controllers);
    spawned.mostWrites = scenario.mostWrites ?? MOST_WRITES;
    return spawned;
  };
  const process = spawn('controllers');
  const replicas = [process];
  const injector = new Injector(
    w,
    process,
    () => {
      const other = spawn(`controllers-${replicas.length + 1}`);
      replicas.push(other);
      return other;
    },
    plan,
  );
  w.trace.add({ type: 'step', at: w.clock.now(), actor: 'test', message: `plan ${planText(plan)}` });
  process.start(injector.faults);
  const findings: Finding[] = [];
  let restless = 0;
  const guarded = async (what: () => Promise<void>) => {
    try {
      await what();
    } catch (error) {
      const looping = replicas.some(({ hotLoop }) => hotLoop !== undefined);
      if (!looping) findings.push({ oracle: 'workload', text: firstLines(error) });
    }
  };
  await w.pass();
  await guarded(async () => {
    await scenario.workload(w);
    await w.settle();
    const before = injector.writes;
    const looked = new Map(process.looks);
    const rest = milliseconds(scenario.rest ?? REST);
    await w.pass(rest);
    restless = injector.writes - before;
    const most = (POLLS_A_MINUTE * rest) / 60_000;
    for (const [what, looks] of process.looks)
      if (looks - (looked.get(what) ?? 0) > most)
        findings.push({ oracle: 'rest', text: `${looks - (looked.get(what) ?? 0)} looks at ${what} at rest` });
    await scenario.finally?.(w);
  });
  for (const { hotLoop } of replicas) if (hotLoop) findings.push({ oracle: 'hot-loop', text: hotLoop });
  const always = scenario.always?.();
  for (const entry of always ? w.trace.writes : []) {
    const wrong = always!(entry);
    if (wrong === undefined) continue;
    findings.push({ oracle: 'always', text: `${wrong} (at revision ${entry.revision})` });
    break;
  }
  const run: Run = {
    plan,
    state: canonicalState(w.trace.writes, new Set([...IGNORED, ...(scenario.ignore ?? [])])),
    summary: summarize(w.trace.writes, (actor) => actor.startsWith('controllers'), process.kinds),
    findings,
    writes: injector.writes,
    events: injector.events,
    firstDeletion: injector.firstDeletion,
    restless,
    reconciles: replicas.reduce((sum, r) => sum + r.reconciles, 0),
    thrown: replicas.flatMap((r) => r.thrown),
    entries: w.trace.entries,
    start: w.trace.start,
  };
  await w.close();
  return run;
}

function firstLines(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n').slice(0, 3).join(' ');
}
