import { forbidden, type KubeObject, type Pod, type PodSpec, type StatusError } from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionPlugin, ObjectReader } from '../contracts.js';

/** Small questions every plugin asks of a request. */

type Operation = AdmissionAttributes['operation'];

export const concerns = (
  { type, subresource, operation }: AdmissionAttributes,
  resource: `${string}/${string}`,
  ...operations: readonly Operation[]
): boolean => subresource === '' && operations.includes(operation) && isNamed(resource, type.group, type.resource);

/** Asked by every plugin of every write: `group/plural`, without making a string of the two. */
const isNamed = (name: string, group: string, plural: string): boolean =>
  name.length === group.length + plural.length + 1 &&
  name.startsWith(group) &&
  name.endsWith(plural) &&
  name[group.length] === '/';

/** 403 in Kubernetes' words, about the object of the request. */
export const refuse = ({ type, name }: AdmissionAttributes, why: string): StatusError =>
  forbidden({ group: type.group, resource: type.resource }, name, why);

/** Mirror pods stand for a kubelet's static pods: nothing is decided about them here. */
export const isMirrorPod = (object: KubeObject): boolean =>
  object.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined;

type Checked<T> = (attributes: AdmissionAttributes, object: T) => T | Promise<T>;

/** A plugin that changes the specs of new pods. */
export function podPlugin(
  name: string,
  change: (spec: PodSpec, pod: Pod, attributes: AdmissionAttributes) => PodSpec,
): AdmissionPlugin {
  return {
    name,
    mutate(attributes) {
      const pod = attributes.object as Pod;
      if (!concerns(attributes, '/pods', 'CREATE') || !pod.spec || isMirrorPod(pod)) return pod;
      const spec = change(pod.spec, pod, attributes);
      return spec === pod.spec ? pod : ({ ...pod, spec } as Pod);
    },
  };
}

/** A plugin that changes new objects of one resource. */
export function createPlugin<T extends KubeObject>(
  name: string,
  resource: `${string}/${string}`,
  change: Checked<T>,
): AdmissionPlugin {
  return {
    name,
    mutate: (attributes) =>
      concerns(attributes, resource, 'CREATE')
        ? change(attributes, attributes.object as T)
        : (attributes.object as KubeObject),
  };
}

/** The class that an annotation marks as default: the youngest, then by name. */
export function defaultClass(reader: ObjectReader, resource: string, annotation: string): KubeObject | undefined {
  let best: KubeObject | undefined;
  for (const candidate of reader.list(resource)) {
    if (candidate.metadata.annotations?.[annotation] !== 'true') continue;
    if (!best || (candidate.metadata.creationTimestamp ?? '') > (best.metadata.creationTimestamp ?? ''))
      best = candidate;
  }
  return best;
}
