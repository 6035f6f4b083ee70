import { explain, Picture, PROFILES } from '@trimtab/controllers';
import {
  Namespaces,
  Nodes,
  PersistentVolumeClaims,
  PersistentVolumes,
  type Pod,
  Pods,
  StorageClasses,
} from '@trimtab/machinery';
import { CliError } from '../errors.js';
import type { Session } from './session.js';
import { memoryOf } from './why-status.js';

/** Says in words why a pod is what it is: why it waits for a node, or how its containers came to their state. */
export async function explainPod(session: Session, reference: string): Promise<number> {
  const [kind, name] = reference.includes('/') ? reference.split('/', 2) : ['pod', reference];
  if (!name || !['po', 'pod', 'pods'].includes(kind!))
    throw new CliError(`cannot explain ${reference}: only pods can be explained; say trimtab why pod/NAME`);
  const pod = await session.client.get(Pods, { namespace: session.namespace, name });
  const lines = pod.spec?.nodeName ? memoryOf(pod) : await placementOf(session, pod);
  session.say(...lines);
  return 0;
}

/** Asks the scheduler's own rules about every node, on a picture made of what the API shows. */
async function placementOf(session: Session, pod: Pod): Promise<readonly string[]> {
  const title = `pod/${pod.metadata.name} waits for a node.`;
  const gates = pod.spec?.schedulingGates ?? [];
  if (gates.length > 0)
    return [title, `  Its scheduling gates are not lifted: ${gates.map((gate) => gate.name).join(', ')}.`];
  const profile = PROFILES.find(({ schedulerName }) => schedulerName === pod.spec?.schedulerName);
  if (!profile) return [title, `  It asks for the scheduler ${pod.spec?.schedulerName}, which is none of ours.`];
  const { nodes, smallestChange } = explain(pod, await pictureOf(session), profile);
  if (nodes.length === 0) return [title, '  There is no node.'];
  if (!smallestChange)
    return [title, `  Node ${nodes[0]!.node} has room for it now: it should be placed within seconds.`];
  const shown = nodes.slice(0, 20);
  return [
    title,
    ...shown.map(({ node, refusals }) => `  ${node}: ${refusals.flatMap(({ reasons }) => reasons).join('; ')}`),
    ...(nodes.length > shown.length ? [`  and ${nodes.length - shown.length} nodes more`] : []),
    `The smallest change that would place it (on node ${smallestChange.node}):`,
    ...smallestChange.changes.map((change) => `  ${change}`),
  ];
}

async function pictureOf({ client }: Session): Promise<Picture> {
  const [nodes, pods, namespaces, claims, volumes, classes] = await Promise.all([
    client.list(Nodes),
    client.list(Pods),
    client.list(Namespaces),
    client.list(PersistentVolumeClaims),
    client.list(PersistentVolumes),
    client.list(StorageClasses),
  ]);
  const labels = new Map(namespaces.items.map(({ metadata }) => [metadata.name!, metadata.labels]));
  const placed = pods.items.filter(({ spec }) => spec?.nodeName);
  const picture = new Picture({
    namespaceLabels: (name) => labels.get(name),
    // Only the order of nodes that will do depends on it.
    defaultSelector: () => undefined,
    storage: {
      claim: (namespace, name) =>
        claims.items.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name),
      volume: (name) => volumes.items.find(({ metadata }) => metadata.name === name),
      volumes: () => volumes.items,
      storageClass: (name) => classes.items.find(({ metadata }) => metadata.name === name),
      users: (namespace, claim) =>
        placed.filter(({ metadata, spec }) => {
          const used = spec?.volumes?.some(({ persistentVolumeClaim: of }) => of?.claimName === claim);
          return metadata.namespace === namespace && used;
        }),
    },
  });
  for (const node of nodes.items) picture.setNode(node);
  for (const pod of placed) picture.place(pod, pod.spec!.nodeName!);
  return picture;
}
