import { type ControllerDefinition, changed, controller } from '@trimtab/framework';
import {
  CustomResourceDefinitions,
  type HorizontalPodAutoscaler,
  HorizontalPodAutoscalers,
  Pods,
} from '@trimtab/machinery';
import { PERIOD_MS } from './history.js';
import { autoscalerMachine } from './machine.js';
import { type MetricsReader, type Observed, observe } from './readings.js';

export type { MetricsReader } from './readings.js';

/**
 * Keeps as many replicas of anything that can be scaled as its metrics ask for (kubernetes: pkg/controller/podautoscaler).
 * Metrics are read from `metrics.k8s.io`, `custom.metrics.k8s.io` and `external.metrics.k8s.io` every 15 s.
 */
export const horizontalPodAutoscalerController = (read: MetricsReader): ControllerDefinition =>
  controller<HorizontalPodAutoscaler, Observed | undefined>({
    name: 'horizontal-pod-autoscaler',
    for: HorizontalPodAutoscalers,
    // Its own status is no news: metrics are looked at once a period, and when the specification changes.
    where: changed(({ spec, metadata }) => [spec, metadata.deletionTimestamp]),
    reads: [Pods, CustomResourceDefinitions],
    backoff: { baseMs: PERIOD_MS, capMs: PERIOD_MS },
    observe: (view, client) => observe(view, client, read),
    machine: autoscalerMachine,
  });
