import type { ContainerStateTerminated, ContainerUser } from '@trimtab/machinery';
import { timestamp } from '@trimtab/machinery';
import type { ContainerStatus } from '../runtime/runtime.js';
import { ANNOTATION } from './container-files.js';
import { containerIdOf } from './container-id.js';
import type { StartedContainer } from './machine-types.js';

/** Which start of its container a runtime container is, counted from 0. */
export function attemptOf(status: ContainerStatus): number {
  return Number(status.annotations[ANNOTATION.attempt] ?? status.id.slice(status.id.lastIndexOf('-') + 1));
}

/** The runtime's record of an exit in the API's words. */
export function terminatedState(status: ContainerStatus, message: string): ContainerStateTerminated {
  const exitCode = status.exitCode ?? (status.signal ? 128 + status.signal : 137);
  return {
    exitCode,
    reason: status.oomKilled ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error',
    ...(message ? { message } : {}),
    startedAt: timestamp(status.startedAt),
    finishedAt: timestamp(status.finishedAt ?? status.startedAt),
    containerID: containerIdOf(status.id),
  };
}

/** The runtime's record of a container that runs. */
export function startedContainer(status: ContainerStatus): StartedContainer {
  const { id, startedAt, pid, annotations } = status;
  const linux = annotations[ANNOTATION.user];
  const user = linux === undefined ? {} : { user: { linux: JSON.parse(linux) } as ContainerUser };
  const stopSignal = annotations[ANNOTATION.stopSignal];
  return { id, attempt: attemptOf(status), startedAt, pid, ...user, ...(stopSignal ? { stopSignal } : {}) };
}
