import { conditionOf } from '@trimtab/framework';
import type { HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, Pod } from '@trimtab/machinery';
import { formatQuantity, milliQuantity, podRequests, quantityMilliValue } from '@trimtab/machinery';
import { isActive } from '../pods.js';
import { groupPods } from './pod-groups.js';
import { milli, type Reading } from './readings.js';
import { replicasForAverage, replicasForPods, replicasForValue, type Target, type Tolerance } from './replica-count.js';

/** What a metric comes to: how many replicas it wants, or why it does not say. */
export type Verdict =
  | { readonly type: 'wants'; readonly name: string; readonly replicas: number; readonly status: MetricStatus }
  | { readonly type: 'failed'; readonly reason: string; readonly message: string };

export interface Scaled {
  readonly wanted: number;
  readonly present: number;
  readonly pods: readonly Pod[];
  readonly tolerance: Tolerance;
  readonly now: number;
}

const DEFAULT_TOLERANCE = 0.1;

export function toleranceOf({ spec }: HorizontalPodAutoscaler): Tolerance {
  const of = (tolerance: string | undefined) => (tolerance === undefined ? DEFAULT_TOLERANCE : milli(tolerance) / 1000);
  return { up: of(spec.behavior?.scaleUp?.tolerance), down: of(spec.behavior?.scaleDown?.tolerance) };
}

export function verdictOn(metric: MetricSpec, reading: Reading, scaled: Scaled): Verdict {
  const kind = FAILURES[metric.type] ?? 'UnknownMetricSourceType';
  const failed = (why: string): Verdict => {
    const what = describe(metric);
    return { type: 'failed', reason: kind, message: `failed to get ${what}: ${why}` };
  };
  if (reading.type === 'failed') return failed(`unable to get metrics: ${reading.why}`);
  try {
    return { type: 'wants', name: nameOf(metric), ...wantedBy(metric, reading, scaled) };
  } catch (error) {
    return failed((error as Error).message);
  }
}

const FAILURES: Readonly<Record<string, string>> = {
  Resource: 'FailedGetResourceMetric',
  ContainerResource: 'FailedGetContainerResourceMetric',
  Pods: 'FailedGetPodsMetric',
  Object: 'FailedGetObjectMetric',
  External: 'FailedGetExternalMetric',
};

function wantedBy(
  metric: MetricSpec,
  reading: Exclude<Reading, { type: 'failed' }>,
  scaled: Scaled,
): { readonly replicas: number; readonly status: MetricStatus } {
  const { resource, containerResource, pods, object, external } = metric;
  if (reading.type === 'pods') {
    const source = (resource ?? containerResource ?? pods)!;
    const name = resource?.name ?? containerResource?.name;
    if (scaled.pods.length === 0) throw new Error('no pods returned by selector while calculating replica count');
    const groups = groupPods(scaled.pods, reading.samples, { isCpu: name === 'cpu' }, scaled.now);
    const target = targetOf(source.target, scaled.pods, name, containerResource?.container);
    const { replicas, average, utilization } = replicasForPods(scaled.wanted, groups, target, scaled.tolerance);
    const current = {
      ...(utilization === undefined ? {} : { averageUtilization: utilization }),
      averageValue: quantity(average),
    };
    if (pods) return { replicas, status: { type: 'Pods', pods: { metric: pods.metric, current } } };
    if (resource) return { replicas, status: { type: 'Resource', resource: { name: resource.name, current } } };
    const { container } = containerResource!;
    return {
      replicas,
      status: { type: 'ContainerResource', containerResource: { name: name!, container, current } },
    };
  }
  const { target } = (object ?? external)!;
  const value = reading.values.reduce((sum, each) => sum + each, 0);
  const perPod = target.averageValue !== undefined && target.value === undefined;
  const each = perPod
    ? replicasForAverage(scaled.present, value, milli(target.averageValue!), scaled.tolerance)
    : undefined;
  const replicas =
    each?.replicas ??
    replicasForValue(scaled.wanted, readyPods(scaled.pods), value, milli(target.value ?? '0'), scaled.tolerance);
  const current = each ? { averageValue: quantity(each.average) } : { value: quantity(value) };
  if (external) return { replicas, status: { type: 'External', external: { metric: external.metric, current } } };
  const { describedObject, metric: identifier } = object!;
  return { replicas, status: { type: 'Object', object: { describedObject, metric: identifier, current } } };
}

const readyPods = (pods: readonly Pod[]): number =>
  pods.filter(
    (pod) =>
      isActive(pod) &&
      pod.status?.phase === 'Running' &&
      conditionOf(pod.status.conditions, 'Ready')?.status === 'True',
  ).length;

function targetOf(
  { averageUtilization, averageValue }: MetricTarget,
  pods: readonly Pod[],
  resource: string | undefined,
  container: string | undefined,
): Target {
  if (averageUtilization === undefined || resource === undefined) return { amount: milli(averageValue ?? '0') };
  return {
    utilization: averageUtilization,
    requests: new Map(pods.map((pod) => [pod.metadata.name!, requestOf(pod, resource, container)])),
  };
}

/** What a pod asks for, in thousandths. Throws unless each container that counts asks for some. */
function requestOf(pod: Pod, resource: string, container: string | undefined): number {
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  const lasting = [...containers, ...initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always')];
  if (container === undefined && pod.spec?.resources?.requests?.[resource] !== undefined)
    return quantityMilliValue(podRequests(pod).get(resource)!);
  const counted = lasting.filter(({ name }) => container === undefined || name === container);
  if (counted.length === 0)
    throw new Error(
      `container ${container} not present in metrics for pod ${pod.metadata.namespace}/${pod.metadata.name}`,
    );
  return counted.reduce((sum, { name, resources }) => {
    const request = resources?.requests?.[resource];
    if (request === undefined)
      throw new Error(`missing request for ${resource} in container ${name} of Pod ${pod.metadata.name}`);
    return sum + milli(request);
  }, 0);
}

const quantity = (thousandths: number): string => formatQuantity(milliQuantity(Math.round(thousandths)));

/** As events and conditions name a metric. */
function nameOf({ type, resource, containerResource, pods, object, external }: MetricSpec): string {
  if (resource) return `${resource.name} resource${of(resource.target)}`;
  if (containerResource) return `${containerResource.name} container resource${of(containerResource.target)}`;
  if (pods) return `pods metric ${pods.metric.name}`;
  if (object) return `${object.describedObject.kind} metric ${object.metric.name}`;
  return external ? `external metric ${external.metric.name}` : type;
}

const of = ({ averageUtilization }: MetricTarget): string =>
  averageUtilization === undefined ? '' : ' utilization (percentage of request)';

function describe(metric: MetricSpec): string {
  const { resource, containerResource } = metric;
  const { name, target } = resource ?? containerResource ?? {};
  if (name !== undefined) return target?.averageUtilization === undefined ? `${name} usage` : `${name} utilization`;
  return nameOf(metric);
}
