import type { Container } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import { limitOf } from '../pod/qos.js';
import { sizeLimitOf } from './empty-dir.js';
import { kindOf } from './volume-kind.js';

/** Bytes a pod takes of the node's disk. */
export interface StorageUse {
  /** By volume: the emptyDirs on disk. */
  readonly emptyDirs: ReadonlyMap<string, number>;
  /** By container: its writable layer and its logs. */
  readonly containers: ReadonlyMap<string, number>;
}

const RESOURCE = 'ephemeral-storage';

const onDisk = (pod: Pod) => (pod.spec.volumes ?? []).filter((v) => v.emptyDir && kindOf(v) === 'emptyDir');
const lasting = ({ spec }: Pod): readonly Container[] => [...(spec.initContainers ?? []), ...spec.containers];

/** The sum of what containers may have, of those that have a limit; regular init containers are gone when others run. */
function podLimit({ spec }: Pod): number | undefined {
  const limit = (c: Container) => limitOf(c, RESOURCE);
  const [first, lasting] = [false, true].map((always) =>
    (spec.initContainers ?? []).filter((c) => (c.restartPolicy === 'Always') === always),
  );
  const together = [...(lasting ?? []), ...spec.containers].reduce((sum, c) => sum + limit(c), 0);
  return Math.max(together, ...(first ?? []).map(limit)) || undefined;
}

/** The least of all limits of a pod's local storage, in bytes; undefined where there are none. */
export function leastStorageLimit(pod: Pod): number | undefined {
  const limits = [
    ...onDisk(pod).map(sizeLimitOf),
    ...lasting(pod).map((c) => limitOf(c, RESOURCE) || undefined),
    podLimit(pod),
  ].filter((limit) => limit !== undefined);
  return limits.length > 0 ? Math.min(...limits) : undefined;
}

/** Whether more than emptyDirs has to be looked at. */
export const limitsContainers = (pod: Pod): boolean => lasting(pod).some((c) => limitOf(c, RESOURCE) > 0);

export const totalUse = ({ emptyDirs, containers }: StorageUse): number =>
  [...emptyDirs.values(), ...containers.values()].reduce((sum, bytes) => sum + bytes, 0);

/** Why a pod is evicted for what it takes, in the kubelet's words; undefined while it keeps within its limits. */
export function overLimit(pod: Pod, use: StorageUse): string | undefined {
  for (const volume of onDisk(pod)) {
    const limit = sizeLimitOf(volume);
    if (limit !== undefined && (use.emptyDirs.get(volume.name) ?? 0) > limit)
      return `Usage of EmptyDir volume "${volume.name}" exceeds the limit "${volume.emptyDir?.sizeLimit}". `;
  }
  if (!limitsContainers(pod)) return undefined;
  const whole = podLimit(pod);
  if (whole !== undefined && totalUse(use) > whole)
    return `Pod ephemeral local storage usage exceeds the total limit of containers ${quantity(whole)}. `;
  for (const container of lasting(pod)) {
    const limit = limitOf(container, RESOURCE);
    if (limit > 0 && (use.containers.get(container.name) ?? 0) > limit)
      return `Container ${container.name} exceeded its local ephemeral storage limit "${container.resources?.limits?.[RESOURCE]}". `;
  }
  return undefined;
}

/** As Kubernetes writes a sum of quantities: by the largest binary unit that divides it. */
function quantity(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
  let amount = bytes;
  let unit = 0;
  while (unit < units.length - 1 && amount % 1024 === 0) {
    amount /= 1024;
    unit++;
  }
  return `${amount}${units[unit]}`;
}
