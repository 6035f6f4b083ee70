import type { CgroupReading } from './cgroup-readings.js';
import type { CpuRate } from './cpu-rates.js';
import type { DiskUsage } from './disk-usage.js';
import type { FileSystemReading, InterfaceReading, MachineReading } from './machine-readings.js';

/** A node as it was found at one moment: what `/stats/summary`, `/metrics/cadvisor` and `/metrics/resource` are written from. */
export interface NodeReading {
  readonly nodeName: string;
  readonly at: number;
  readonly startedAt: number;
  readonly machine: MachineReading;
  readonly rate: CpuRate | undefined;
  readonly network: readonly InterfaceReading[];
  /** Where pods' files and logs are. */
  readonly nodefs: FileSystemReading | undefined;
  /** Where images and writable layers are. */
  readonly imagefs: FileSystemReading | undefined;
  readonly imageBytes: number | undefined;
  readonly pods: readonly PodReading[];
}

export interface PodReading {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly startedAt: number | undefined;
  readonly cgroup: string;
  readonly reading: CgroupReading;
  readonly rate: CpuRate | undefined;
  readonly network: readonly InterfaceReading[];
  readonly containers: readonly ContainerReading[];
  readonly volumes: readonly VolumeReading[];
}

export interface ContainerReading {
  readonly name: string;
  readonly id: string;
  readonly image: string;
  readonly cgroup: string;
  readonly startedAt: number;
  readonly restarts: number;
  readonly reading: CgroupReading;
  readonly rate: CpuRate | undefined;
  /** Undefined where disks were not looked at. */
  readonly disk: { readonly rootfs: DiskUsage; readonly logs: DiskUsage } | undefined;
}

export interface VolumeReading {
  readonly name: string;
  readonly claim: string | undefined;
  /** Counts as the pod's ephemeral storage: emptyDirs on disk. */
  readonly ephemeral: boolean;
  readonly usage: DiskUsage;
  readonly fileSystem: FileSystemReading | undefined;
}
