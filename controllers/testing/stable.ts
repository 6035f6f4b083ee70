import { type Duration, elapsed, milliseconds } from './world/duration.js';
import { traceLine } from './world/trace.js';
import type { World } from './world/world.js';

/** Of a timeline in which the same comes over and over. */
const FEW = 6;

export interface StableOptions {
  /** What must hold once things have settled, and at every change from then on. */
  readonly matches?: (w: World) => unknown;
  /** When it must have settled; default 1 h. */
  readonly within?: Duration;
  /** How long it must stay so, with nothing written; default 24 h. */
  readonly rest?: Duration;
}

/**
 * Eventually stable reconciliation (Anvil): the world settles, it then is as it should be, and it stays so: for a day no
 * controller under test asks for a single write, and not when every object is looked at once more either: what they would then
 * write, an event should have made them write before, and a predicate, a mapping or a missing watch has hidden it. Rejects with the
 * timeline of what it did instead.
 */
export async function expectStable(w: World, options: StableOptions = {}): Promise<void> {
  const { matches = () => true, within = '1h', rest = '24h' } = options;
  await w.settle({ within });
  const failing = w.processes.flatMap((process) => process.failing);
  if (failing.length > 0)
    throw new Error(
      `settled, but with decisions that fail:\n${failing.map((each) => `  ${each}`).join('\n')}\n${w.timeline(FEW)}`,
    );
  if (!(await matches(w))) throw new Error(`settled, but not as it should be: ${String(matches)}\n${w.timeline()}`);
  const asked = () => w.processes.reduce((sum, process) => sum + process.writes, 0);
  const before = asked();
  const since = w.trace.entries.length;
  const start = w.clock.now();
  const end = start + milliseconds(rest);
  // Step by step at first, so that what goes on is named when it begins, not after a day of it.
  for (let step = 60_000; w.clock.now() < end; step *= 2) {
    await w.pass(Math.min(step, end - w.clock.now()));
    const writes = asked() - before;
    if (writes > 0)
      throw new Error(
        `${writes} writes asked for at rest, within ${elapsed(w.clock.now(), start)} of having settled\n` +
          w.trace.entries
            .slice(since, since + 40)
            .map((entry) => traceLine(entry, w.trace.start))
            .join('\n'),
      );
  }
  await unasked(w);
  if (!(await matches(w))) throw new Error(`did not stay as it should be: ${String(matches)}\n${w.timeline()}`);
}

const LOOK_MS = 60_000;

async function unasked(w: World): Promise<void> {
  const asked = () => w.processes.reduce((sum, process) => sum + process.writes, 0);
  const before = asked();
  const since = w.trace.entries.length;
  for (const process of w.processes) process.lookAgain();
  await w.pass(LOOK_MS);
  const writes = asked() - before;
  if (writes === 0) return;
  const entries = w.trace.entries.slice(since);
  const first = entries.findIndex((entry) => entry.type === 'write' || entry.type === 'refused');
  throw new Error(
    `${writes} writes asked for when looked at once more with nothing changed: some event that called for them was hidden by a predicate, a mapping, or a watch that is not declared\n` +
      entries
        .slice(Math.max(0, first - 5), first + 20)
        .map((entry) => traceLine(entry, w.trace.start))
        .join('\n'),
  );
}
