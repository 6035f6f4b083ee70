import type { KubeObject } from '@trimtab/machinery';
import { type Block, pairs, timeText, value } from './block.js';

/** The annotation of client-side apply repeats the whole object. */
const NOISE = 'kubectl.kubernetes.io/last-applied-configuration';

export const identity = ({ metadata }: KubeObject): Block => [
  value('Name', metadata.name ?? ''),
  ...(metadata.namespace ? [value('Namespace', metadata.namespace)] : []),
];

export const labels = ({ metadata }: KubeObject): Block => [value('Labels', pairs(metadata.labels))];

export function annotations({ metadata }: KubeObject): Block {
  const { [NOISE]: _, ...rest } = metadata.annotations ?? {};
  return [value('Annotations', pairs(rest, ': '))];
}

export const created = ({ metadata }: KubeObject): Block => [
  value('CreationTimestamp', timeText(metadata.creationTimestamp)),
];

export function controlledBy({ metadata }: KubeObject): Block {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  return owner ? [value('Controlled By', `${owner.kind}/${owner.name}`)] : [];
}

export function deletion({ metadata }: KubeObject): Block {
  if (!metadata.deletionTimestamp) return [];
  const grace = metadata.deletionGracePeriodSeconds;
  return [
    value('Terminating', `since ${timeText(metadata.deletionTimestamp)}`),
    ...(grace === undefined ? [] : [value('Termination Grace Period', `${grace}s`)]),
    ...(metadata.finalizers?.length ? [value('Finalizers', metadata.finalizers)] : []),
  ];
}
