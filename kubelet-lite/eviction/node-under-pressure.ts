import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Clock, Logger } from '@trimtab/machinery';
import { containerCgroupPath, podCgroupPath } from '../container/cgroup.js';
import type { PodLayout } from '../container/pod-layout.js';
import type { EventRecorder } from '../node/event-recorder.js';
import type { KubeletFigures } from '../node/kubelet-figures.js';
import type { PodManager } from '../pod/pod-manager.js';
import type { PodWorker } from '../pod/pod-worker.js';
import type { CgroupReader } from '../stats/cgroup-reader.js';
import { diskUsage, NO_USAGE, sumUsage } from '../stats/disk-usage.js';
import {
  type FileSystemReading,
  type MachineReading,
  readFileSystem,
  readMachineNow,
} from '../stats/machine-readings.js';
import { podVolumes, type VolumePlaces } from '../stats/volume-usage.js';
import type { Observation, Observations, Pressure } from './decide.js';
import type { EvictionNode } from './evictor.js';
import type { PodUse } from './rank.js';

export interface NodeUnderPressureOptions {
  readonly nodeName: string;
  readonly pods: PodManager;
  readonly cgroups: CgroupReader;
  readonly layout: PodLayout;
  readonly imagesDir: string;
  readonly volumes: VolumePlaces;
  readonly recorder: EventRecorder;
  readonly figures: KubeletFigures;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reclaim: Readonly<Record<'containers' | 'images', () => Promise<void>>>;
  readonly pressed: (pressures: readonly Pressure[]) => void;
  /** How machine and file systems are read; the machine's own unless given. */
  readonly machine?: () => Promise<MachineReading>;
  readonly fileSystem?: (path: string) => Promise<FileSystemReading | undefined>;
}

/** How long the evictor waits for a pod to be gone before it looks again. */
const GONE_MS = 30_000;

/** This machine and its pods, as the evictor asks for them. */
export function nodeUnderPressure(options: NodeUnderPressureOptions): EvictionNode {
  const { nodeName, pods, layout, imagesDir, recorder, figures, clock, reclaim } = options;
  const machineNow = options.machine ?? readMachineNow;
  const fileSystem = options.fileSystem ?? readFileSystem;
  return {
    observe: async () => {
      const [{ memory, processes }, nodefs, imagefs] = await Promise.all([
        machineNow(),
        fileSystem(layout.podsDir),
        fileSystem(imagesDir),
      ]);
      return {
        'memory.available': { available: memory.total - memory.workingSet, capacity: memory.total },
        ...(Number.isFinite(processes.max)
          ? { 'pid.available': { available: processes.max - processes.current, capacity: processes.max } }
          : {}),
        ...(nodefs ? { 'nodefs.available': space(nodefs), ...inodes('nodefs.inodesFree', nodefs) } : {}),
        ...(imagefs ? { 'imagefs.available': space(imagefs), ...inodes('imagefs.inodesFree', imagefs) } : {}),
      } satisfies Observations;
    },
    async uses(disks) {
      const found: PodUse[] = [];
      for (const worker of pods.workers()) {
        if (!worker.active || worker.pod.metadata.deletionTimestamp) continue;
        found.push(await useOf(options, worker, disks));
        await setImmediate();
      }
      return found;
    },
    announce: (resource) => {
      const node = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeName };
      recorder.event(node, 'Warning', 'EvictionThresholdMet', `Attempting to reclaim ${resource}`);
    },
    reclaim: (what) => reclaim[what](),
    async evict(uid, graceMs, message, signal) {
      const worker = pods.worker(uid);
      if (!worker) return;
      figures.eviction(signal);
      worker.fail('Warning', { reason: 'Evicted', message }, graceMs);
      await whenEnded(worker, clock, graceMs + GONE_MS);
    },
    pressed: options.pressed,
  };
}

const space = ({ availableBytes, capacityBytes }: FileSystemReading): Observation => ({
  available: availableBytes,
  capacity: capacityBytes,
});

/** Some file systems make inodes as they go, and have none to run out of. */
const inodes = (signal: 'nodefs.inodesFree' | 'imagefs.inodesFree', fs: FileSystemReading): Observations =>
  fs.inodes > 0 ? { [signal]: { available: fs.inodesFree, capacity: fs.inodes } } : {};

async function useOf(options: NodeUnderPressureOptions, worker: PodWorker, disks: boolean): Promise<PodUse> {
  const { cgroups, layout, volumes } = options;
  const { pod, uid } = worker;
  const { memory, pids } = cgroups.read(podCgroupPath(pod.spec, uid));
  const containers = await Promise.all(
    worker.containers().map(async ({ name, context: { attempt } }) => {
      const group = containerCgroupPath(pod.spec, uid, name, attempt);
      const disk = disks
        ? sumUsage([await diskUsage(layout.attempt(uid, name, attempt)), await diskUsage(join(layout.logs(pod), name))])
        : NO_USAGE;
      return { name, memory: cgroups.usage(group).workingSet ?? 0, disk };
    }),
  );
  const own = disks ? (await podVolumes(pod, volumes)).filter(({ ephemeral }) => ephemeral) : [];
  const all = sumUsage([...containers.map(({ disk }) => disk), ...own.map(({ usage }) => usage)]);
  return {
    pod,
    memory: memory?.workingSet ?? 0,
    disk: all.bytes,
    inodes: all.inodes,
    processes: pids?.current ?? 0,
    containers: containers.map(({ disk, ...of }) => ({ ...of, disk: disk.bytes })),
  };
}

/** Resolves when the pod holds nothing of the node any more, or when it has been given enough time. */
function whenEnded(worker: PodWorker, clock: Clock, withinMs: number): Promise<void> {
  const until = clock.now() + withinMs;
  return new Promise((resolve) => {
    const look = () => {
      if (!worker.active || clock.now() >= until) resolve();
      else clock.after(100, look);
    };
    look();
  });
}
