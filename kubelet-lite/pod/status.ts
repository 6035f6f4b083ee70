import type { ContainerStatus, PodStatus } from '@trimtab/machinery';
import { containerIdOf } from '../container/container-id.js';
import type { ContainerContext } from '../container/machine-types.js';
import { isTerminal, type Pod, type PodPhase } from './api.js';
import { dated, podConditions } from './conditions.js';
import type { Verdict } from './machine.js';
import { podPhase } from './phase.js';
import { qosClass } from './qos.js';
import type { ResizeView } from './resize.js';

/** Everything a pod's status is made of; all of it known to the pod's worker, none of it read from the API. */
export interface PodView {
  readonly pod: Pod;
  readonly hostIP: string;
  readonly podIPs: readonly string[];
  readonly startTime: string;
  readonly sandboxReady: boolean;
  readonly initialized: boolean;
  /** Nothing in the pod runs or will run. */
  readonly ended: boolean;
  readonly verdict?: Verdict;
  readonly resize: ResizeView;
  /** All containers begin anew. */
  readonly restarting: boolean;
  readonly containers: ReadonlyMap<string, ContainerContext>;
  /** The status last written: transition times and terminal phases are kept from it. */
  readonly previous: PodStatus;
  readonly now: number;
}

/** True when both views give the same status: most steps of a pod's inner life change nothing that can be seen. */
export function sameView(a: PodView | undefined, b: PodView): boolean {
  return a !== undefined && a.pod === b.pod && sameOnNode(a, b);
}

/**
 * True when only the object differs, and not in what a status is made of: what differs is what others, or we, have written
 * to its status or its metadata.
 */
export function sameBesideObject(a: PodView, b: PodView): boolean {
  const { spec } = b.pod;
  if (a.pod.spec !== spec || a.pod.metadata.generation !== b.pod.metadata.generation) return false;
  return !spec.readinessGates?.length && sameOnNode(a, b);
}

function sameOnNode(a: PodView, b: PodView): boolean {
  if (a.containers.size !== b.containers.size || a.verdict !== b.verdict) return false;
  if (a.sandboxReady !== b.sandboxReady || a.initialized !== b.initialized || a.ended !== b.ended) return false;
  if (a.podIPs !== b.podIPs || a.resize !== b.resize || a.restarting !== b.restarting) return false;
  for (const [name, c] of b.containers) {
    const old = a.containers.get(name);
    if (!old || VISIBLE.some((field) => old[field] !== c[field])) return false;
  }
  return true;
}

const VISIBLE = ['state', 'last', 'attempt', 'started', 'ready', 'image', 'imageID', 'containerID'] as const;

/** What a container waits for before anybody waits for the pod: nobody is told of each step. */
export const BEGINNING_REASONS: readonly string[] = ['ContainerCreating', 'PodInitializing'];

/** True while every container waits for its first start and nothing is amiss: the pod is Pending, as it was when it came. */
export function nothingBegun({ pod: { spec }, verdict, ended, restarting, containers, previous }: PodView): boolean {
  if (verdict || ended || restarting || (previous.phase ?? 'Pending') !== 'Pending') return false;
  const waits = ({ name }: { readonly name: string }): boolean => {
    const c = containers.get(name);
    return c !== undefined && !c.last && BEGINNING_REASONS.includes(c.state.waiting?.reason ?? '');
  };
  return spec.containers.every(waits) && (spec.initContainers ?? []).every(waits);
}

