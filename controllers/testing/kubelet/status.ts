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
  const present = pod.status?.conditions ?? [];
  const unready = phase === 'Succeeded' ? 'PodCompleted' : phase === 'Failed' ? 'PodFailed' : 'ContainersNotReady';
  const say = (type: string, holds: boolean, reason?: string) => condition(type, holds, reason, present, now);
  const own = [
    say('PodReadyToStartContainers', has && !ended),
    say('Initialized', true, ended && life.exitCode === 0 ? 'PodCompleted' : undefined),
    say('Ready', ready, ready ? undefined : unready),
    say('ContainersReady', ready, ready ? undefined : unready),
    say('PodScheduled', true),
  ];
  // What others say of the pod (readiness gates, DisruptionTarget) stays.
  const others = present.filter(({ type }) => own.every((each) => each.type !== type));
  const state = containerState(life, script, ended);
  // Set one by one: a status is made at every look at a pod, and spreads of what may be absent are slow.
  const status: { -readonly [F in keyof PodStatus]: PodStatus[F] } = { ...pod.status };
  status.phase = phase;
  if (generation !== undefined) status.observedGeneration = generation;
  status.conditions = [...own, ...others];
  status.hostIP = hostIP;
  status.hostIPs = [{ ip: hostIP }];
  if (has) {
    status.podIP = podIP;
    status.podIPs = [{ ip: podIP }];
  }
  status.startTime = pod.status?.startTime ?? timestamp(life.boundAt);
  status.containerStatuses = (pod.spec?.containers ?? []).map(({ name, image = '' }) => {
    const started = has && life.exitedAt === undefined;
    const rest = { ready, started, restartCount: life.restarts, state, lastState: {} };
    if (!has) return { name, image, imageID: '', ...rest };
    const containerID = `scripted://${pod.metadata.uid}/${name}/${life.restarts}`;
    return { name, image, imageID: `sha256:${image}`, containerID, ...rest };
  });
  return status;
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

/** The time of its last transition is kept while the status is the same. */
function condition(
  type: string,
  holds: boolean,
  reason: string | undefined,
  present: readonly PodCondition[],
  now: number,
): PodCondition {
  const status = holds ? 'True' : 'False';
  const old = present.find((each) => each.type === type);
  const since = old?.status === status ? old.lastTransitionTime : undefined;
  const lastTransitionTime = since ?? timestamp(now);
  return reason ? { type, status, reason, lastTransitionTime } : { type, status, lastTransitionTime };
}
