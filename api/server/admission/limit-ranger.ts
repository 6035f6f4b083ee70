import {
  type Container,
  compareQuantities,
  formatQuantity,
  type LimitRange,
  type LimitRangeItem,
  type PersistentVolumeClaim,
  type Pod,
  type PodSpec,
  parseQuantity,
  podAmounts,
  quantityNumber,
} from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionPlugin, ObjectReader } from '../contracts.js';
import { concerns, isMirrorPod, refuse } from './attributes.js';

type Amounts = Readonly<Record<string, string>>;

/** Defaults of the namespace's LimitRanges for containers that name no resources, and their bounds for all. */
export function limitRanger(reader: ObjectReader): AdmissionPlugin {
  const items = (namespace: string, type: string): readonly LimitRangeItem[] =>
    [...reader.list('/limitranges', namespace)].flatMap(
      (object) => (object as LimitRange).spec?.limits?.filter((item) => item.type === type) ?? [],
    );
  return {
    name: 'LimitRanger',
    mutate(attributes) {
      const pod = attributes.object as Pod;
      if (!concerns(attributes, '/pods', 'CREATE') || !pod.spec || isMirrorPod(pod)) return pod;
      return withDefaults(pod, items(attributes.namespace, 'Container'));
    },
    validate(attributes) {
      const { namespace } = attributes;
      const problems: string[] = [];
      if (concerns(attributes, '/pods', 'CREATE') || isResize(attributes)) {
        const { spec } = attributes.object as Pod;
        if (!spec) return;
        for (const item of items(namespace, 'Container'))
          for (const { resources } of [...spec.containers, ...(spec.initContainers ?? [])])
            check(item, resources?.requests ?? {}, resources?.limits ?? {}, problems);
        for (const item of items(namespace, 'Pod'))
          check(item, podTotal(spec, 'requests'), podTotal(spec, 'limits'), problems);
      } else if (concerns(attributes, '/persistentvolumeclaims', 'CREATE', 'UPDATE')) {
        const { spec } = attributes.object as PersistentVolumeClaim;
        for (const item of items(namespace, 'PersistentVolumeClaim'))
          check(item, spec?.resources?.requests ?? {}, spec?.resources?.requests ?? {}, problems);
      }
      if (problems.length > 0)
        throw refuse(attributes, problems.length === 1 ? `${problems[0]}` : `[${problems.join(', ')}]`);
    },
  };
}

const isResize = ({ type, subresource, operation }: AdmissionAttributes): boolean =>
  type.resource === 'pods' && subresource === 'resize' && operation === 'UPDATE';

function withDefaults(pod: Pod, items: readonly LimitRangeItem[]): Pod {
  if (items.length === 0 || !pod.spec) return pod;
  const limits: Amounts = Object.assign({}, ...items.map((item) => item.default ?? {}));
  const requests: Amounts = Object.assign({}, ...items.map((item) => item.defaultRequest ?? {}));
  const said: string[] = [];
  const fill =
    (what: string) =>
    (container: Container): Container => {
      const own = container.resources ?? {};
      const newLimits = missing(limits, own.limits);
      // A request that only mirrors the limit was put there by defaulting; one from a limit the user gave stays.
      const newRequests = missing(requests, own.requests);
      const words = [
        ...(newRequests.length > 0 ? [`${newRequests.join(', ')} request for ${what} ${container.name}`] : []),
        ...(newLimits.length > 0 ? [`${newLimits.join(', ')} limit for ${what} ${container.name}`] : []),
      ];
      if (words.length === 0) return container;
      said.push(...words);
      return {
        ...container,
        resources: { ...own, limits: { ...limits, ...own.limits }, requests: { ...requests, ...own.requests } },
      };
    };
  const spec: PodSpec = {
    ...pod.spec,
    containers: pod.spec.containers.map(fill('container')),
    ...(pod.spec.initContainers ? { initContainers: pod.spec.initContainers.map(fill('init container')) } : {}),
  };
  if (said.length === 0) return pod;
  const annotations = {
    ...pod.metadata.annotations,
    'kubernetes.io/limit-ranger': `LimitRanger plugin set: ${said.join('; ')}`,
  };
  return { ...pod, metadata: { ...pod.metadata, annotations }, spec } as Pod;
}

const missing = (defaults: Amounts, own: Amounts | undefined): readonly string[] =>
  Object.keys(defaults).filter((name) => own?.[name] === undefined);

const podTotal = (spec: PodSpec, kind: 'requests' | 'limits'): Amounts =>
  Object.fromEntries([...podAmounts(spec, kind)].map(([name, amount]) => [name, formatQuantity(amount)]));

function check(item: LimitRangeItem, requests: Amounts, limits: Amounts, problems: string[]): void {
  const per = `usage per ${item.type} is`;
  const compare = (a: string, b: string) => compareQuantities(parseQuantity(a), parseQuantity(b));
  for (const [name, least] of Object.entries(item.min ?? {})) {
    const request = requests[name];
    if (request === undefined) problems.push(`minimum ${name} ${per} ${least}.  No request is specified`);
    else if (compare(request, least) < 0) problems.push(`minimum ${name} ${per} ${least}, but request is ${request}`);
    const limit = limits[name];
    if (limit !== undefined && compare(limit, least) < 0)
      problems.push(`minimum ${name} ${per} ${least}, but limit is ${limit}`);
  }
  for (const [name, most] of Object.entries(item.max ?? {})) {
    const limit = limits[name];
    if (limit === undefined) problems.push(`maximum ${name} ${per} ${most}.  No limit is specified`);
    else if (compare(limit, most) > 0) problems.push(`maximum ${name} ${per} ${most}, but limit is ${limit}`);
    const request = requests[name];
    if (request !== undefined && compare(request, most) > 0)
      problems.push(`maximum ${name} ${per} ${most}, but request is ${request}`);
  }
  for (const [name, ratio] of Object.entries(item.maxLimitRequestRatio ?? {})) {
    const request = quantityNumber(parseQuantity(requests[name] ?? '0'));
    const limit = quantityNumber(parseQuantity(limits[name] ?? '0'));
    const rule = `${name} max limit to request ratio per ${item.type} is ${ratio}`;
    if (request === 0) problems.push(`${rule}, but no request is specified or request is 0`);
    else if (limit === 0) problems.push(`${rule}, but no limit is specified or limit is 0`);
    else if (limit / request > quantityNumber(parseQuantity(ratio)))
      problems.push(`${rule}, but provided ratio is ${(limit / request).toFixed(6)}`);
  }
}
