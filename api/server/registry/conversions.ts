import type { KubeObject } from '@trimtab/machinery';

/** Between the storage version's form and another's, without apiVersion and kind. */
export interface Conversion {
  fromStorage(object: KubeObject): KubeObject;
  toStorage(object: KubeObject): KubeObject;
}

type Fields = Record<string, unknown>;

/** Gives `object` with its fields renamed; the rest is kept. */
function renamed(object: KubeObject, names: Readonly<Record<string, string>>): KubeObject {
  return Object.fromEntries(Object.entries(object).map(([k, v]) => [names[k] ?? k, v])) as unknown as KubeObject;
}

const eventNames = {
  involvedObject: 'regarding',
  message: 'note',
  source: 'deprecatedSource',
  firstTimestamp: 'deprecatedFirstTimestamp',
  lastTimestamp: 'deprecatedLastTimestamp',
  count: 'deprecatedCount',
  reportingComponent: 'reportingController',
};
const coreEventNames = Object.fromEntries(Object.entries(eventNames).map(([core, own]) => [own, core]));

const cpuTarget = (metric: Fields) => {
  const resource = metric.resource as Fields | undefined;
  const target = resource?.target as Fields | undefined;
  return metric.type === 'Resource' && resource?.name === 'cpu' && target?.type === 'Utilization' ? target : undefined;
};

/** autoscaling/v1 has one CPU percentage where v2 has a list of metrics; what v1 cannot say travels in annotations. */
const metricsAnnotation = 'autoscaling.alpha.kubernetes.io/metrics';
const behaviorAnnotation = 'autoscaling.alpha.kubernetes.io/behavior';
const conditionsAnnotation = 'autoscaling.alpha.kubernetes.io/conditions';
const currentMetricsAnnotation = 'autoscaling.alpha.kubernetes.io/current-metrics';

const autoscalerV1: Conversion = {
  fromStorage(object) {
    const { spec = {}, status = {}, ...rest } = object as unknown as { spec?: Fields; status?: Fields } & KubeObject;
    const { metrics = [], behavior, ...others } = spec as { metrics?: Fields[]; behavior?: Fields } & Fields;
    const {
      currentMetrics = [],
      conditions = [],
      ...state
    } = status as { currentMetrics?: Fields[]; conditions?: Fields[] } & Fields;
    const cpu = metrics.map(cpuTarget).find((t) => t !== undefined);
    const left = metrics.filter((m) => cpuTarget(m) !== cpu || cpu === undefined);
    const kept: Record<string, string> = {
      ...(left.length > 0 ? { [metricsAnnotation]: JSON.stringify(left) } : {}),
      ...(behavior ? { [behaviorAnnotation]: JSON.stringify(behavior) } : {}),
      ...(conditions.length > 0 ? { [conditionsAnnotation]: JSON.stringify(conditions) } : {}),
      ...(currentMetrics.length > 0 ? { [currentMetricsAnnotation]: JSON.stringify(currentMetrics) } : {}),
    };
    const current = currentMetrics.map((m) => m.resource as Fields | undefined).find((r) => r?.name === 'cpu')
      ?.current as Fields | undefined;
    return {
      ...rest,
      metadata: withAnnotations(rest.metadata, kept),
      spec: { ...others, ...(cpu ? { targetCPUUtilizationPercentage: cpu.averageUtilization } : {}) },
      status: {
        ...state,
        ...(current?.averageUtilization === undefined
          ? {}
          : { currentCPUUtilizationPercentage: current.averageUtilization }),
      },
    } as KubeObject;
  },
  toStorage(object) {
    const { spec = {}, status = {}, ...rest } = object as unknown as { spec?: Fields; status?: Fields } & KubeObject;
    const { targetCPUUtilizationPercentage: percent, ...others } = spec;
    const { currentCPUUtilizationPercentage: current, ...state } = status;
    const annotations = { ...rest.metadata.annotations };
    const take = <T>(name: string): T | undefined => {
      const text = annotations[name];
      delete annotations[name];
      try {
        return text === undefined ? undefined : (JSON.parse(text) as T);
      } catch {
        return undefined;
      }
    };
    const cpu = {
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } },
    };
    const metrics = [...(percent === undefined ? [] : [cpu]), ...(take<Fields[]>(metricsAnnotation) ?? [])];
    const behavior = take<Fields>(behaviorAnnotation);
    const conditions = take<Fields[]>(conditionsAnnotation);
    const currentMetrics = take<Fields[]>(currentMetricsAnnotation);
    const currentCpu = { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: current } } };
    return {
      ...rest,
      metadata: { ...rest.metadata, ...(rest.metadata.annotations ? { annotations } : {}) },
      spec: { ...others, ...(metrics.length > 0 ? { metrics } : {}), ...(behavior ? { behavior } : {}) },
      status: {
        ...state,
        ...(conditions ? { conditions } : {}),
        ...(currentMetrics ? { currentMetrics } : current === undefined ? {} : { currentMetrics: [currentCpu] }),
      },
    } as KubeObject;
  },
};

function withAnnotations(metadata: KubeObject['metadata'], more: Readonly<Record<string, string>>) {
  return Object.keys(more).length === 0 ? metadata : { ...metadata, annotations: { ...metadata.annotations, ...more } };
}

/** By `<apiVersion>/<kind>` of the version that is not stored. Kinds not named here differ in nothing but their version. */
export const conversions: Readonly<Record<string, Conversion>> = {
  'events.k8s.io/v1/Event': {
    fromStorage: (o) => renamed(o, eventNames),
    toStorage: (o) => renamed(o, coreEventNames),
  },
  'autoscaling/v1/HorizontalPodAutoscaler': autoscalerV1,
};
