import { interPodAffinity } from './plugins/inter-pod-affinity.js';
import { imageLocality, nodeAffinity, nodePorts, nodeUnschedulable, taintToleration } from './plugins/node-basics.js';
import { nodeResourcesBalancedAllocation, nodeResourcesFit, nodeResourcesPacked } from './plugins/node-resources.js';
import type { Plugin } from './plugins/plugin.js';
import { podCount } from './plugins/pod-count.js';
import { podTopologySpread } from './plugins/pod-topology-spread.js';
import { dynamicResources, volumeBinding } from './plugins/volumes.js';

/** A set of rules under the name that pods ask for in `spec.schedulerName`. */
export interface Profile {
  readonly schedulerName: string;
  /** In the order in which they are asked; the first that refuses a node speaks. */
  readonly filters: readonly Plugin[];
  readonly scores: readonly { readonly plugin: Plugin; readonly weight: number }[];
}

const FILTERS: readonly Plugin[] = [
  nodeUnschedulable,
  taintToleration,
  nodeAffinity,
  nodePorts,
  nodeResourcesFit,
  volumeBinding,
  podTopologySpread,
  interPodAffinity,
  dynamicResources,
];

/** kube-scheduler's rules and weights. */
export const defaultProfile: Profile = {
  schedulerName: 'default-scheduler',
  filters: FILTERS,
  scores: [
    { plugin: taintToleration, weight: 3 },
    { plugin: nodeAffinity, weight: 2 },
    { plugin: podTopologySpread, weight: 2 },
    { plugin: interPodAffinity, weight: 2 },
    { plugin: nodeResourcesFit, weight: 1 },
    { plugin: nodeResourcesBalancedAllocation, weight: 1 },
    { plugin: imageLocality, weight: 1 },
  ],
};

/** What pods ask for themselves comes first in every profile. */
const WISHES = [
  { plugin: taintToleration, weight: 3 },
  { plugin: nodeAffinity, weight: 2 },
  { plugin: interPodAffinity, weight: 2 },
];

/** The node with the fewest pods. */
export const spreadProfile: Profile = {
  schedulerName: 'spread',
  filters: FILTERS,
  scores: [...WISHES, { plugin: podCount, weight: 10 }, { plugin: nodeResourcesFit, weight: 1 }],
};

/** The fullest node that has room. */
export const binpackProfile: Profile = {
  schedulerName: 'binpack',
  filters: FILTERS.map((plugin) => (plugin === nodeResourcesFit ? nodeResourcesPacked : plugin)),
  scores: [...WISHES, { plugin: nodeResourcesPacked, weight: 10 }],
};

/** Any node that will do. */
export const randomProfile: Profile = { schedulerName: 'random', filters: FILTERS, scores: [] };

export const PROFILES: readonly Profile[] = [defaultProfile, spreadProfile, binpackProfile, randomProfile];
