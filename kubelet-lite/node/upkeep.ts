import type { Clock, Logger } from '@trimtab/machinery';
import type { PodLayout } from '../container/pod-layout.js';
import { Evictor } from '../eviction/evictor.js';
import { nodeUnderPressure } from '../eviction/node-under-pressure.js';
import { parseThresholds, type Threshold } from '../eviction/thresholds.js';
import type { ImageStore, ImageUpkeep } from '../images/image-store.js';
import type { PodRuntime } from '../runtime/runtime.js';
import { cgroupReader, readCgroupTree } from '../stats/cgroup-reader.js';
import { readFileSystem, readMachineNow } from '../stats/machine-readings.js';
import type { VolumePlaces } from '../stats/volume-usage.js';
import type { GoneLogs } from '../streams/gone-logs.js';
import { enforce, enforcements } from './enforce-allocatable.js';
import type { EventRecorder } from './event-recorder.js';
import { DEFAULT_IMAGE_GC, ImageGc, type ImageGcPolicy } from './image-gc.js';
import type { KubeletFigures } from './kubelet-figures.js';
import type { MachineInfo } from './machine-info.js';
import type { Reserved } from './node-status.js';
import { QosGroups } from './qos-groups.js';
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
  readonly machine: MachineInfo;
  readonly reserved?: Reserved;
  /** Looks at what the kernel has told meanwhile. */
  readonly lookAtKernel: () => void;
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
  void holdBack(options);
  const classes = new QosGroups({ pods: () => node.pods.allocated(), tree: readCgroupTree(), clock, logger });
  node.pods.onAllocated(() => classes.changed());
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
      machine: async () => {
        options.lookAtKernel();
        return readMachineNow();
      },
    }),
  });
  evictor.start();
  return () => {
    evictor.stop();
    classes.stop();
    gc?.stop();
  };
}

/** Keeps what is reserved from pods by the kernel's own means, so that the system has it however hard pods try. */
async function holdBack({ reserved, machine, nodeName, recorder, logger }: UpkeepOptions): Promise<void> {
  if (!reserved) return;
  const { processes } = await readMachineNow();
  const capacity = { milliCPU: machine.cpus * 1_000, memoryBytes: machine.memoryBytes, pids: processes.max };
  const limits = enforcements(readCgroupTree(), capacity, reserved);
  if (limits.length === 0) return;
  const node = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeName };
  try {
    await enforce(limits);
    recorder.event(node, 'Normal', 'NodeAllocatableEnforced', 'Updated Node Allocatable limit across pods');
  } catch (error) {
    logger.error({ error: String(error) }, 'what is reserved cannot be kept from pods by the kernel');
    const message = `Failed to update Node Allocatable Limits: ${error}`;
    recorder.event(node, 'Warning', 'FailedNodeAllocatableEnforcement', message);
  }
}

const looksAfter = (images: ImageStore & Partial<ImageUpkeep>): images is ImageStore & ImageUpkeep =>
  images.removeUnused !== undefined;

/** Writable layers of containers that have ended; their logs stay. */
async function removeDead(runtime: PodRuntime): Promise<void> {
  const sandboxes = await runtime.list();
  const dead = sandboxes.flatMap(({ containers }) => containers.filter(({ state }) => state === 'exited'));
  await Promise.all(dead.map(({ id }) => runtime.removeContainer(id)));
}
