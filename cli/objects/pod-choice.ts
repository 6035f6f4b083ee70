import {
  formatLabelSelector,
  type KubeObject,
  type Pod,
  Pods,
  type Selector,
  selectorFromLabels,
  selectorFromObject,
} from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { listAll } from './collection.js';
import { keyFor } from './get.js';
import { nameText } from './object-text.js';
import { isReady } from './pod-ready.js';
import type { Session } from './session.js';
import { resourceFor } from './targets.js';

const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

/** The container a command means when it names none, and what to tell about the choice. */
export function containerOf(pod: Pod, wanted: string | undefined): { readonly name: string; readonly note?: string } {
  const names = (pod.spec?.containers ?? []).map(({ name }) => name);
  const others = [...(pod.spec?.ephemeralContainers ?? []), ...(pod.spec?.initContainers ?? [])].map(
    ({ name }) => name,
  );
  const all = [...names, ...others];
  if (wanted !== undefined) {
    if (all.includes(wanted)) return { name: wanted };
    throw new CliError(`container ${wanted} is not valid for pod ${pod.metadata.name}; it has: ${all.join(', ')}`);
  }
  const annotated = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  if (annotated !== undefined && all.includes(annotated)) return { name: annotated };
  const [first = ''] = names;
  return all.length > 1
    ? { name: first, note: `Defaulted container "${first}" out of: ${all.join(', ')}` }
    : { name: first };
}

/** Running and ready before the others, then the one that has run longest. */
export function firstPod(pods: readonly Pod[]): Pod | undefined {
  const rank = (pod: Pod): number =>
    (pod.metadata.deletionTimestamp ? 4 : 0) + (pod.status?.phase === 'Running' ? 0 : 2) + (isReady(pod) ? 0 : 1);
  const age = ({ metadata }: Pod): number => Date.parse(metadata.creationTimestamp ?? '') || 0;
  return [...pods].sort((a, b) => rank(a) - rank(b) || age(a) - age(b))[0];
}

/** `spec.selector` of whatever runs or finds pods; undefined where there is none. */
export function selectorOf(object: KubeObject): Selector | undefined {
  const { selector } =
    (object as { readonly spec?: { readonly selector?: Readonly<Record<string, unknown>> } }).spec ?? {};
  if (!selector || Object.keys(selector).length === 0) return undefined;
  const structured = 'matchLabels' in selector || 'matchExpressions' in selector;
  return structured ? selectorFromObject(selector) : selectorFromLabels(selector as Record<string, string>);
}

/** The same as a query. */
export function podSelectorOf(object: KubeObject): string | undefined {
  const selector = selectorOf(object);
  return selector && formatLabelSelector(selector);
}

/** The pod of a name, of `pod/name`, or one of those of `deployment/name` and the like. */
export async function choosePod(session: Session, word: string): Promise<Pod> {
  const { client } = session;
  const [kind, name] = word.includes('/')
    ? [word.slice(0, word.indexOf('/')), word.slice(word.indexOf('/') + 1)]
    : ['pods', word];
  if (kind === 'pods') return client.get(Pods, keyFor(session, Pods, name));
  const { type } = resourceFor(await session.catalogue(), kind);
  const object = await client.get(type, keyFor(session, type, name));
  if (type.group === '' && type.resource === 'pods') return object as Pod;
  const labelSelector = podSelectorOf(object);
  if (labelSelector === undefined) throw new CliError(`${nameText(type, name)} has no pods of its own`);
  const pods = await listAll(session, Pods, { namespace: session.namespace, labelSelector });
  const chosen = firstPod(pods);
  if (!chosen) throw new CliError(`${nameText(type, name)} has no pods now`);
  if (pods.length > 1) session.complain(`Found ${pods.length} pods, using pod/${chosen.metadata.name}`);
  return chosen;
}
