import type { Container } from '@trimtab/machinery';
import { formatPod, type Pod } from '../pod/api.js';
import type { Say } from './image-puller.js';

/** The events of a container that waits before it is started or its image pulled again, in the kubelet's words. */
export function backOffWords(
  what: 'restart' | 'pull',
  { name, image }: Container,
  pod: Pod,
): readonly Parameters<Say>[] {
  if (what === 'restart')
    return [['Warning', 'BackOff', `Back-off restarting failed container ${name} in pod ${formatPod(pod)}`]];
  return [
    ['Normal', 'BackOff', `Back-off pulling image "${image}"`],
    ['Warning', 'Failed', 'Error: ImagePullBackOff'],
  ];
}
