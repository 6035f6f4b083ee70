import { claimsRefusal, planVolumes } from '../volumes.js';
import type { Plugin } from './plugin.js';

/** Claims must be there, and bound or bindable on the node. */
export const volumeBinding: Plugin = {
  name: 'VolumeBinding',
  prepareFilter({ pod, claims }, { surroundings: { storage } }) {
    if (claims.length === 0 || !storage) return undefined;
    const refusal = claimsRefusal(pod, storage);
    if (refusal) return { reasons: [refusal], unresolvable: true };
    return ({ node }) => {
      const plan = planVolumes(pod, node, storage);
      return 'refusal' in plan ? { reasons: [plan.refusal], unresolvable: true } : undefined;
    };
  },
  mend: ({ claims }, node) => [`make volumes for ${claims.join(', ')} that node ${node.name} can use`],
  wakes: ['NodeAdded', 'NodeChanged', 'StorageChanged', 'PodGone'],
};

/** Devices of the resource.k8s.io API: nobody allocates them here, so a pod that needs some is refused. */
export const dynamicResources: Plugin = {
  name: 'DynamicResources',
  prepareFilter: ({ pod }) =>
    (pod.spec?.resourceClaims ?? []).length > 0
      ? {
          reasons: ['spec.resourceClaims needs a driver that allocates devices, and there is none'],
          unresolvable: true,
        }
      : undefined,
};
