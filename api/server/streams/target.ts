import type { NodeStreams, NodeStreamsLookup, PodRef } from '@trimtab/client';
import { badRequest, type KubeObject, serviceUnavailable } from '@trimtab/machinery';

interface Container {
  readonly name: string;
}
interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly ephemeralContainers?: readonly Container[];
  };
}

/** A pod on a node that can be talked to. */
export interface StreamTarget {
  readonly node: NodeStreams;
  readonly pod: PodRef;
}

/** Throws 400 for a pod without node, 503 for a node that offers no streams. */
export function streamTarget(object: KubeObject, lookup: NodeStreamsLookup): StreamTarget {
  const { name = '', namespace = '', uid = '' } = object.metadata;
  const nodeName = (object as Pod).spec?.nodeName;
  if (!nodeName) throw badRequest(`pod ${name} does not have a host assigned`);
  const node = lookup(nodeName);
  if (!node)
    throw serviceUnavailable(
      `no kubelet of node ${JSON.stringify(nodeName)} is connected to this API server; see whether the node is running`,
    );
  return { node, pod: { name, namespace, uid } };
}

/** The container meant, by Kubernetes' rules; 400 where that is not clear or does not exist. */
export function containerOf(object: KubeObject, wanted: string | null, asked: 'log' | 'exec'): string {
  const { spec, metadata } = object as Pod;
  const regular = spec?.containers ?? [];
  const all = [...regular, ...(spec?.initContainers ?? []), ...(spec?.ephemeralContainers ?? [])];
  if (wanted) {
    if (all.some((c) => c.name === wanted)) return wanted;
    throw badRequest(
      asked === 'log'
        ? `container ${wanted} is not valid for pod ${metadata.name}`
        : `container not found (${JSON.stringify(wanted)})`,
    );
  }
  if (regular.length === 1) return regular[0]!.name;
  const preferred = metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  if (preferred && regular.some((c) => c.name === preferred)) return preferred;
  const names = (list: readonly Container[] | undefined) => (list ?? []).map((c) => c.name).join(' ');
  const init = spec?.initContainers?.length ? ` or one of the init containers: [${names(spec.initContainers)}]` : '';
  throw badRequest(
    `a container name must be specified for pod ${metadata.name}, choose one of: [${names(regular)}]${init}`,
  );
}
