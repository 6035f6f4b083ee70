import { type ContainerState, type Pod, type PodCondition, type PodStatus, timestamp } from '@trimtab/machinery';
import { isReadyAt, type PodLife, type PodScript, willRestart } from './script.js';

/** The status a kubelet writes for a pod whose life stands there. Pure; transition times are kept where nothing changed. */
export function podStatus(
  pod: Pod,
  life: PodLife,
  script: PodScript,
  at: { readonly now: number; readonly podIP: string; readonly hostIP: string },
): PodStatus {
  const { now, podIP, hostIP } = at;
  const ready = isReadyAt(life, script, now);
  const ended = life.exitedAt !== undefined && !willRestart(pod, life.exitCode!);
  const phase = ended
    ? life.exitCode === 0
      ? 'Succeeded'
      : 'Failed'
    : life.startedAt === undefined
      ? 'Pending'
      : 'Running';
  const has = life.startedAt !== undefined;
  const generation = pod.metadata.generation;
  const own = [
    condition('PodReadyToStartContainers', has && !ended),
    condition('Initialized', true, ended && life.exitCode === 0 ? 'PodCompleted' : undefined),
    ...(['Ready', 'ContainersReady'] as const).map((type) =>
      condition(
        type,
        ready,
        ready
          ? undefined
          : phase === 'Succeeded'
            ? 'PodCompleted'
            : phase === 'Failed'
              ? 'PodFailed'
              : 'ContainersNotReady',
      ),
    ),
    condition('PodScheduled', true),
  ].map((wanted) => dated(wanted, pod.status?.conditions, now));
  // What others say of the pod (readiness gates, DisruptionTarget) stays.
  const others = (pod.status?.conditions ?? []).filter(({ type }) => own.every((each) => each.type !== type));
  const conditions = [...own, ...others];
  const state = containerState(life, script, ended);
  return {
    ...pod.status,
    phase,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    conditions,
    hostIP,
    hostIPs: [{ ip: hostIP }],
    ...(has ? { podIP, podIPs: [{ ip: podIP }] } : {}),
    startTime: pod.status?.startTime ?? timestamp(life.boundAt),
    containerStatuses: (pod.spec?.containers ?? []).map(({ name, image = '' }) => ({
      name,
      image,
      imageID: has ? `sha256:${image}` : '',
      ...(has ? { containerID: `scripted://${pod.metadata.uid}/${name}/${life.restarts}` } : {}),
      ready,
      started: has && life.exitedAt === undefined,
      restartCount: life.restarts,
      state,
      lastState: {},
    })),
  };
}

function containerState(life: PodLife, script: PodScript, ended: boolean): ContainerState {
  if (life.exitedAt !== undefined && ended)
    return {
      terminated: {
        exitCode: life.exitCode!,
        reason: life.exitCode === 0 ? 'Completed' : 'Error',
        startedAt: timestamp(life.startedAt!),
        finishedAt: timestamp(life.exitedAt),
      },
    };
  if (life.exitedAt !== undefined) return { waiting: { reason: 'CrashLoopBackOff' } };
  if (life.startedAt !== undefined) return { running: { startedAt: timestamp(life.startedAt) } };
  return { waiting: { reason: script.waits ?? 'ContainerCreating' } };
}

const condition = (type: string, holds: boolean, reason?: string): PodCondition => ({
  type,
  status: holds ? 'True' : 'False',
  ...(reason ? { reason } : {}),
});

function dated(wanted: PodCondition, present: readonly PodCondition[] | undefined, now: number): PodCondition {
  const old = present?.find(({ type }) => type === wanted.type);
  const same = old?.status === wanted.status && old.lastTransitionTime !== undefined;
  return { ...wanted, lastTransitionTime: same ? old.lastTransitionTime! : timestamp(now) };
}
