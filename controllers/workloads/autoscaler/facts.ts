import { isDeleting, type View, withCondition } from '@trimtab/framework';
import {
  type HorizontalPodAutoscaler,
  type HorizontalPodAutoscalerCondition,
  type HorizontalPodAutoscalerStatus,
  HorizontalPodAutoscalers,
  type MetricStatus,
  matchesLabels,
  type ObjectKey,
  Pods,
  parseLabelSelector,
  type ResourceType,
  type Scale,
  timestamp,
} from '@trimtab/machinery';
import { type History, historyOf, recommend, rescale } from './history.js';
import { limit, lookBackMs } from './limits.js';
import { toleranceOf, type Verdict, verdictOn } from './metrics.js';
import type { Observed } from './readings.js';

export interface Complaint {
  readonly reason: string;
  readonly message: string;
}

/** All that an autoscaler's next step depends on. */
export interface AutoscalerFacts {
  readonly hpa: HorizontalPodAutoscaler;
  readonly standing: 'unknownTarget' | 'inactive' | 'disabled' | 'scaling' | 'limited' | 'steady';
  /** What is to be scaled; undefined where it is not known. */
  readonly target?: { readonly resource: ResourceType; readonly key: ObjectKey; readonly scale: Scale };
  readonly desired: number;
  /** Why the number changes. */
  readonly because: string;
  readonly history: History;
  readonly complaints: readonly Complaint[];
  /** The last attempt to change the number failed. */
  readonly failed: boolean;
  readonly status: HorizontalPodAutoscalerStatus;
}

interface Decision {
  readonly standing: AutoscalerFacts['standing'];
  readonly desired: number;
  readonly because?: string;
  readonly history: History;
  readonly complaints?: readonly Complaint[];
  readonly metrics?: readonly MetricStatus[];
  readonly conditions: readonly HorizontalPodAutoscalerCondition[];
}

export function autoscalerFacts(
  view: View<HorizontalPodAutoscaler>,
  observed: Observed | undefined,
): AutoscalerFacts | undefined {
  const { object: hpa, now } = view;
  if (!hpa || !observed || isDeleting(hpa)) return undefined;
  const { scale } = observed;
  if (scale.type === 'failed') {
    const { why } = scale;
    const message = `the HPA controller was unable to get the target's current scale: ${why}`;
    const desired = hpa.status?.desiredReplicas ?? 0;
    return {
      hpa,
      standing: 'unknownTarget',
      desired,
      because: '',
      history: historyOf(hpa, desired),
      complaints: [{ reason: 'FailedGetScale', message: why }],
      failed: false,
      status: withConditions(hpa, { ...hpa.status, desiredReplicas: desired }, now, [
        { type: 'AbleToScale', status: 'False', reason: 'FailedGetScale', message },
      ]),
    };
  }
  const failed = view.failure?.effect?.type === 'patch' && view.failure.effect.subresource === 'scale';
  const decision = decide(view, hpa, observed, scale);
  const { desired, history, conditions, metrics = [], complaints = [], because = '' } = decision;
  const scaling = desired !== scale.wanted;
  const able = ableToScale(decision, scaling, failed ? view.failure!.error.message : undefined);
  const done = history.rescalings.at(-1)?.at;
  const status: HorizontalPodAutoscalerStatus = {
    ...(hpa.metadata.generation === undefined ? {} : { observedGeneration: hpa.metadata.generation }),
    ...(hpa.status?.conditions ? { conditions: hpa.status.conditions } : {}),
    ...(done === undefined ? lastScaleTime(hpa) : { lastScaleTime: timestamp(done) }),
    currentReplicas: scale.present,
    desiredReplicas: desired,
    ...(metrics.length > 0 ? { currentMetrics: metrics } : {}),
  };
  return {
    hpa,
    standing: decision.standing,
    target: {
      resource: scale.resource,
      key: { namespace: hpa.metadata.namespace, name: hpa.spec.scaleTargetRef.name },
      scale: scale.scale,
    },
    desired,
    because,
    history,
    complaints,
    failed: failed && scaling,
    status: withConditions(hpa, status, now, [...(able ? [able] : []), ...conditions]),
  };
}

const lastScaleTime = ({ status }: HorizontalPodAutoscaler) =>
  status?.lastScaleTime ? { lastScaleTime: status.lastScaleTime } : {};

function withConditions(
  hpa: HorizontalPodAutoscaler,
  status: HorizontalPodAutoscalerStatus,
  now: number,
  conditions: readonly HorizontalPodAutoscalerCondition[],
): HorizontalPodAutoscalerStatus {
  const all = conditions.reduce(
    (present, condition) => withCondition(present, condition, now),
    hpa.status?.conditions ?? [],
  );
  return { ...status, conditions: all };
}

function ableToScale(
  { desired, conditions }: Decision,
  scaling: boolean,
  failure: string | undefined,
): HorizontalPodAutoscalerCondition | undefined {
  if (!scaling) {
    // Stabilization has its own word on it.
    if (conditions.some(({ type }) => type === 'AbleToScale')) return undefined;
    const message = "the HPA controller was able to get the target's current scale";
    return { type: 'AbleToScale', status: 'True', reason: 'SucceededGetScale', message };
  }
  const told = conditions.find(({ type }) => type === 'AbleToScale');
  if (failure !== undefined && !told)
    return {
      type: 'AbleToScale',
      status: 'False',
      reason: 'FailedUpdateScale',
      message: `the HPA controller was unable to update the target scale: ${failure}`,
    };
  return {
    type: 'AbleToScale',
    status: 'True',
    reason: 'SucceededRescale',
    message: `the HPA controller was able to update the target scale to ${desired}`,
  };
}

