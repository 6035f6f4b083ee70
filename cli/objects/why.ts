import { explain, Picture, PROFILES } from '@trimtab/controllers';
import {
  type Event,
  Events,
  isReason,
  type KubeObject,
  matchesLabels,
  Namespaces,
  Nodes,
  PersistentVolumeClaims,
  PersistentVolumes,
  type Pod,
  Pods,
  type ResourceType,
  StorageClasses,
  selectNothing,
} from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { chainOf } from '../history/chain.js';
import { listAll } from './collection.js';
import { eventSelector, isAbout } from './describe/events.js';
import { keyFor } from './get.js';
import { nameText } from './object-text.js';
import { selectorOf } from './pod-choice.js';
import type { Session } from './session.js';
import { resourceFor } from './targets.js';
import { exitLines } from './why-exits.js';
import { changeText, mendsOf } from './why-mends.js';
import { readNodeMemory } from './why-node.js';
import { troubled } from './why-pods.js';
import { retryLines } from './why-retries.js';
import { memoryOf } from './why-status.js';
import { accountOf, hasAccount } from './why-workload.js';

/**
 * Says in words why an object is what it is: of a pod, why it waits for a node, or how its containers came to their state; of
 * what stands for pods, how far it is and what keeps them, with the first of them that is in trouble; of everything, the writes
 * that led there, as far as they are kept.
 */
export async function explainObject(session: Session, reference: string): Promise<number> {
  const [kind = '', name] = reference.includes('/') ? reference.split('/', 2) : ['pod', reference];
  if (!name) throw new CliError(`cannot explain ${reference}: say trimtab why pod/NAME`);
  const isPod = ['po', 'pod', 'pods'].includes(kind);
  const type = isPod ? Pods : resourceFor(await session.catalogue(), kind).type;
  const chain = await chainOf(session, type, name);
  const object = await session.client.get<KubeObject>(type, keyFor(session, type, name)).catch((error: unknown) => {
    // What is gone has its past all the same.
    if (isReason(error, 'NotFound') && chain.length > 0) return undefined;
    throw error;
  });
  if (!object) session.say(`${nameText(type, name)} is gone.`);
  if (isPod) session.say(...(await podLines(session, name, object as Pod | undefined)));
  if (object && !isPod) session.say(...(await workloadLines(session, type, object)));
  if (object) session.say(...retryLines(nameText(type, name), object, session.now()));
  session.say(...chain);
  return 0;
}

async function workloadLines(session: Session, type: ResourceType, object: KubeObject): Promise<readonly string[]> {
  const resource = type.group ? `${type.resource}.${type.group}` : type.resource;
  if (!hasAccount(resource)) return [];
  const { name = '', namespace } = object.metadata;
  const [neighbours, events] = await Promise.all([listAll(session, Pods, { namespace }), eventsOf(session, object)]);
  const pods =
    resource === 'persistentvolumeclaims'
      ? neighbours.filter((pod) => claimsOf(pod).includes(name))
      : neighbours.filter(({ metadata }) => matchesLabels(selectorOf(object) ?? selectNothing, metadata.labels));
  const lines = accountOf(resource, nameText(type, name), object, { pods, neighbours, events });
  const [, [worst] = []] = troubled(pods)[0] ?? [];
  return worst && !worst.metadata.deletionTimestamp
    ? [...lines, ...(await podLines(session, worst.metadata.name!, worst))]
    : lines;
}

const claimsOf = ({ spec }: Pod): readonly (string | undefined)[] =>
  (spec?.volumes ?? []).map((volume) => volume.persistentVolumeClaim?.claimName);

async function podLines(session: Session, name: string, pod: Pod | undefined): Promise<readonly string[]> {
  if (pod && !pod.spec?.nodeName && !pod.status?.reason) return placementOf(session, pod);
  const { exits, refused } = await readNodeMemory(session, name, pod);
  const remembered = refused ? [`What the node remembers is not for you to see: ${refused}`] : exitLines(exits);
  if (!pod) return remembered;
  const events = await eventsOf(session, pod);
  const mends = mendsOf({ pod, exits, events });
  return [
    ...memoryOf(pod),
    ...remembered,
    ...(mends.length > 0 ? ['What will likely mend it:', ...mends.map((mend) => `  ${mend}`)] : []),
  ];
}

/** Oldest first. */
async function eventsOf(session: Session, object: KubeObject): Promise<readonly Event[]> {
  const { namespace } = object.metadata;
  const { items } = await session.client.list(Events, { namespace, fieldSelector: eventSelector(object) });
  const seen = ({ lastTimestamp, eventTime, metadata }: Event) =>
    Date.parse(lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '') || 0;
  return items.filter((event) => isAbout(event, object)).sort((a, b) => seen(a) - seen(b));
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
    ...smallestChange.changes.map((change) => `  ${changeText(change)}`),
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