/** The complete status the kubelet wants the pod to have. Pure. */
export function podStatus(view: PodView): PodStatus {
  const { pod, previous } = view;
  const { spec } = pod;
  const all = (list: readonly { readonly name: string }[] | undefined, init: boolean) =>
    (list ?? []).flatMap((c) => containerStatus(c.name, view, init) ?? []);
  const containerStatuses = all(spec.containers, false);
  const initContainerStatuses = all(spec.initContainers, true);
  const ephemeralContainerStatuses = all(spec.ephemeralContainers, false);
  const phase = phaseOf(view, containerStatuses, initContainerStatuses);
  // Why a pod has failed outlives the kubelet that made it so.
  const { reason, message = '' } = previous;
  const told = isTerminal(previous.phase) && reason ? { reason, message } : undefined;
  const verdict = view.verdict ?? told;
  const findings = podConditions({
    spec,
    phase,
    statuses: containerStatuses,
    initStatuses: initContainerStatuses,
    present: pod.status?.conditions ?? [],
    initialized: view.initialized,
    sandboxReady: view.sandboxReady,
    resize: view.resize,
    restarting: view.restarting,
    ...(verdict ? { verdict } : {}),
  });
  const generation = pod.metadata.generation;
  return {
    phase,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    conditions: dated(findings, previous.conditions ?? [], view.now, generation),
    ...(verdict ? { reason: verdict.reason, message: verdict.message } : {}),
    hostIP: view.hostIP,
    hostIPs: [{ ip: view.hostIP }],
    ...(view.podIPs.length > 0 ? { podIP: view.podIPs[0], podIPs: view.podIPs.map((ip) => ({ ip })) } : {}),
    startTime: view.startTime,
    ...(initContainerStatuses.length > 0 ? { initContainerStatuses } : {}),
    ...(containerStatuses.length > 0 ? { containerStatuses } : {}),
    ...(ephemeralContainerStatuses.length > 0 ? { ephemeralContainerStatuses } : {}),
    qosClass: previous.qosClass ?? qosClass(spec),
  };
}

function phaseOf(
  view: PodView,
  statuses: readonly ContainerStatus[],
  initStatuses: readonly ContainerStatus[],
): PodPhase {
  const before = view.previous.phase as PodPhase | undefined;
  if (before && isTerminal(before)) return before;
  if (view.verdict && view.ended) return 'Failed';
  const phase = podPhase(view.pod.spec, statuses, initStatuses, view.ended);
  // A terminal phase says that nothing runs any more: sidecars may still be stopping.
  if (isTerminal(phase) && !view.ended) return before ?? 'Running';
  return phase;
}

function containerStatus(name: string, view: PodView, init: boolean): ContainerStatus | undefined {
  const c = view.containers.get(name);
  const before = [
    ...(view.previous.containerStatuses ?? []),
    ...(view.previous.initContainerStatuses ?? []),
    ...(view.previous.ephemeralContainerStatuses ?? []),
  ].find((s) => s.name === name);
  // A pod that was refused, or had ended before this kubelet saw it, keeps what it has.
  if (!c) return before;
  const state = view.ended && !c.state.terminated ? { terminated: lost(c) } : c.state;
  const completed = init && c.kind === 'init' && state.terminated?.exitCode === 0;
  return {
    name,
    state,
    lastState: c.last ? { terminated: c.last } : {},
    ready: (completed || c.ready) && (c.kind !== 'init' || completed),
    restartCount: Math.max(c.attempt, 0),
    image: c.image,
    imageID: c.imageID,
    ...(c.containerID ? { containerID: containerIdOf(c.containerID) } : {}),
    started: c.started && state.running !== undefined,
    ...amounts(name, view, state.running !== undefined),
    ...(c.running?.user ? { user: c.running.user } : {}),
    ...(c.running?.stopSignal ? { stopSignal: c.running.stopSignal } : {}),
    ...mounts(c),
  };
}

/** What is set aside for the container, and what is enforced (for one that does not run: will be). */
function amounts(name: string, { resize }: PodView, running: boolean) {
  const allocated = resize.allocated[name];
  const actual = running ? resize.actuated[name] : allocated;
  return {
    ...(allocated?.requests ? { allocatedResources: allocated.requests } : {}),
    ...(actual && Object.keys(actual).length > 0 ? { resources: actual } : {}),
  };
}

/** A container's mounts as they are: of read-only ones, whether all below them is read-only too. */
function mounts({ container }: ContainerContext) {
  const volumeMounts = (container.volumeMounts ?? []).map(({ name, mountPath, readOnly, recursiveReadOnly }) => ({
    name,
    mountPath,
    ...(readOnly
      ? { readOnly, recursiveReadOnly: recursiveReadOnly && recursiveReadOnly !== 'Disabled' ? 'Enabled' : 'Disabled' }
      : {}),
  }));
  return volumeMounts.length > 0 ? { volumeMounts } : {};
}

/** Kubernetes' words for a container of an ended pod that never ran, or whose end nobody saw. */
function lost(c: ContainerContext) {
  return (
    c.last ?? {
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod was terminated',
    }
  );
}
