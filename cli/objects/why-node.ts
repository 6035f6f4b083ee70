import type { ExitRecord } from '@trimtab/kubelet-lite';
import { isReason, Nodes, type Pod } from '@trimtab/machinery';
import type { Session } from './session.js';

/** What the nodes remember of a pod's containers, oldest first; `refused`: why it could not be had. */
export interface NodeMemory {
  readonly exits: readonly ExitRecord[];
  readonly refused?: string;
}

/** Asks the pod's node; of a pod that is gone, every node, for nobody knows any more where it was. */
export async function readNodeMemory(session: Session, name: string, pod: Pod | undefined): Promise<NodeMemory> {
  const nodeName = pod?.spec?.nodeName;
  if (pod && !nodeName) return { exits: [] };
  try {
    const nodes = nodeName ? [nodeName] : (await session.client.list(Nodes)).items.map((node) => node.metadata.name!);
    const query = new URLSearchParams({ namespace: session.namespace, pod: name });
    if (pod?.metadata.uid) query.set('uid', pod.metadata.uid);
    const answers = await Promise.all(nodes.map((node) => askNode(session, node, `/trimtab/exits?${query}`)));
    return { exits: answers.flatMap((text) => (text === undefined ? [] : itemsOf<ExitRecord>(text))) };
  } catch (error) {
    if (!isReason(error, 'Forbidden')) throw error;
    return { exits: [], refused: (error as Error).message };
  }
}

/** The answer of one of a node's own paths; undefined where the node is not connected or remembers nothing. */
export async function askNode(session: Session, node: string, path: string): Promise<string | undefined> {
  try {
    return await session.client.raw(`/api/v1/nodes/${encodeURIComponent(node)}/proxy${path}`);
  } catch (error) {
    if (isReason(error, 'NotFound', 'ServiceUnavailable', 'MethodNotAllowed')) return undefined;
    throw error;
  }
}

export function itemsOf<T>(text: string): readonly T[] {
  return (JSON.parse(text) as { readonly items?: readonly T[] }).items ?? [];
}
