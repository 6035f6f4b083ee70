import type { View } from '@trimtab/framework';
import {
  formatLabelSelector,
  type HorizontalPodAutoscaler,
  type MetricSpec,
  parseQuantity,
  quantityMilliValue,
  selectorFromObject,
} from '@trimtab/machinery';
import { type ObservedScale, observeScale, type ScaleReader } from './scale-target.js';
import { resourceNamed } from './targets.js';

/** One pod's reading, in thousandths. */
export interface Sample {
  readonly pod: string;
  readonly value: number;
  /** When it was taken, in milliseconds since the epoch, and over how long. */
  readonly at: number;
  readonly windowMs: number;
}

/** What a metrics API said of one metric; values in thousandths. */
export type Reading =
  | { readonly type: 'pods'; readonly samples: readonly Sample[] }
  | { readonly type: 'values'; readonly values: readonly number[] }
  | { readonly type: 'failed'; readonly why: string };

/** All that is read live before an evaluation. */
export interface Observed {
  readonly scale: ObservedScale;
  /** One for each metric of the specification; none where the target's scale is not known. */
  readonly readings: readonly Reading[];
}

/** A GET of a metrics API's path, answered as JSON text; rejects with a StatusError. */
export type MetricsReader = (path: string) => Promise<string>;

/** Reads the target's scale and every metric; never rejects: what could not be read is part of what was found. */
export async function observe(
  view: View<HorizontalPodAutoscaler>,
  client: ScaleReader,
  read: MetricsReader,
): Promise<Observed | undefined> {
  const { object } = view;
  if (!object) return undefined;
  const scale = await observeScale(view, object, client);
  if (scale.type !== 'found' || !scale.selector) return { scale, readings: [] };
  const { selector } = scale;
  const metrics = object.spec.metrics ?? [];
  return {
    scale,
    readings: await Promise.all(metrics.map((metric) => readingOf(metric, object, view, selector, read))),
  };
}

async function readingOf(
  metric: MetricSpec,
  { metadata }: HorizontalPodAutoscaler,
  view: View<HorizontalPodAutoscaler>,
  selector: string,
  read: MetricsReader,
): Promise<Reading> {
  try {
    const path = pathOf(metric, metadata.namespace ?? '', selector, view);
    return parsed(metric, JSON.parse(await read(path)) as MetricsList);
  } catch (error) {
    return { type: 'failed', why: error instanceof Error ? error.message : String(error) };
  }
}

/** Where the metrics APIs have a metric (kubernetes: staging/src/k8s.io/metrics). */
export function pathOf(
  { resource, containerResource, pods, object, external }: MetricSpec,
  namespace: string,
  selector: string,
  view: Pick<View, 'list'>,
): string {
  const custom = `/apis/custom.metrics.k8s.io/v1beta2/namespaces/${namespace}`;
  if (resource || containerResource)
    return `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods${query({ labelSelector: selector })}`;
  if (pods)
    return `${custom}/pods/*/${pods.metric.name}${query({ labelSelector: selector, metricLabelSelector: text(pods.metric.selector) })}`;
  if (object) {
    const { describedObject, metric } = object;
    const labels = query({ metricLabelSelector: text(metric.selector) });
    const { type } = resourceNamed(describedObject, view);
    if (type.kind === 'Namespace') return `${custom}/metrics/${metric.name}${labels}`;
    const resourceName = type.group ? `${type.resource}.${type.group}` : type.resource;
    return `${custom}/${resourceName}/${describedObject.name}/${metric.name}${labels}`;
  }
  const { name, selector: labels } = external!.metric;
  return `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${name}${query({ labelSelector: text(labels) })}`;
}

const text = (selector: Parameters<typeof selectorFromObject>[0]): string =>
  selector ? formatLabelSelector(selectorFromObject(selector)) : '';

const query = (parameters: Readonly<Record<string, string>>): string => {
  const given = Object.entries(parameters).filter(([, value]) => value !== '');
  return given.length === 0 ? '' : `?${given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`;
};

interface MetricsList {
  readonly items?: readonly {
    readonly metadata?: { readonly name?: string };
    readonly describedObject?: { readonly name?: string };
    readonly timestamp?: string;
    readonly window?: string;
    readonly windowSeconds?: number;
    readonly value?: string;
    readonly containers?: readonly { readonly name: string; readonly usage?: Readonly<Record<string, string>> }[];
  }[];
}

function parsed(metric: MetricSpec, { items = [] }: MetricsList): Reading {
  const { resource, containerResource, pods } = metric;
  if (!resource && !containerResource && !pods) {
    if (items.length === 0) return { type: 'failed', why: 'no metrics returned' };
    return { type: 'values', values: items.map(({ value = '0' }) => milli(value)) };
  }
  const samples = items.flatMap((item): readonly Sample[] => {
    const at = Date.parse(item.timestamp ?? '') || 0;
    if (pods)
      return [
        {
          pod: item.describedObject?.name ?? '',
          value: milli(item.value ?? '0'),
          at,
          windowMs: (item.windowSeconds ?? 60) * 1000,
        },
      ];
    const containers = item.containers ?? [];
    const counted = containerResource
      ? containers.filter(({ name }) => name === containerResource.container)
      : containers;
    const name = (resource ?? containerResource)!.name;
    const usages = counted.map(({ usage }) => usage?.[name]);
    // A pod one of whose containers is silent counts as one that says nothing.
    if (usages.length === 0 || usages.some((usage) => usage === undefined)) return [];
    const value = usages.reduce((sum, usage) => sum + milli(usage!), 0);
    return [{ pod: item.metadata?.name ?? '', value, at, windowMs: durationMs(item.window) }];
  });
  return samples.length === 0 ? { type: 'failed', why: 'no metrics returned' } : { type: 'pods', samples };
}

export const milli = (quantity: string): number => quantityMilliValue(parseQuantity(quantity));

const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** A duration as Go writes it (`1m0s`); default a minute. */
function durationMs(duration = '1m0s'): number {
  let sum = 0;
  for (const [, amount, unit] of duration.matchAll(/([\d.]+)(ms|h|m|s)/g)) sum += Number(amount) * UNITS[unit!]!;
  return sum;
}
