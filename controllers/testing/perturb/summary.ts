import { controllerOf, refersTo } from '@trimtab/framework';
import type { KubeObject, ResourceType } from '@trimtab/machinery';
import type { WriteEntry } from '../world/trace.js';
import { canonicalName } from './canonical.js';

/** What became of the objects of one name (or generated name) in a run. */
export interface Summary {
  /** Most that ever were there at once; those on their way out left out. */
  peak: number;
  creations: number;
}

export interface RunSummary {
  readonly groups: ReadonlyMap<string, Summary>;
  /** Groups the controllers under test deleted from. */
  readonly deleted: ReadonlySet<string>;
  /** Deletions of what no object of a `for` kind controlled, as `group`. */
  readonly foreign: readonly string[];
  /** What went back that only goes forth. */
  readonly backwards: readonly string[];
}

const groupOf = (entry: WriteEntry): string => `${entry.resource} ${canonicalName(entry.object)}`;

/**
 * Counts by object group (Sieve's create/delete summaries), deletions of things not owned, and status that went backwards.
 * `mine` tells the writes of the controllers under test.
 */
export function summarize(
  writes: readonly WriteEntry[],
  mine: (actor: string) => boolean,
  kinds: readonly ResourceType[],
): RunSummary {
  const groups = new Map<string, Summary & { alive: number }>();
  const deleted = new Set<string>();
  const foreign: string[] = [];
  const backwards: string[] = [];
  const alive = new Set<string>();
  for (const entry of writes) {
    const { object, previous, verb } = entry;
    const group = groupOf(entry);
    const counts = groups.get(group) ?? { peak: 0, creations: 0, alive: 0 };
    groups.set(group, counts);
    const goes = verb === 'delete' ? !isGoing(previous) : isGoing(object) && !isGoing(previous);
    if (verb === 'create') {
      counts.creations++;
      counts.peak = Math.max(counts.peak, ++counts.alive);
      if (object.metadata.uid) alive.add(object.metadata.uid);
    }
    if (goes) counts.alive--;
    if (verb === 'delete') alive.delete(object.metadata.uid ?? '');
    if (goes && mine(entry.actor)) {
      deleted.add(group);
      const owner = controllerOf(object);
      if (!owner || !kinds.some((kind) => refersTo(owner, kind))) foreign.push(group);
    }
    if (verb === 'update' && previous) backwards.push(...wentBack(group, previous, object));
  }
  return { groups, deleted, foreign, backwards };
}

const isGoing = (object: KubeObject | undefined): boolean => object?.metadata.deletionTimestamp !== undefined;

interface Reported {
  readonly status?: {
    readonly observedGeneration?: number;
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

const FINAL_CONDITIONS = new Set(['Complete', 'Failed']);
const FINAL_PHASES = new Set(['Succeeded', 'Failed']);

function wentBack(group: string, before: KubeObject, after: KubeObject): readonly string[] {
  const [was, is] = [(before as Reported).status, (after as Reported).status];
  const found: string[] = [];
  if (was === is || !was) return found;
  if ((was.observedGeneration ?? 0) > (is?.observedGeneration ?? 0))
    found.push(`${group}: observedGeneration from ${was.observedGeneration} to ${is?.observedGeneration}`);
  if (was.phase && FINAL_PHASES.has(was.phase) && is?.phase !== was.phase)
    found.push(`${group}: phase from ${was.phase} to ${is?.phase}`);
  for (const { type, status } of Array.isArray(was.conditions) ? was.conditions : [])
    if (
      FINAL_CONDITIONS.has(type) &&
      status === 'True' &&
      is?.conditions?.find((c) => c.type === type)?.status !== 'True'
    )
      found.push(`${group}: condition ${type} was True`);
  return found;
}
