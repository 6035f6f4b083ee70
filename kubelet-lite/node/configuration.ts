import type { KubeletOptions } from '../kubelet.js';
import { EVICTION_MEMORY_BYTES } from './node-status.js';

/** The kubelet's settings as a KubeletConfiguration (kubernetes: kubelet.config.k8s.io/v1beta1), for `/configz`. Pure. */
export function configurationOf(options: KubeletOptions): object {
  const { reserved } = options;
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    cgroupDriver: 'cgroupfs',
    clusterDNS: options.clusterDns,
    clusterDomain: options.clusterDomain,
    maxPods: options.maxPods ?? 250,
    podPidsLimit: options.podPidsLimit ?? -1,
    evictionHard: { 'memory.available': `${EVICTION_MEMORY_BYTES / 2 ** 20}Mi` },
    ...(reserved ? { systemReserved: { cpu: `${reserved.milliCPU}m`, memory: String(reserved.memoryBytes) } } : {}),
    nodeStatusUpdateFrequency: '10s',
    nodeLeaseDurationSeconds: 40,
    containerLogMaxSize: '10Mi',
    containerLogMaxFiles: 5,
  };
}
