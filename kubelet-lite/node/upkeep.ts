import type { Clock, Logger } from '@trimtab/machinery';
import type { PodLayout } from '../container/pod-layout.js';
import { Evictor } from '../eviction/evictor.js';
import { nodeUnderPressure } from '../eviction/node-under-pressure.js';
import { parseThresholds, type Threshold } from '../eviction/thresholds.js';
import type { ImageStore, ImageUpkeep } from '../images/image-store.js';
import type { PodRuntime } from '../runtime/runtime.js';
import { cgroupReader } from '../stats/cgroup-reader.js';
import { readFileSystem } from '../stats/machine-readings.js';
import type { VolumePlaces } from '../stats/volume-usage.js';
import type { GoneLogs } from '../streams/gone-logs.js';
import type { EventRecorder } from './event-recorder.js';
import { DEFAULT_IMAGE_GC, ImageGc, type ImageGcPolicy } from './image-gc.js';
import type { KubeletFigures } from './kubelet-figures.js';
import type { RunningNode } from './start-node.js';

export interface UpkeepOptions {
  readonly nodeName: string;
  readonly node: RunningNode;
  readonly runtime: PodRuntime;
  /** Where it can look after its images, they are garbage collected. */
  readonly images: ImageStore & Partial<ImageUpkeep>;
  readonly layout: PodLayout;
  readonly imagesDir: string;
  readonly volumes: VolumePlaces;
  readonly gone: GoneLogs;
  readonly recorder: EventRecorder;
  readonly figures: KubeletFigures;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly thresholds?: readonly Threshold[];
  readonly imageGc?: ImageGcPolicy;
  readonly pressureTransitionMs?: number;
  readonly maxPodGraceMs?: number;
}

/** Keeps a node from running full: unused images go, and pods where that is not enough. Returns how to stop. */
export function keepUp(options: UpkeepOptions): () => void {
  const { node, images, imagesDir, runtime, gone, clock, logger, nodeName, recorder } = options;
  const gc = looksAfter(images)
    ? new ImageGc({
        nodeName,
        images,
        pods: node.pods,
        policy: options.imageGc ?? DEFAULT_IMAGE_GC,
        fileSystem: () => readFileSystem(imagesDir),
        recorder,
        clock,
        logger,
      })
    : undefined;
  gc?.start();
  const evictor = new Evictor({
    thresholds: options.thresholds ?? parseThresholds({}),
    clock,
    logger,
    ...(options.pressureTransitionMs === undefined ? {} : { transitionMs: options.pressureTransitionMs }),
    ...(options.maxPodGraceMs === undefined ? {} : { maxPodGraceMs: options.maxPodGraceMs }),
    node: nodeUnderPressure({
      ...options,
      pods: node.pods,
      cgroups: cgroupReader(),
      reclaim: {
        containers: async () => {
          await gone.clear();
          await removeDead(runtime);
        },
        images: async () => gc?.removeAll(),
      },
      pressed: (pressures) => node.pressed(pressures),
    }),
  });
  evictor.start();
  return () => {
    evictor.stop();
    gc?.stop();
  };
}

const looksAfter = (images: ImageStore & Partial<ImageUpkeep>): images is ImageStore & ImageUpkeep =>
  images.removeUnused !== undefined;

/** Writable layers of containers that have ended; their logs stay. */
async function removeDead(runtime: PodRuntime): Promise<void> {
  const sandboxes = await runtime.list();
  const dead = sandboxes.flatMap(({ containers }) => containers.filter(({ state }) => state === 'exited'));
  await Promise.all(dead.map(({ id }) => runtime.removeContainer(id)));
}
