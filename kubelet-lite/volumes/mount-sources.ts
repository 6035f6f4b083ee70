import * as fs from 'node:fs/promises';
import type { Container, Volume, VolumeMount } from '@trimtab/machinery';
import { ContainerConfigError } from '../container/container-files.js';
import { type MountSource, subPathOf } from '../container/mounts.js';
import type { Pod } from '../pod/api.js';
import { isReadOnly } from './claim-volumes.js';
import { showsMappedIds } from './image-volumes.js';
import { propagationRefusal } from './mount-table.js';
import { isPayloadVolume } from './payload.js';
import { type PinnedPath, pinSubPath } from './pinned-path.js';
import type { VolumeManager } from './volume-manager.js';

export interface PinnedSources {
  readonly sources: readonly MountSource[];
  /** To be called once the container has started or failed to. */
  release(): Promise<void>;
}

/**
 * Finds what a container's volume mounts show, and holds it so that no container can exchange it meanwhile. Rejects with a
 * {@link ContainerConfigError} in the kubelet's words.
 */
export async function pinMountSources(
  pod: Pod,
  container: Container,
  env: ReadonlyMap<string, string>,
  volumes: Pick<VolumeManager, 'pathOf'>,
): Promise<PinnedSources> {
  const held: PinnedPath[] = [];
  const release = async (): Promise<void> => {
    for (const one of held.splice(0)) await one.release();
  };
  const sources: MountSource[] = [];
  try {
    for (const asked of container.volumeMounts ?? []) {
      const mount = isReadOnly(pod, asked.name) ? { ...asked, readOnly: true } : asked;
      if (mount.mountPath === '') throw new Error(`the mount of volume "${mount.name}" has no mountPath`);
      const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
      const root = volumes.pathOf(pod, mount.name);
      const subPath = subPathOf(mount, env);
      const pin = subPath === '' ? undefined : await pinned(root, subPath, mount, volume, container);
      if (pin) held.push(pin);
      const source = pin?.path ?? (await existing(root));
      const refusal = await propagationRefusal(source, mount.mountPropagation);
      if (refusal) throw new Error(refusal);
      sources.push({ mount, volume, source, mapped: volume !== undefined && showsMappedIds(volume, root) });
    }
    return { sources, release };
  } catch (error) {
    await release();
    if (error instanceof ContainerConfigError) throw error;
    const message = `failed to prepare the mounts of container "${container.name}": ${messageOf(error)}`;
    throw new ContainerConfigError('CreateContainerConfigError', message);
  }
}

const ATTEMPTS = 5;

async function pinned(
  root: string,
  subPath: string,
  mount: VolumeMount,
  volume: Volume | undefined,
  container: Container,
): Promise<PinnedPath> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await pinSubPath(root, subPath, { make: volume?.image === undefined });
    } catch (error) {
      // We may be at work on it ourselves: a new version replaces the one that was just looked at.
      if (volume && isPayloadVolume(volume) && attempt < ATTEMPTS) continue;
      const what = `failed to prepare subPath for volumeMount "${mount.name}" of container "${container.name}"`;
      throw new ContainerConfigError('CreateContainerConfigError', `${what}: ${messageOf(error)}`);
    }
  }
}

/** A hostPath of no type that is not there is made as a directory when it is mounted, as container runtimes do. */
async function existing(path: string): Promise<string> {
  const stat = await fs.stat(path).catch(() => undefined);
  if (!stat) await fs.mkdir(path, { recursive: true, mode: 0o755 });
  return path;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
