import type { KubeObject } from '@trimtab/machinery';

const SHOWN = 3;
const LONGEST = 32;

/** What an update has changed, bookkeeping aside, as `status.count 1 → 2, metadata.labels.app "a" → nothing`. Pure. */
export function changeText(previous: KubeObject, object: KubeObject): string {
  const changes: string[] = [];
  collect(bare(previous), bare(object), '', changes);
  const more = changes.length - SHOWN;
  return [...changes.slice(0, SHOWN), ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

function bare(object: KubeObject): unknown {
  const { resourceVersion: _, managedFields: __, generation: ___, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function collect(before: unknown, after: unknown, path: string, into: string[]): void {
  if (before === after) return;
  const inside = isContainer(before) && isContainer(after) && Array.isArray(before) === Array.isArray(after);
  if (!inside) {
    const [from, to] = [valueText(before), valueText(after)];
    if (from !== to || JSON.stringify(before) !== JSON.stringify(after)) into.push(`${path} ${from} → ${to}`);
    return;
  }
  for (const field of new Set([...Object.keys(before), ...Object.keys(after)]))
    collect(before[field], after[field], path ? `${path}.${field}` : field, into);
}

const isContainer = (value: unknown): value is Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object';

function valueText(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
