import { parseThresholds, type Threshold } from '../eviction/thresholds.js';
import type { KubeletOptions } from '../kubelet.js';

/** The kubelet's settings as a KubeletConfiguration (kubernetes: kubelet.config.k8s.io/v1beta1), for `/configz`. Pure. */
export function configurationOf(options: KubeletOptions): object {
  const { reserved, thresholds = parseThresholds({}) } = options;
  const soft = thresholds.filter(({ hard }) => !hard);
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    cgroupDriver: 'cgroupfs',
    clusterDNS: options.clusterDns,
    clusterDomain: options.clusterDomain,
    maxPods: options.maxPods ?? 250,
    podPidsLimit: options.podPidsLimit ?? -1,
    evictionHard: texts(thresholds.filter(({ hard }) => hard)),
    ...(soft.length > 0
      ? {
          evictionSoft: texts(soft),
          evictionSoftGracePeriod: Object.fromEntries(soft.map((t) => [t.signal, `${t.graceMs / 1000}s`])),
        }
      : {}),
    ...(reserved ? { systemReserved: { cpu: `${reserved.milliCPU}m`, memory: String(reserved.memoryBytes) } } : {}),
    nodeStatusUpdateFrequency: '10s',
    nodeLeaseDurationSeconds: 40,
    containerLogMaxSize: '10Mi',
    containerLogMaxFiles: 5,
  };
}

const texts = (thresholds: readonly Threshold[]): object =>
  Object.fromEntries(
    thresholds.map(({ signal, below }) => [signal, 'part' in below ? `${below.part * 100}%` : below.text]),
  );
