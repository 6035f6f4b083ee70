import {
  type Deployment,
  EndpointSlices,
  Events,
  type KubeObject,
  Leases,
  type Node,
  type Pod,
  Pods,
  ReplicaSets,
  type ResourceType,
  type Service,
} from '@trimtab/machinery';
import { listAll } from './collection.js';
import { lookUp } from './delete.js';
import { type Block, blockLines } from './describe/block.js';
import { describeDeployment } from './describe/deployment.js';
import { eventSelector, isAbout } from './describe/events.js';
import { describeAny } from './describe/generic.js';
import { describeNode } from './describe/node.js';
import { describePod } from './describe/pod.js';
import { describeService } from './describe/service.js';
import { errorText } from './error-text.js';
import { keyFor } from './get.js';
import { shown } from './object-text.js';
import type { Session } from './session.js';
import { type Target, targetsOf } from './targets.js';

/** Shows objects in detail. Gives the exit code. */
export async function describeObjects(session: Session, word: string, names: readonly string[]): Promise<number> {
  const targets = targetsOf(await session.catalogue(), word, names);
  let failed = false;
  let first = true;
  for (const target of targets) {
    for (const wanted of await objectsOf(session, target)) {
      try {
        const { type } = target.resource;
        const block = await blockFor(session, type, shown(type, await wanted()));
        if (!first) session.say('', '');
        first = false;
        session.say(...blockLines(block));
      } catch (error) {
        const text = errorText(error);
        if (text === undefined) throw error;
        session.complain(text);
        failed = true;
      }
    }
  }
  if (first && !failed) session.complain(`No resources found in ${session.namespace} namespace.`);
  return failed ? 1 : 0;
}

async function objectsOf(
  session: Session,
  { resource, names }: Target,
): Promise<readonly (() => Promise<KubeObject>)[]> {
  const { type } = resource;
  if (names.length > 0) return names.map((name) => () => session.client.get(type, keyFor(session, type, name)));
  const all = await listAll(session, type, type.namespaced ? { namespace: session.namespace } : {});
  return all.map((object) => async () => object);
}

/** Fetches what surrounds the object and belongs to its description. */
async function blockFor(session: Session, type: ResourceType, object: KubeObject): Promise<Block> {
  const now = session.now();
  const namespace = object.metadata.namespace ? { namespace: object.metadata.namespace } : {};
  const { name = '', uid } = object.metadata;
  const all = await orNone(listAll(session, Events, { ...namespace, fieldSelector: eventSelector(object) }));
  const events = all.filter((event) => isAbout(event, object));
  switch (`${type.group}/${type.resource}`) {
    case '/pods':
      return describePod(object as Pod, events, now);
    case '/nodes': {
      const pods = await orNone(listAll(session, Pods, { fieldSelector: `spec.nodeName=${name}` }));
      const lease = await lookUp(session, Leases, { namespace: 'kube-node-lease', name }).catch(() => undefined);
      return describeNode(object as Node, { pods, lease, events }, now);
    }
    case '/services': {
      const labelSelector = `kubernetes.io/service-name=${name}`;
      const slices = await orNone(listAll(session, EndpointSlices, { ...namespace, labelSelector }));
      return describeService(object as Service, slices, events, now);
    }
    case 'apps/deployments': {
      const sets = await orNone(listAll(session, ReplicaSets, namespace));
      const own = sets.filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid));
      return describeDeployment(object as Deployment, own, events, now);
    }
    default:
      return describeAny(object, events, now);
  }
}

/** What may not be read, or is not served, is left out of a description. */
async function orNone<T>(list: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await list;
  } catch (error) {
    if (errorText(error) === undefined) throw error;
    return [];
  }
}
