import type { Pod } from '../pod/api.js';
import type { Verdict } from '../pod/machine.js';
import { qosClass } from '../pod/qos.js';
import type { Pressure } from './decide.js';
import { isCritical } from './rank.js';

/**
 * Why a node in need takes no new pod like this one, in the kubelet's words (kubernetes: eviction_manager.go, Admit; and
 * nodeshutdown). Under memory pressure alone, pods that asked for resources still come in. Pure.
 */
export function closedTo(
  pod: Pod,
  { pressures = [], shuttingDown }: { readonly pressures?: readonly Pressure[]; readonly shuttingDown?: boolean },
): Verdict | undefined {
  if (shuttingDown) return { reason: 'NodeShutdown', message: 'Pod was rejected as the node is shutting down.' };
  if (pressures.length === 0 || isCritical(pod)) return undefined;
  if (pressures.length === 1 && pressures[0] === 'MemoryPressure') {
    const tolerated = (pod.spec.tolerations ?? []).some(
      ({ key, operator, effect }) =>
        (key === 'node.kubernetes.io/memory-pressure' || (!key && operator === 'Exists')) &&
        (!effect || effect === 'NoSchedule'),
    );
    if (tolerated || qosClass(pod.spec) !== 'BestEffort') return undefined;
  }
  return { reason: 'Evicted', message: `The node had condition: [${pressures.join(' ')}]. ` };
}
