import { differences, type Mask } from './canonical.js';
import type { FaultKind, Plan } from './plan.js';
import type { Finding, Run } from './run.js';
import type { Oracle } from './scenario.js';

/** What clean runs agree on. */
export interface Baseline {
  readonly run: Run;
  readonly mask: Mask;
}

/**
 * Under these a controller may for a while do what it would not do otherwise: two replicas each act on their own, and a view
 * that does not show an own write of an earlier life cannot be told from one where it never was.
 */
const EXTRAS_ALLOWED: ReadonlySet<FaultKind> = new Set(['replica', 'stale-leader', 'behind', 'rewind']);

/** How much more than a clean run one with faults may ask for: each fault may make it begin anew. */
const WRITES = { factor: 3, more: 30 };
const RECONCILES = { factor: 5, more: 100 };
const SHOWN = 3;

/** Everything wrong with a run, held against a clean one. Pure. */
export function judge({ run: clean, mask }: Baseline, run: Run, tolerates: readonly Oracle[] = []): readonly Finding[] {
  const found: Finding[] = [...run.findings];
  const say = (oracle: Oracle, text: string) => found.push({ oracle, text });
  for (const { text } of differences(clean.state, run.state, mask).slice(0, SHOWN)) say('end-state', text);
  if (!isAllowedExtras(run.plan))
    for (const [group, { peak, creations }] of run.summary.groups) {
      const usual = clean.summary.groups.get(group) ?? { peak: 0, creations: 0 };
      if (isAside(group)) continue;
      if (peak > usual.peak) say('extras', `${group}: ${peak} alive at once, ${usual.peak} in a clean run`);
      else if (creations > usual.creations)
        say('extras', `${group}: ${creations} made, ${usual.creations} in a clean run`);
    }
  for (const group of run.summary.foreign)
    if (!clean.summary.deleted.has(group)) say('foreign-delete', `${group}: deleted, and not theirs`);
  for (const text of run.summary.backwards) if (!clean.summary.backwards.includes(text)) say('backwards', text);
  if (run.restless > clean.restless)
    say('rest', `${run.restless} writes asked for at rest, ${clean.restless} in a clean run`);
  const limit = (usual: number, { factor, more }: typeof WRITES) => usual * factor + more * run.plan.length;
  if (run.writes > limit(clean.writes, WRITES))
    say('hot-loop', `${run.writes} writes asked for, ${clean.writes} in a clean run`);
  if (run.reconciles > limit(clean.reconciles, RECONCILES))
    say('hot-loop', `${run.reconciles} reconciles, ${clean.reconciles} in a clean run`);
  for (const text of run.thrown) if (!clean.thrown.includes(text)) say('thrown', text);
  return found.filter(({ oracle }) => !tolerates.includes(oracle));
}

/** What is wrong with a clean run by itself. */
export const judgeClean = (run: Run, tolerates: readonly Oracle[] = []): readonly Finding[] =>
  [
    // What a decision throws is mostly why the rest goes wrong.
    ...run.thrown.slice(0, 1).map((text): Finding => ({ oracle: 'thrown', text })),
    ...run.findings,
    ...(run.restless > 0
      ? [{ oracle: 'rest', text: `${run.restless} writes asked for at rest` } satisfies Finding]
      : []),
    ...run.summary.backwards.slice(0, 1).map((text): Finding => ({ oracle: 'backwards', text })),
  ].filter(({ oracle }) => !tolerates.includes(oracle));

const isAllowedExtras = (plan: Plan): boolean => plan.some(({ kind }) => EXTRAS_ALLOWED.has(kind));

const isAside = (group: string): boolean => /\/(events|leases) /.test(group);
