import type { Volume } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import { diskUsage } from './disk-usage.js';
import { readFileSystem } from './machine-readings.js';
import type { VolumeReading } from './readings.js';

/** Where a pod's volumes are. */
export interface VolumePlaces {
  pathOf(pod: Pod, volume: string): string;
}

/** What the pod's own volumes take: emptyDirs and claims; hostPaths are the node's, and projections are a handful of bytes. */
export async function podVolumes(pod: Pod, places: VolumePlaces): Promise<readonly VolumeReading[]> {
  const found: VolumeReading[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    const claim =
      volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : undefined);
    if (!volume.emptyDir && claim === undefined) continue;
    const path = places.pathOf(pod, volume.name);
    found.push({
      name: volume.name,
      claim,
      ephemeral: isOnDisk(volume),
      usage: await diskUsage(path),
      fileSystem: await readFileSystem(path),
    });
  }
  return found;
}

/** An emptyDir of the default medium. */
export const isOnDisk = ({ emptyDir }: Volume): boolean => emptyDir !== undefined && (emptyDir.medium ?? '') === '';
