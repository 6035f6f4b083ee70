import { formatQuantity, quantityOf } from '@trimtab/machinery';
import { containersOf } from '../pod/plan.js';
import { requestOf } from '../pod/qos.js';
import type { Observation } from './decide.js';
import { type PodUse, resourceOf } from './rank.js';
import { amountIn, type Threshold } from './thresholds.js';

const amount = (bytes: number): string => formatQuantity(quantityOf(Math.round(bytes), 'BinarySI'));
/** The kubelet tells disk and memory in whole Ki where they are no round number of a larger unit. */
const inKi = (bytes: number): string => amount(Math.floor(bytes / 1024) * 1024);

/** Why a pod is evicted, in the kubelet's words (kubernetes: pkg/kubelet/eviction/helpers.go, evictionMessage). Pure. */
export function evictionMessage(use: PodUse, threshold: Threshold, observed: Observation | undefined): string {
  const resource = resourceOf(threshold.signal);
  const isBytes = resource === 'memory' || resource === 'ephemeral-storage';
  const shown = (value: number) => (isBytes ? inKi(value) : String(value));
  const quantity =
    observed && 'part' in threshold.below
      ? shown(amountIn(threshold.below, observed.capacity))
      : 'text' in threshold.below
        ? threshold.below.text
        : '';
  const met = observed ? `Threshold quantity: ${quantity}, available: ${shown(observed.available)}. ` : '';
  const heavy = isBytes
    ? use.containers.flatMap(({ name, memory, disk }) => {
        const container = containersOf(use.pod.spec).find((c) => c.name === name);
        const used = resource === 'memory' ? memory : disk;
        const request = container ? requestOf(container, resource) : 0;
        return used > request
          ? [
              `Container ${name} was using ${inKi(used)}, request is ${amount(request)}, has larger consumption of ${resource}. `,
            ]
          : [];
      })
    : [];
  return `The node was low on resource: ${resource}. ${met}${heavy.join('')}`;
}
