import type { Pod } from '../pod/api.js';

/** The pod's volumes as directories (or files, for some hostPaths) of the node. */
export interface VolumeManager {
  /** Idempotent. Resolves once every volume has its content; what it rejects with is told by {@link mountFailures}. */
  setUp(pod: Pod): Promise<void>;
  /** The pod's metadata or an object it shows has changed. */
  updated(pod: Pod): void;
  /** The directory a volume is at; only after {@link setUp}. */
  pathOf(pod: Pod, volume: string): string;
  /** Idempotent: unmounts and removes what the pod had, stops watching what it showed. */
  tearDown(uid: string): Promise<void>;
  /** Unmounts what is left of pods that went while the node was down; `isKnown` tells by UID, at any later time, which stay. */
  tidy(isKnown: (uid: string) => boolean): Promise<void>;
  /** Calls back when something a failed {@link setUp} of the pod waited for has appeared. */
  onChange(listener: (uid: string) => void): void;
}

/** Names the volume and why it cannot be set up; its text is the `FailedMount` event. */
export class VolumeError extends Error {
  constructor(
    readonly volume: string,
    why: string,
  ) {
    super(`MountVolume.SetUp failed for volume "${volume}" : ${why}`);
    this.name = 'VolumeError';
  }
}

/** One text for each volume that could not be set up. */
export function mountFailures(error: unknown): readonly string[] {
  const all: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return all.map((one) => (one instanceof Error ? one.message : String(one)));
}
