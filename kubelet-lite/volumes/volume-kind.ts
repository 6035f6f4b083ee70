import type { Volume } from '@trimtab/machinery';
import { isPayloadVolume } from './payload.js';

/** How this node makes a volume. `memory` and `hugePages` are emptyDirs; `payload` is made of API objects and written by us. */
export type VolumeKind = 'emptyDir' | 'memory' | 'hugePages' | 'hostPath' | 'claim' | 'payload' | 'image';

/** Throws an Error that names what this node does not have. */
export function kindOf(volume: Volume): VolumeKind {
  if (volume.emptyDir) return emptyDirKind(volume.emptyDir.medium ?? '');
  if (volume.hostPath) return 'hostPath';
  if (isPayloadVolume(volume)) return 'payload';
  if (volume.persistentVolumeClaim ?? volume.ephemeral) return 'claim';
  if (volume.image) return 'image';
  const kind = Object.keys(volume).find((key) => key !== 'name');
  // A volume without any source is an emptyDir (API defaulting).
  if (kind === undefined) return 'emptyDir';
  throw new Error(
    `volumes of type ${kind} are not supported by this node; it offers emptyDir, hostPath, persistentVolumeClaim, ephemeral, image, configMap, secret, downwardAPI and projected`,
  );
}

function emptyDirKind(medium: string): VolumeKind {
  if (medium === '') return 'emptyDir';
  if (medium === 'Memory') return 'memory';
  if (medium === 'HugePages' || medium.startsWith('HugePages-')) return 'hugePages';
  throw new Error(`unknown storage medium "${medium}"`);
}

/**
 * Whether what we write for a volume is kept in memory, and never on a disk, as the kubelet does: all that is secret or may
 * be. Such a directory bears the sticky bit, which every tmpfs has.
 */
export const isSecretPayload = (volume: Volume): boolean => isPayloadVolume(volume) && volume.configMap === undefined;
