import type { Container, ObjectFieldSelector, ResourceFieldSelector } from '@trimtab/machinery';
import { parseQuantity } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import { containersOf } from '../pod/plan.js';

/** What the downward API may tell a container beyond its own pod object. */
export interface DownwardFacts {
  readonly pod: Pod;
  readonly nodeName: string;
  readonly hostIP: string;
  readonly podIPs: readonly string[];
  /** Limits default to it. Quantities. */
  readonly allocatable: Readonly<Record<string, string>>;
}

/** The value of a `fieldRef`; throws for a path the downward API does not have. */
export function fieldValue(ref: ObjectFieldSelector, facts: DownwardFacts): string {
  const { metadata, spec } = facts.pod;
  const path = ref.fieldPath;
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (keyed) return metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2]!] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name ?? '';
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return formatMap(metadata.labels);
    case 'metadata.annotations':
      return formatMap(metadata.annotations);
    case 'spec.nodeName':
      return spec.nodeName ?? facts.nodeName;
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? 'default';
    case 'status.hostIP':
    case 'status.hostIPs':
      return facts.hostIP;
    case 'status.podIP':
      return facts.podIPs[0] ?? '';
    case 'status.podIPs':
      return facts.podIPs.join(',');
    default:
      throw new Error(`unsupported fieldPath: ${path}`);
  }
}

/** `key="value"` lines in key order, as downward API files show labels and annotations. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

/** The value of a `resourceFieldRef`, divided and rounded up; `container` is the one it stands in when it names none. */
export function resourceValue(ref: ResourceFieldSelector, facts: DownwardFacts, container?: Container): string {
  const target = ref.containerName ? containersOf(facts.pod.spec).find((c) => c.name === ref.containerName) : container;
  if (!target) throw new Error(`container "${ref.containerName ?? ''}" not found`);
  const match = /^(limits|requests)\.(.+)$/.exec(ref.resource);
  if (!match) throw new Error(`unsupported container resource: ${ref.resource}`);
  const [, list, resource] = match as unknown as [string, 'limits' | 'requests', string];
  const set = target.resources?.[list]?.[resource];
  const amount =
    set ?? (list === 'limits' ? facts.allocatable[resource] : (target.resources?.limits?.[resource] ?? '0'));
  const divisor = ref.divisor === undefined || String(ref.divisor) === '0' ? '1' : ref.divisor;
  const { nano: n } = parseQuantity(amount ?? '0');
  const { nano: d } = parseQuantity(divisor);
  return String((n + d - 1n) / d);
}
