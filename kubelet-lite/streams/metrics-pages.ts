import type { NodeHttpAnswer } from '@trimtab/client';
import type { PodManager } from '../pod/pod-manager.js';
import { cadvisorMetrics } from '../stats/cadvisor-metrics.js';
import { EXPOSITION_TYPE, exposition, type Metric } from '../stats/exposition.js';
import type { NodeStats } from '../stats/node-stats.js';
import { resourceMetrics } from '../stats/resource-metrics.js';
import { summaryOf } from '../stats/summary.js';
import { json } from './answers.js';

/** What the kubelet counts of its own work. */
export interface NodeFigures {
  /** The kubelet's own, without those that are read off the pods. */
  own(): readonly Metric[];
  probes(): readonly Metric[];
}

const metrics = (all: readonly Metric[]): NodeHttpAnswer => ({
  status: 200,
  headers: { 'content-type': EXPOSITION_TYPE },
  body: exposition(all),
});

export async function summaryPage(stats: NodeStats, onlyCpuAndMemory: boolean): Promise<NodeHttpAnswer> {
  return json(summaryOf(await stats.read(!onlyCpuAndMemory)));
}

export async function cadvisorPage(stats: NodeStats): Promise<NodeHttpAnswer> {
  return metrics(cadvisorMetrics(await stats.read(true)));
}

export async function resourcePage(stats: NodeStats): Promise<NodeHttpAnswer> {
  return metrics(resourceMetrics(await stats.read(false)));
}

export const probesPage = (figures: NodeFigures): NodeHttpAnswer => metrics(figures.probes());

export const kubeletPage = (figures: NodeFigures, pods: PodManager): NodeHttpAnswer =>
  metrics([...podFigures(pods), ...figures.own()]);

function podFigures(pods: PodManager): readonly Metric[] {
  const containers = new Map([
    ['created', 0],
    ['running', 0],
    ['exited', 0],
  ]);
  const count = (state: string) => containers.set(state, (containers.get(state) ?? 0) + 1);
  const active = pods.workers().filter((worker) => worker.active);
  for (const { context } of active.flatMap((worker) => worker.containers()))
    if (context.state.running) count('running');
    else if (context.state.terminated) count('exited');
  const one = (value: number) => [{ labels: {}, value }];
  return [
    {
      name: 'kubelet_running_pods',
      help: 'Number of pods that have a running pod sandbox',
      type: 'gauge',
      samples: one(active.filter(({ sandboxPid }) => sandboxPid !== undefined).length),
    },
    {
      name: 'kubelet_running_containers',
      help: 'Number of containers currently running',
      type: 'gauge',
      samples: [...containers].map(([container_state, value]) => ({ labels: { container_state }, value })),
    },
    {
      name: 'kubelet_desired_pods',
      help: 'The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver.',
      type: 'gauge',
      samples: [{ labels: { static: '' }, value: pods.workers().length }],
    },
  ];
}
