import { join } from 'node:path';
import { type Pod, uidOf } from '../pod/api.js';

export const TERMINATION_LOG = 'termination-log';

/** Where a node keeps what belongs to its pods. The log tree is the one CRI tools expect. */
export interface PodLayout {
  readonly podsDir: string;
  pod(uid: string): string;
  file(uid: string, name: 'hosts' | 'hostname' | 'resolv.conf'): string;
  attempt(uid: string, container: string, attempt: number): string;
  logs(pod: Pod): string;
  log(pod: Pod, container: string, attempt: number): string;
  /** The pod's shared memory, where the node has a tmpfs to give. */
  shm(uid: string): string | undefined;
}

export function podLayout(rootDir: string, logDir: string, memoryDir: string | undefined): PodLayout {
  const podsDir = join(rootDir, 'pods');
  const logs = (pod: Pod): string => join(logDir, `${pod.metadata.namespace}_${pod.metadata.name}_${uidOf(pod)}`);
  return {
    podsDir,
    pod: (uid) => join(podsDir, uid),
    file: (uid, name) => join(podsDir, uid, name),
    attempt: (uid, container, attempt) => join(podsDir, uid, 'containers', container, String(attempt)),
    logs,
    log: (pod, container, attempt) => join(logs(pod), container, `${attempt}.log`),
    // A name no volume can have.
    shm: (uid) => (memoryDir === undefined ? undefined : join(memoryDir, uid, '.shm')),
  };
}
