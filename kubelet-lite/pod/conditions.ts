import type { ContainerStatus, PodCondition, PodSpec } from '@trimtab/machinery';
import { timestamp } from '@trimtab/machinery';
import type { PodPhase } from './api.js';
import type { Verdict } from './machine.js';
import type { ResizeView } from './resize.js';

/** A condition before it knows when it last changed. */
export type Finding = Pick<PodCondition, 'type' | 'status' | 'reason' | 'message'>;

export interface ConditionInput {
  readonly spec: PodSpec;
  readonly phase: PodPhase;
  readonly statuses: readonly ContainerStatus[];
  readonly initStatuses: readonly ContainerStatus[];
  /** Conditions the API object has now: readiness gates are read from them. */
  readonly present: readonly PodCondition[];
  readonly initialized: boolean;
  readonly sandboxReady: boolean;
  readonly resize: ResizeView;
  readonly restarting: boolean;
  /** Why the pod ends failed, where it does so for a reason of the node's. */
  readonly verdict?: Verdict;
}

/** Those of the kubelet's conditions that are there only while they say something. */
export const PASSING_CONDITIONS: readonly string[] = [
  'PodResizePending',
  'PodResizeInProgress',
  'AllContainersRestarting',
];

const names = (list: readonly string[]): string => `[${list.join(' ')}]`;
const finding = (type: string, ok: boolean, reason?: string, message?: string): Finding => ({
  type,
  status: ok ? 'True' : 'False',
  ...(reason ? { reason } : {}),
  ...(message ? { message } : {}),
});

/** The conditions the kubelet owns, with Kubernetes' reasons and texts: five always, those of a resize while there is one. */
export function podConditions(input: ConditionInput): readonly Finding[] {
  const containersReady = containersReadyCondition(input);
  return [
    finding('PodReadyToStartContainers', input.sandboxReady),
    initializedCondition(input),
    readyCondition(input, containersReady),
    containersReady,
    finding('PodScheduled', true),
    ...resizeConditions(input),
    ...(input.restarting ? [finding('AllContainersRestarting', true)] : []),
    ...disruption(input),
  ];
}

function resizeConditions({ phase, resize: { pending, inProgress } }: ConditionInput): readonly Finding[] {
  if (phase === 'Succeeded' || phase === 'Failed') return [];
  const { error } = inProgress ?? {};
  return [
    ...(pending ? [finding('PodResizePending', true, pending.reason, pending.message)] : []),
    ...(inProgress ? [finding('PodResizeInProgress', true, error ? 'Error' : undefined, error)] : []),
  ];
}

/** The verdicts by which the node takes a pod's place away. */
const DISRUPTIONS = ['Evicted', 'Terminated', 'Preempting'];

const disruption = ({ verdict }: ConditionInput): readonly Finding[] =>
  verdict && DISRUPTIONS.includes(verdict.reason)
    ? [finding('DisruptionTarget', true, 'TerminationByKubelet', verdict.message)]
    : [];

function initializedCondition({ spec, phase, initStatuses, initialized }: ConditionInput): Finding {
  if (phase === 'Succeeded') return finding('Initialized', true, 'PodCompleted');
  if (initialized || !spec.initContainers?.length) return finding('Initialized', true);
  const incomplete = spec.initContainers.filter((c) => {
    const status = initStatuses.find((s) => s.name === c.name);
    return c.restartPolicy === 'Always' ? !status?.started : status?.state?.terminated?.exitCode !== 0;
  });
  return finding(
    'Initialized',
    incomplete.length === 0,
    incomplete.length ? 'ContainersNotInitialized' : undefined,
    incomplete.length ? `containers with incomplete status: ${names(incomplete.map((c) => c.name))}` : undefined,
  );
}

function containersReadyCondition({ spec, phase, statuses, initStatuses }: ConditionInput): Finding {
  if (phase === 'Succeeded') return finding('ContainersReady', false, 'PodCompleted');
  if (phase === 'Failed') return finding('ContainersReady', false, 'PodFailed');
  const lasting = [...(spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'), ...spec.containers];
  const unready = lasting
    .filter((c) => ![...initStatuses, ...statuses].find((s) => s.name === c.name)?.ready)
    .map((c) => c.name);
  if (unready.length === 0) return finding('ContainersReady', true);
  return finding('ContainersReady', false, 'ContainersNotReady', `containers with unready status: ${names(unready)}`);
}

function readyCondition({ spec, present }: ConditionInput, containers: Finding): Finding {
  if (containers.status !== 'True') return { ...containers, type: 'Ready' };
  const closed = (spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const gate = present.find((c) => c.type === conditionType);
    if (!gate) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    if (gate.status === 'True') return [];
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`];
  });
  return closed.length === 0
    ? finding('Ready', true)
    : finding('Ready', false, 'ReadinessGatesNotReady', closed.join(', '));
}

/** Gives findings their times: `lastTransitionTime` moves only when the status does. */
export function dated(
  findings: readonly Finding[],
  previous: readonly PodCondition[],
  now: number,
  generation: number | undefined,
): readonly PodCondition[] {
  const date = timestamp(now);
  return findings.map((f) => {
    const old = previous.find((c) => c.type === f.type);
    return {
      ...f,
      lastTransitionTime: old?.status === f.status && old.lastTransitionTime ? old.lastTransitionTime : date,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
  });
}
