import type { KubeObject } from '@trimtab/machinery';
import type { Strategy } from '../contracts.js';

interface PodShape extends KubeObject {
  readonly spec?: { readonly nodeName?: string; readonly terminationGracePeriodSeconds?: number };
  readonly status?: { readonly phase?: string };
}

/**
 * Pods stay until their kubelet has stopped them, for as long as the request, or else their own spec, allows. Pods that run
 * nowhere go at once (kubernetes: registry/core/pod strategy, CheckGracefulDelete).
 */
export const podDeletion: Strategy = {
  gracePeriod(object, requested) {
    const { spec, status } = object as PodShape;
    if (!spec?.nodeName || status?.phase === 'Failed' || status?.phase === 'Succeeded') return 0;
    const period = requested ?? spec.terminationGracePeriodSeconds ?? 30;
    return period < 0 ? 1 : period;
  },
};
