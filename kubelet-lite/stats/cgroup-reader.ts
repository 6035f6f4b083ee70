import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type CgroupReading, cgroupReading, type ReadFile, usageReading, type Versions } from './cgroup-readings.js';
import { type CgroupTree, cgroupTree } from './cgroup-tree.js';

/** Reads cgroups by their path below the cgroup root, such as `kubepods/burstable/pod<uid>/main-0`. */
export interface CgroupReader {
  /** Everything; the group may be gone, then nothing is in it. */
  read(path: string): CgroupReading;
  /** Only processor time and working set. */
  usage(path: string): { readonly cpuNanos?: number; readonly workingSet?: number };
}

/**
 * The machine's own cgroups. Reads are synchronous: such a file takes the kernel some microseconds, a trip through libuv's
 * thread pool ten times that. Who reads many groups yields in between.
 */
export function cgroupReader(mounts = '/proc/self/mounts'): CgroupReader {
  const tree = readCgroupTree(mounts);
  const versions: Versions = {
    cpu: tree.cpu?.version,
    cpuacct: tree.cpuacct?.version,
    memory: tree.memory?.version,
    pids: tree.pids?.version,
    io: tree.io?.version,
  };
  return {
    read: (path) => cgroupReading(versions, fileOf(tree, path)),
    usage: (path) => usageReading(versions, fileOf(tree, path)),
  };
}

/** Where this machine has its controllers. */
export function readCgroupTree(mounts = '/proc/self/mounts'): CgroupTree {
  return cgroupTree(text(mounts) ?? '', (mount) => text(join(mount, 'cgroup.controllers')) ?? '');
}

function fileOf(tree: CgroupTree, path: string): ReadFile {
  return (controller, file) => {
    const hierarchy = tree[controller];
    return hierarchy && text(`${hierarchy.mount}/${path}/${file}`);
  };
}

const buffer = Buffer.allocUnsafe(64 * 1024);

/** Files of the kernel have no size to ask for, and one read gives all of a small one. */
function text(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    const read = readSync(fd, buffer, 0, buffer.length, 0);
    return read < buffer.length ? buffer.toString('latin1', 0, read) : readFileSync(path, 'latin1');
  } catch {
    // The group went between opening and reading.
    return undefined;
  } finally {
    closeSync(fd);
  }
}
