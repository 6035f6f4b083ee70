import type { DaemonSet } from '@trimtab/machinery';

/**
 * How often a node's daemon pods have failed, and when the last of them was deleted. It is kept in an annotation, so that
 * a controller that starts anew waits as long as one that has been there all the time. Waits are Kubernetes': 1 s,
 * doubling to 15 minutes, forgotten after twice that, and with every change of the spec.
 */
export const FAILURES = 'daemonset.trimtab.dev/failed-pods';

const BASE_MS = 1_000;
const CAP_MS = 15 * 60_000;

export interface NodeFailures {
  readonly count: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly generation: number;
}
export type Failures = Readonly<Record<string, NodeFailures>>;

export function failuresOf(daemonSet: DaemonSet, now: number): Failures {
  const entries = Object.entries(read(daemonSet.metadata.annotations?.[FAILURES])).filter(
    ([, entry]) => entry.generation === (daemonSet.metadata.generation ?? 0) && now - entry.at <= 2 * CAP_MS,
  );
  return Object.fromEntries(entries);
}

/** Milliseconds until the next failed pod of this node may be replaced. */
export function waitFor(entry: NodeFailures | undefined, now: number): number {
  if (!entry) return 0;
  return Math.max(0, entry.at + Math.min(BASE_MS * 2 ** (entry.count - 1), CAP_MS) - now);
}

export function withFailures(failures: Failures, nodes: readonly string[], generation: number, now: number): Failures {
  const added = nodes.map((node) => [node, { count: (failures[node]?.count ?? 0) + 1, at: now, generation }] as const);
  return { ...failures, ...Object.fromEntries(added) };
}

function read(text: string | undefined): Failures {
  if (!text) return {};
  try {
    const found: unknown = JSON.parse(text);
    if (found === null || typeof found !== 'object') return {};
    return Object.fromEntries(
      Object.entries(found as Record<string, Partial<NodeFailures> | null>).filter(
        ([, entry]) => Number.isFinite(entry?.count) && Number.isFinite(entry?.at),
      ),
    ) as Failures;
  } catch {
    return {};
  }
}
