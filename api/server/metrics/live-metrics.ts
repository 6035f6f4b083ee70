import type { NodeStreamsLookup, NodeUsage } from '@trimtab/client';
import type { KubeObject } from '@trimtab/machinery';
import type { Registry } from '../registry/context.js';
import type { LiveObjects } from '../registry/served-kind.js';
import { nodeMetrics, podMetrics } from './metrics-objects.js';

interface Pod extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly phase?: string };
}

const NOTHING: NodeUsage = { pods: [] };

/** Nodes and pods as they are measured: each node is asked once a read, all at the same time; one that fails is left out. */
export function liveMetrics(nodes: NodeStreamsLookup): { readonly nodes: LiveObjects; readonly pods: LiveObjects } {
  const ask = (node: string, pods: readonly string[], ofNode: boolean): Promise<NodeUsage> =>
    nodes(node)
      ?.usage?.({ node: ofNode, pods })
      .catch(() => NOTHING) ?? Promise.resolve(NOTHING);

  const ofNodes = async (objects: readonly KubeObject[]): Promise<readonly KubeObject[]> => {
    const usages = await Promise.all(objects.map(({ metadata }) => ask(metadata.name!, [], true)));
    return objects.flatMap((object, i) => {
      const usage = usages[i]?.node;
      return usage ? [nodeMetrics(object, usage)] : [];
    });
  };

  const ofPods = async (objects: readonly Pod[]): Promise<readonly KubeObject[]> => {
    const running = objects.filter(({ spec, status }) => spec?.nodeName && status?.phase === 'Running');
    const byNode = new Map<string, Pod[]>();
    for (const pod of running) byNode.set(pod.spec!.nodeName!, [...(byNode.get(pod.spec!.nodeName!) ?? []), pod]);
    const usages = await Promise.all([...byNode].map(([node, pods]) => ask(node, pods.map(uidOf), false)));
    const byUid = new Map(usages.flatMap(({ pods }) => pods).map((usage) => [usage.uid, usage]));
    return running.flatMap((pod) => {
      const usage = byUid.get(uidOf(pod));
      return (usage && podMetrics(pod, usage)) ?? [];
    });
  };

  return {
    nodes: {
      get: async (registry, _, name) => (await ofNodes(stored(registry, '/nodes', '', name)))[0],
      list: (registry, _, wanted) => ofNodes(stored(registry, '/nodes').filter(wanted)),
    },
    pods: {
      get: async (registry, namespace, name) => (await ofPods(stored(registry, '/pods', namespace, name)))[0],
      list: (registry, namespace, wanted) => ofPods(stored(registry, '/pods', namespace).filter(wanted)),
    },
  };
}

const uidOf = ({ metadata }: KubeObject): string => metadata.uid ?? '';

function stored(registry: Registry, resource: string, namespace = '', name?: string): KubeObject[] {
  const snapshot = registry.store.snapshot();
  if (name !== undefined) {
    const entry = snapshot.get({ resource, namespace, name });
    return entry ? [entry.object] : [];
  }
  return [...snapshot.range({ resource, ...(namespace ? { namespace } : {}) })].map(({ object }) => object);
}
