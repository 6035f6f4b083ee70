import { type Pod, podRequests, quantityMilliValue, quantityNumber, type ResourceAmounts } from '@trimtab/machinery';

/**
 * Resource amounts as plain numbers, so that a filter is a comparison: cpu in milli-cores, memory and ephemeral storage
 * in bytes, everything else in its own units.
 */
export interface Amounts {
  readonly cpu: number;
  readonly memory: number;
  readonly ephemeralStorage: number;
  /** Extended resources and huge pages; undefined where there are none, which is nearly always. */
  readonly extended?: ReadonlyMap<string, number>;
}

export const NOTHING: Amounts = { cpu: 0, memory: 0, ephemeralStorage: 0 };

export function amountsOf(resources: ResourceAmounts): Amounts {
  let extended: Map<string, number> | undefined;
  const [cpu, memory, ephemeral] = [resources.get('cpu'), resources.get('memory'), resources.get('ephemeral-storage')];
  for (const [name, quantity] of resources) {
    if (name === 'cpu' || name === 'memory' || name === 'ephemeral-storage' || name === 'pods') continue;
    extended ??= new Map();
    extended.set(name, quantityNumber(quantity));
  }
  return {
    cpu: cpu ? quantityMilliValue(cpu) : 0,
    memory: memory ? quantityNumber(memory) : 0,
    ephemeralStorage: ephemeral ? quantityNumber(ephemeral) : 0,
    ...(extended ? { extended } : {}),
  };
}

/** `a + factor × b`. */
export function addAmounts(a: Amounts, b: Amounts, factor: 1 | -1): Amounts {
  const sum = {
    cpu: a.cpu + factor * b.cpu,
    memory: a.memory + factor * b.memory,
    ephemeralStorage: a.ephemeralStorage + factor * b.ephemeralStorage,
  };
  if (!b.extended) return a.extended ? { ...sum, extended: a.extended } : sum;
  const extended = new Map(a.extended);
  for (const [name, amount] of b.extended) extended.set(name, (extended.get(name) ?? 0) + factor * amount);
  return { ...sum, extended };
}

export const requestsOf = (pod: Pod): Amounts => amountsOf(podRequests(pod));

/** What a pod that asks for nothing is taken to use when nodes are scored, so that many of them still spread. */
const NON_ZERO = { cpu: 100, memory: 200 * 1024 * 1024 };

/** cpu and memory for scoring: each container that asks for none counts as a little (kube-scheduler: NonZeroRequested). */
export function nonZeroRequests(pod: Pod, requests: Amounts): { readonly cpu: number; readonly memory: number } {
  const silent = (name: 'cpu' | 'memory') =>
    pod.spec?.resources?.requests?.[name] !== undefined
      ? 0
      : (pod.spec?.containers ?? []).filter(({ resources }) => resources?.requests?.[name] === undefined).length;
  return {
    cpu: requests.cpu + silent('cpu') * NON_ZERO.cpu,
    memory: requests.memory + silent('memory') * NON_ZERO.memory,
  };
}
