import type { ContainerStatus as ApiContainerStatus, Container } from '@trimtab/machinery';
import { ANNOTATION } from '../container/container-files.js';
import { attemptOf, startedContainer, terminatedState } from '../container/exit.js';
import type { ContainerContext, ContainerInput } from '../container/machine-types.js';
import type { ContainerStatus, SandboxStatus } from '../runtime/runtime.js';
import type { Allocation, SavedAllocation } from './allocation.js';
import { type Pod, restartPolicyOf } from './api.js';

/** What an earlier life of the node left of a pod. */
export interface FoundPod {
  readonly sandbox?: SandboxStatus | undefined;
  readonly allocation?: SavedAllocation | undefined;
}

type Found = NonNullable<ContainerInput['found']>;

/**
 * What is known of a container when its pod is taken over: first what the runtime still holds, then what the API remembers.
 * Undefined for a container that has never been started.
 */
export function foundContainer(pod: Pod, container: Container, sandbox: SandboxStatus | undefined): Found | undefined {
  const remembered = rememberedStatus(pod, container.name);
  const present = sandbox?.containers
    .filter((c) => c.name === container.name)
    .sort((a, b) => attemptOf(a) - attemptOf(b));
  const newest = present?.at(-1);
  if (newest) return fromRuntime(container, newest, present?.at(-2), remembered);
  return remembered?.containerID ? fromApi(pod, remembered) : undefined;
}

function fromRuntime(
  container: Container,
  c: ContainerStatus,
  older: ContainerStatus | undefined,
  api: ApiContainerStatus | undefined,
): Found {
  const attempt = attemptOf(c);
  const last = older ? terminatedState(older, '') : api?.lastState?.terminated;
  const base = {
    attempt,
    image: c.annotations[ANNOTATION.image] ?? api?.image ?? '',
    imageID: c.annotations[ANNOTATION.imageID] ?? api?.imageID ?? '',
    ...(last ? { last } : {}),
  };
  const same = api?.restartCount === attempt;
  if (c.state === 'running') {
    const known = (what: 'started' | 'ready') => same && api?.[what] === true;
    // What no probe has to say is so, also where the last kubelet died before it could be told.
    return {
      ...base,
      running: startedContainer(c),
      started: !container.startupProbe || known('started'),
      ready: !(container.startupProbe || container.readinessProbe) || known('ready'),
    };
  }
  const seen = same ? api?.state?.terminated : undefined;
  return {
    ...base,
    terminated: seen ?? terminatedState(c, ''),
    ranMs: (c.finishedAt ?? c.startedAt) - c.startedAt,
    started: false,
    ready: false,
  };
}

/** The container was there in an earlier life of the node; what became of it nobody knows unless the API does. */
function fromApi(pod: Pod, api: ApiContainerStatus): Found {
  const ended = api.state?.terminated ?? api.lastState?.terminated;
  const base = { attempt: api.restartCount, image: api.image, imageID: api.imageID, started: false, ready: false };
  if (api.state?.terminated) return { ...base, terminated: api.state.terminated };
  if (restartPolicyOf(pod.spec) !== 'Never') return { ...base, ...(ended ? { last: ended } : {}) };
  return {
    ...base,
    terminated: {
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod was terminated',
      ...(api.containerID ? { containerID: api.containerID } : {}),
    },
  };
}

function rememberedStatus(pod: Pod, name: string): ApiContainerStatus | undefined {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses].find((s) => s.name === name);
}

/**
 * What the pod's containers were started with. A resize that came while no kubelet was there is then seen as one; what was
 * written down of an earlier one is newer than that.
 */
export function foundAllocation(sandbox: SandboxStatus | undefined, saved: SavedAllocation | undefined) {
  const started: Record<string, Allocation[string]> = {};
  for (const c of [...(sandbox?.containers ?? [])].sort((a, b) => attemptOf(a) - attemptOf(b))) {
    const text = c.annotations[ANNOTATION.resources];
    if (text !== undefined) started[c.name] = JSON.parse(text) as Allocation[string];
  }
  return { allocated: { ...started, ...saved?.allocated }, actuated: { ...started, ...saved?.actuated } };
}

/** The image its newest container was started for, as the object named it then. */
export function foundImage(sandbox: SandboxStatus | undefined, name: string): string | undefined {
  const present = sandbox?.containers.filter((c) => c.name === name).sort((a, b) => attemptOf(a) - attemptOf(b));
  return present?.at(-1)?.annotations[ANNOTATION.definedImage];
}

/** The end of a container that went down with its pod's sandbox and whose exit nobody saw. */
export function lostContainer(context: ContainerContext, id: string, now: number): ContainerStatus {
  return {
    id,
    name: context.container.name,
    state: 'exited',
    pid: 0,
    startedAt: context.running?.startedAt ?? 0,
    finishedAt: now,
    exitCode: 137,
    logPath: '',
    annotations: { [ANNOTATION.attempt]: String(context.attempt) },
  };
}
