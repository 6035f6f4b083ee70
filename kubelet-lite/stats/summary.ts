import { timestamp } from '@trimtab/machinery';
import type { CgroupReading } from './cgroup-readings.js';
import type { CpuRate } from './cpu-rates.js';
import { type DiskUsage, sumUsage } from './disk-usage.js';
import type { FileSystemReading, InterfaceReading } from './machine-readings.js';
import type { ContainerReading, NodeReading, PodReading, VolumeReading } from './readings.js';

/** `/stats/summary` of a node (kubernetes: kubelet/pkg/apis/stats/v1alpha1). Pure; times are RFC 3339. */
export function summaryOf(node: NodeReading): object {
  const time = timestamp(node.at);
  const { machine } = node;
  const { memory } = machine;
  return {
    node: {
      nodeName: node.nodeName,
      startTime: timestamp(node.startedAt),
      cpu: { time, ...rateOf(node.rate), usageCoreNanoSeconds: machine.cpuNanos },
      memory: {
        time,
        availableBytes: memory.total - memory.workingSet,
        usageBytes: memory.usage,
        workingSetBytes: memory.workingSet,
        rssBytes: memory.rss,
        pageFaults: memory.pageFaults,
        majorPageFaults: memory.majorPageFaults,
      },
      swap: {
        time,
        swapAvailableBytes: memory.swapTotal - memory.swapUsed,
        swapUsageBytes: memory.swapUsed,
      },
      network: networkOf(time, node.network),
      ...(node.nodefs ? { fs: fileSystem(time, node.nodefs) } : {}),
      runtime: {
        ...(node.imagefs
          ? { imageFs: { ...fileSystem(time, node.imagefs), usedBytes: node.imageBytes ?? node.imagefs.usedBytes } }
          : {}),
        ...(node.imagefs ? { containerFs: fileSystem(time, node.imagefs) } : {}),
      },
      rlimit: {
        time,
        ...(Number.isFinite(machine.processes.max) ? { maxpid: machine.processes.max } : {}),
        curproc: machine.processes.current,
      },
    },
    pods: node.pods.map((pod) => podOf(time, pod, node.nodefs, node.imagefs)),
  };
}

function podOf(
  time: string,
  pod: PodReading,
  nodefs: FileSystemReading | undefined,
  imagefs: FileSystemReading | undefined,
): object {
  const { name, namespace, uid } = pod;
  const looked = pod.containers.some(({ disk }) => disk);
  const disk = sumUsage([
    ...pod.containers.flatMap(({ disk: of }) => (of ? [of.rootfs, of.logs] : [])),
    ...pod.volumes.filter(({ ephemeral }) => ephemeral).map(({ usage }) => usage),
  ]);
  return {
    podRef: { name, namespace, uid },
    ...(pod.startedAt === undefined ? {} : { startTime: timestamp(pod.startedAt) }),
    containers: pod.containers.map((c) => containerOf(time, c, nodefs, imagefs)),
    ...usageOf(time, pod.reading, pod.rate),
    ...(pod.network.length > 0 ? { network: networkOf(time, pod.network) } : {}),
    ...(pod.volumes.length > 0 ? { volume: pod.volumes.map((v) => volumeOf(time, v, namespace)) } : {}),
    ...(looked ? { 'ephemeral-storage': within(time, disk, nodefs) } : {}),
    ...(pod.reading.pids ? { process_stats: { process_count: pod.reading.pids.current } } : {}),
  };
}

function containerOf(
  time: string,
  c: ContainerReading,
  nodefs: FileSystemReading | undefined,
  imagefs: FileSystemReading | undefined,
): object {
  return {
    name: c.name,
    startTime: timestamp(c.startedAt),
    ...usageOf(time, c.reading, c.rate),
    ...(c.disk ? { rootfs: within(time, c.disk.rootfs, imagefs), logs: within(time, c.disk.logs, nodefs) } : {}),
  };
}

function usageOf(time: string, { cpu, memory }: CgroupReading, rate: CpuRate | undefined): object {
  return {
    ...(cpu ? { cpu: { time, ...rateOf(rate), usageCoreNanoSeconds: cpu.usageNanos } } : {}),
    ...(memory
      ? {
          memory: {
            time,
            ...(memory.limit === undefined ? {} : { availableBytes: Math.max(memory.limit - memory.workingSet, 0) }),
            usageBytes: memory.usage,
            workingSetBytes: memory.workingSet,
            rssBytes: memory.rss,
            pageFaults: memory.pageFaults,
            majorPageFaults: memory.majorPageFaults,
          },
        }
      : {}),
    ...(memory?.swap === undefined ? {} : { swap: { time, swapUsageBytes: memory.swap } }),
  };
}

const rateOf = (rate: CpuRate | undefined) => (rate ? { usageNanoCores: rate.nanoCores } : {});

const fileSystem = (time: string, fs: FileSystemReading) => ({
  time,
  availableBytes: fs.availableBytes,
  capacityBytes: fs.capacityBytes,
  usedBytes: fs.usedBytes,
  inodesFree: fs.inodesFree,
  inodes: fs.inodes,
  inodesUsed: fs.inodes - fs.inodesFree,
});

const within = (time: string, usage: DiskUsage, fs: FileSystemReading | undefined) => ({
  time,
  ...(fs
    ? {
        availableBytes: fs.availableBytes,
        capacityBytes: fs.capacityBytes,
        inodesFree: fs.inodesFree,
        inodes: fs.inodes,
      }
    : {}),
  usedBytes: usage.bytes,
  inodesUsed: usage.inodes,
});

function volumeOf(time: string, { name, claim, usage, fileSystem: fs }: VolumeReading, namespace: string): object {
  return { name, ...(claim ? { pvcRef: { name: claim, namespace } } : {}), ...within(time, usage, fs) };
}

function networkOf(time: string, interfaces: readonly InterfaceReading[]): object {
  const all = interfaces.map(({ name, ...counters }) => ({ name, ...counters }));
  const main = all.find(({ name }) => name === 'eth0') ?? all[0];
  return { time, ...main, interfaces: all };
}
