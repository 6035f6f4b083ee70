import { type PodSpec, RecentMap } from '@trimtab/machinery';

const BESIDE = ['initContainers', 'ephemeralContainers', 'resources', 'overhead'] as const;

/** What a specification says of its containers and of what they ask for. */
export type ContainerParts = Pick<PodSpec, 'containers' | (typeof BESIDE)[number]>;

/**
 * The function, which is asked once for all pods that have the very same containers: those of one template, on whatever nodes
 * they are. It must be pure, and what it gives is shared.
 */
export function byContainers<V>(answer: (spec: ContainerParts) => V): (spec: ContainerParts) => V {
  const known = new RecentMap<PodSpec['containers'], { readonly spec: ContainerParts; readonly value: V }>(256);
  return (spec) => {
    const before = known.get(spec.containers);
    if (before && BESIDE.every((part) => before.spec[part] === spec[part])) return before.value;
    const value = answer(spec);
    known.set(spec.containers, { spec, value });
    return value;
  };
}
