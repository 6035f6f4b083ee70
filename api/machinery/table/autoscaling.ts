import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerV1,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
} from '../generated/types.js';
import { ageColumn, column, listText, nameColumn, type Printer } from './column.js';

type Autoscaler = HorizontalPodAutoscaler | HorizontalPodAutoscalerV1;

const UNKNOWN = '<unknown>';

function metricText(spec: MetricSpec, status: MetricStatus | undefined): string {
  switch (spec.type) {
    case 'Resource':
      return `${spec.resource?.name}: ${utilization(spec.resource?.target, status?.resource?.current)}`;
    case 'ContainerResource':
      return `${spec.containerResource?.name}: ${utilization(spec.containerResource?.target, status?.containerResource?.current)}`;
    case 'Pods':
      return `${status?.pods?.current?.averageValue ?? UNKNOWN}/${spec.pods?.target?.averageValue}`;
    case 'Object':
      return amount(spec.object?.target, status?.object?.current);
    case 'External':
      return amount(spec.external?.target, status?.external?.current);
    default:
      return '<unknown type>';
  }
}

function utilization(target: MetricTarget | undefined, current: MetricValueStatus | undefined): string {
  if (target?.averageValue !== undefined) return `${current?.averageValue ?? UNKNOWN}/${target.averageValue}`;
  const percent = (value: number | undefined, without: string): string => (value === undefined ? without : `${value}%`);
  return `${percent(current?.averageUtilization, UNKNOWN)}/${percent(target?.averageUtilization, '<auto>')}`;
}

function amount(target: MetricTarget | undefined, current: MetricValueStatus | undefined): string {
  return target?.averageValue !== undefined
    ? `${current?.averageValue ?? UNKNOWN}/${target.averageValue} (avg)`
    : `${current?.value ?? UNKNOWN}/${target?.value ?? '0'}`;
}

/** Version 1 knows one metric only, the processor's use. */
function targets(object: Autoscaler): string {
  if ('targetCPUUtilizationPercentage' in object.spec) {
    const { status, spec } = object as HorizontalPodAutoscalerV1;
    const current = status?.currentCPUUtilizationPercentage;
    return `cpu: ${current === undefined ? UNKNOWN : `${current}%`}/${spec.targetCPUUtilizationPercentage}%`;
  }
  const { spec, status } = object as HorizontalPodAutoscaler;
  return listText(
    (spec.metrics ?? []).map((metric, i) => metricText(metric, status?.currentMetrics?.[i])),
    2,
    '<none>',
    ', ',
  );
}

export const autoscalerPrinter: Printer<Autoscaler> = {
  columns: [
    nameColumn,
    column(
      'Reference',
      'What is scaled.',
      (a: Autoscaler) => `${a.spec.scaleTargetRef.kind}/${a.spec.scaleTargetRef.name}`,
    ),
    column('Targets', 'Measured and wanted value of each metric.', targets),
    column('MinPods', 'Fewest replicas.', (a: Autoscaler) =>
      a.spec.minReplicas === undefined ? '<unset>' : `${a.spec.minReplicas}`,
    ),
    column('MaxPods', 'Most replicas.', (a: Autoscaler) => a.spec.maxReplicas),
    column('Replicas', 'Replicas there are.', (a: Autoscaler) => a.status?.currentReplicas ?? 0),
    ageColumn,
  ],
};
