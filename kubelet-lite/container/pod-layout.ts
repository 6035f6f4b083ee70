import { join } from 'node:path';
import { type Pod, uidOf } from '../pod/api.js';

/** Where a node keeps what belongs to its pods. The log tree is the one CRI tools expect. */
export interface PodLayout {
  readonly podsDir: string;
  readonly logDir: string;
  readonly memoryDir: string | undefined;
  pod(uid: string): string;
  /** Profiles that pods name as `localhostProfile`. */
  readonly seccompDir: string;
  /** What resources the pod was last allocated, once they have been changed. */
  allocation(uid: string): string;
  /** The files below `/etc` and the termination messages: small, many, and of no use after a reboot. */
  small(uid: string): string;
  file(uid: string, name: 'hosts' | 'hostname' | 'resolv.conf'): string;
  terminationLog(uid: string, container: string, attempt: number): string;
  /** The runtime's own directory of one start. */
  attempt(uid: string, container: string, attempt: number): string;
  logs(pod: Pod): string;
  log(pod: Pod, container: string, attempt: number): string;
  /** The pod's shared memory, where the node has a tmpfs to give. */
  shm(uid: string): string | undefined;
}

/**
 * With `memoryDir`, a directory on a tmpfs, small files live there: making one on a disk takes half a millisecond, and a pod
 * needs several before it can start. A pod that writes into them pays from its own memory limit.
 */
export function podLayout(rootDir: string, logDir: string, memoryDir: string | undefined): PodLayout {
  const podsDir = join(rootDir, 'pods');
  const logs = (pod: Pod): string => join(logDir, `${pod.metadata.namespace}_${pod.metadata.name}_${uidOf(pod)}`);
  // Names no volume can have: emptyDirs of medium Memory are beside them.
  const small = (uid: string): string => join(memoryDir ?? podsDir, uid, '.etc');
  return {
    podsDir,
    seccompDir: join(rootDir, 'seccomp'),
    logDir,
    memoryDir,
    pod: (uid) => join(podsDir, uid),
    allocation: (uid) => join(podsDir, uid, 'allocation.json'),
    small,
    file: (uid, name) => join(small(uid), name),
    terminationLog: (uid, container, attempt) => join(small(uid), `termination-${container}-${attempt}`),
    attempt: (uid, container, attempt) => join(podsDir, uid, 'containers', `${container}-${attempt}`),
    logs,
    log: (pod, container, attempt) => join(logs(pod), container, `${attempt}.log`),
    shm: (uid) => (memoryDir === undefined ? undefined : join(memoryDir, uid, '.shm')),
  };
}
