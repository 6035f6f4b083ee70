import { matchesNodeAffinity, preferredNodeAffinity } from '../node-affinity.js';
import { untoleratedTaint } from '../taints.js';
import { normalizeByLargest, type Plugin, type Refusal } from './plugin.js';

const CORDONED = [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }];
const UNSCHEDULABLE: Refusal = { reasons: ['node(s) were unschedulable'], unresolvable: true };

/** Keeps pods off cordoned nodes, unless they tolerate that. */
export const nodeUnschedulable: Plugin = {
  name: 'NodeUnschedulable',
  prepareFilter({ pod }) {
    const tolerated = untoleratedTaint(pod, CORDONED, ['NoSchedule']) === undefined;
    return tolerated ? undefined : ({ node }) => (node.spec?.unschedulable ? UNSCHEDULABLE : undefined);
  },
  mend: (_pod, { name }) => [`kubectl uncordon ${name}`],
  wakes: ['NodeAdded', 'NodeChanged'],
};

const HARD_EFFECTS = ['NoSchedule', 'NoExecute'];

/** Keeps pods off nodes with taints they do not tolerate; soft taints cost score. */
export const taintToleration: Plugin = {
  name: 'TaintToleration',
  prepareFilter:
    ({ pod }) =>
    ({ node }) => {
      const taints = node.spec?.taints;
      const taint = taints && untoleratedTaint(pod, taints, HARD_EFFECTS);
      return (
        taint && { reasons: [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`], unresolvable: true }
      );
    },
  prepareScore({ pod }, nodes) {
    if (!nodes.some(({ node }) => node.spec?.taints?.some(({ effect }) => effect === 'PreferNoSchedule')))
      return undefined;
    return {
      of: ({ node }) =>
        (node.spec?.taints ?? []).filter((taint) => untoleratedTaint(pod, [taint], ['PreferNoSchedule'])).length,
      normalize: normalizeByLargest(true),
    };
  },
  mend: ({ pod }, { name, node }) =>
    (node.spec?.taints ?? [])
      .filter((taint) => untoleratedTaint(pod, [taint], HARD_EFFECTS))
      .map(({ key, value, effect }) => {
        const what = value ? `${key}=${value}:${effect}` : `${key}:${effect}`;
        // Taints that the cluster sets itself go with their cause.
        return key.startsWith('node.kubernetes.io/')
          ? `mend node ${name}, which is ${key.slice('node.kubernetes.io/'.length)} (kubectl describe node ${name})`
          : `give the pod a toleration of ${what}, or kubectl taint node ${name} ${what}-`;
      }),
  wakes: ['NodeAdded', 'NodeChanged'],
};

const NO_MATCH: Refusal = { reasons: ["node(s) didn't match Pod's node affinity/selector"], unresolvable: true };

/** `spec.nodeSelector` and required node affinity filter; preferred terms score by weight. */
export const nodeAffinity: Plugin = {
  name: 'NodeAffinity',
  prepareFilter({ pod }) {
    const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    if (required === undefined && Object.keys(pod.spec?.nodeSelector ?? {}).length === 0) return undefined;
    return ({ node }) => (matchesNodeAffinity(pod, node) ? undefined : NO_MATCH);
  },
  prepareScore({ pod }) {
    const preferred = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (preferred.length === 0) return undefined;
    return { of: ({ node }) => preferredNodeAffinity(pod, node), normalize: normalizeByLargest(false) };
  },
  mend({ pod }, { name, labels }) {
    const missing = Object.entries(pod.spec?.nodeSelector ?? {}).filter(([key, value]) => labels[key] !== value);
    const rest = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    return [
      ...(missing.length > 0 ? [`kubectl label node ${name} ${missing.map(([k, v]) => `${k}=${v}`).join(' ')}`] : []),
      ...(missing.length === 0 && rest ? [`widen spec.affinity.nodeAffinity so that it matches node ${name}`] : []),
    ];
  },
  wakes: ['NodeAdded', 'NodeChanged'],
};

const PORT_TAKEN: Refusal = { reasons: ["node(s) didn't have free ports for the requested pod ports"] };

/** Gives each host port of a node once per address. */
export const nodePorts: Plugin = {
  name: 'NodePorts',
  prepareFilter({ hostPorts }) {
    if (hostPorts.length === 0) return undefined;
    return (node) => (hostPorts.some((port) => node.portTaken(port)) ? PORT_TAKEN : undefined);
  },
  mend: ({ hostPorts }, node) =>
    hostPorts
      .filter((port) => node.portTaken(port))
      .map(({ port, protocol }) => `free host port ${port}/${protocol} on node ${node.name}`),
  wakes: ['NodeAdded', 'PodGone'],
};

const MIB = 1024 * 1024;
const SMALL_IMAGE = 23 * MIB;
const LARGE_IMAGE = 1000 * MIB;

/** Prefers nodes that have the images, each weighed by how many nodes have it, so that one node does not draw all. */
export const imageLocality: Plugin = {
  name: 'ImageLocality',
  prepareScore({ pod }, _nodes, picture) {
    const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    const present = containers.flatMap(({ image = '' }) => {
      const nodes = picture.imageNodes(normalized(image));
      return nodes > 0 ? [{ image: normalized(image), spread: nodes / picture.nodes.length }] : [];
    });
    if (present.length === 0) return undefined;
    const most = LARGE_IMAGE * containers.length;
    return {
      of: (node) => {
        const sum = present.reduce(
          (bytes, { image, spread }) => bytes + Math.floor((node.imageSize(image) ?? 0) * spread),
          0,
        );
        const within = Math.min(Math.max(sum, SMALL_IMAGE), most);
        return Math.floor((100 * (within - SMALL_IMAGE)) / (most - SMALL_IMAGE));
      },
    };
  },
};

/** Images without a tag or digest mean `latest`. */
const normalized = (image: string): string =>
  image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;