type Found = Extract<Observed['scale'], { type: 'found' }>;

function decide(
  view: View<HorizontalPodAutoscaler>,
  hpa: HorizontalPodAutoscaler,
  { readings }: Observed,
  scale: Found,
): Decision {
  const { spec } = hpa;
  const { now } = view;
  const { wanted: current, selector } = scale;
  const min = spec.minReplicas ?? 1;
  const max = spec.maxReplicas;
  const history = historyOf(hpa, current);
  const keepMs = lookBackMs(hpa);
  const inactive = (reason: string, message: string, more: Partial<Decision> = {}): Decision => ({
    standing: 'inactive',
    desired: current,
    history,
    conditions: [{ type: 'ScalingActive', status: 'False', reason, message }],
    complaints: [{ reason, message }],
    ...more,
  });
  if (current === 0 && min !== 0)
    return inactive('ScalingDisabled', 'scaling is disabled since the replica count of the target is zero', {
      standing: 'disabled',
      complaints: [],
    });
  if (current > max || current < min) {
    const desired = current > max ? max : min;
    const because =
      current > max
        ? 'Current number of replicas above Spec.MaxReplicas'
        : 'Current number of replicas below Spec.MinReplicas';
    const done = rescale(history, current, desired, now, keepMs);
    return { standing: 'scaling', desired, because, history: done, conditions: [] };
  }
  if (!selector) return inactive('InvalidSelector', "the HPA target's scale is missing a selector");
  const rivals = rivalsOf(view, hpa);
  if (rivals.length > 0)
    return inactive(
      'AmbiguousSelector',
      `pods by selector ${selector} are controlled by multiple HPAs: [${rivals.join(' ')}]`,
    );
  const labels = parseLabelSelector(selector);
  const pods = view.list(Pods, hpa.metadata.namespace).filter(({ metadata }) => matchesLabels(labels, metadata.labels));
  const scaled = { wanted: current, present: scale.present, pods, tolerance: toleranceOf(hpa), now };
  const verdicts = (spec.metrics ?? []).map((metric, i) => verdictOn(metric, readings[i]!, scaled));
  const metrics = verdicts.flatMap((verdict) => (verdict.type === 'wants' ? [verdict.status] : []));
  const best = highest(verdicts);
  const failures = verdicts.filter((verdict) => verdict.type === 'failed');
  const complaints = failures.map(({ reason, message }) => ({ reason, message }));
  // As long as a metric does not say what it needs, nothing is taken away.
  if (!best || (failures.length > 0 && best.replicas < current)) {
    const [first] = failures;
    const all = `invalid metrics (${failures.length} invalid out of ${verdicts.length}), first error is: ${first?.message ?? 'no metrics'}`;
    return inactive(
      first?.reason ?? 'InvalidMetricSourceType',
      `the HPA was unable to compute the replica count: ${first?.message}`,
      {
        metrics,
        complaints: [...complaints, { reason: 'FailedComputeMetricsReplicas', message: all }],
      },
    );
  }
  const recommended = recommend(history, best.replicas, now, keepMs);
  const { replicas, able, limited } = limit(hpa, best.replicas, current, recommended, { min, max }, now);
  const scaling = replicas !== current;
  return {
    standing: scaling ? 'scaling' : limited.status === 'True' ? 'limited' : 'steady',
    desired: replicas,
    because: replicas > current ? `${best.name} above target` : 'All metrics below target',
    history: scaling ? rescale(recommended, current, replicas, now, keepMs) : recommended,
    metrics,
    complaints,
    conditions: [
      {
        type: 'ScalingActive',
        status: 'True',
        reason: 'ValidMetricFound',
        message: `the HPA was able to successfully calculate a replica count from ${best.name}`,
      },
      ...(scaling ? [] : [{ type: 'AbleToScale', status: 'True', ...able }]),
      { type: 'ScalingLimited', ...limited },
    ],
  };
}

type Wish = Extract<Verdict, { type: 'wants' }>;

const highest = (verdicts: readonly Verdict[]): Wish | undefined =>
  verdicts.reduce<Wish | undefined>(
    (best, verdict) => (verdict.type === 'wants' && (!best || verdict.replicas > best.replicas) ? verdict : best),
    undefined,
  );

/** Autoscalers of the same target, this one among them; none where it is alone. */
function rivalsOf(view: View<HorizontalPodAutoscaler>, { metadata, spec }: HorizontalPodAutoscaler): readonly string[] {
  const { kind, name } = spec.scaleTargetRef;
  const all = view
    .list(HorizontalPodAutoscalers, metadata.namespace)
    .filter((other) => other.spec.scaleTargetRef.kind === kind && other.spec.scaleTargetRef.name === name)
    .map((other) => `${other.metadata.namespace}/${other.metadata.name}`);
  return all.length > 1 ? all.sort() : [];
}
