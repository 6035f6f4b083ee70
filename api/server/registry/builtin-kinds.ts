import {
  apiVersionOf,
  builtinResources,
  decodeTyped,
  fieldLabels,
  type KubeObject,
  type Namespace,
  type ResourceInfo,
  schemaFor,
} from '@trimtab/machinery';
import { NEVER } from 'rxjs';
import type { Strategy } from '../contracts.js';
import { conversions } from './conversions.js';
import { podDeletion } from './pod-deletion.js';
import type { KindSource, ScalePaths, ServedKind, Subresource, Verb } from './served-kind.js';

/** What other rooms add to the built-in kinds, by `<group>/<plural>` of the storage version. */
export interface BuiltinParts {
  readonly strategies?: Readonly<Record<string, Strategy>>;
  /** Alpha and beta versions to serve, as `group/version`; stable ones always are. */
  readonly extraVersions?: ReadonlySet<string>;
}

/** Kinds whose objects carry `metadata.generation`. */
const withGeneration = new Set([
  '/pods',
  '/replicationcontrollers',
  'admissionregistration.k8s.io/mutatingadmissionpolicies',
  'admissionregistration.k8s.io/mutatingadmissionpolicybindings',
  'admissionregistration.k8s.io/mutatingwebhookconfigurations',
  'admissionregistration.k8s.io/validatingadmissionpolicies',
  'admissionregistration.k8s.io/validatingadmissionpolicybindings',
  'admissionregistration.k8s.io/validatingwebhookconfigurations',
  'apiextensions.k8s.io/customresourcedefinitions',
  'apps/daemonsets',
  'apps/deployments',
  'apps/replicasets',
  'apps/statefulsets',
  'batch/cronjobs',
  'batch/jobs',
  'flowcontrol.apiserver.k8s.io/flowschemas',
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations',
  'networking.k8s.io/ingressclasses',
  'networking.k8s.io/ingresses',
  'networking.k8s.io/networkpolicies',
  'policy/poddisruptionbudgets',
  'resource.k8s.io/deviceclasses',
  'resource.k8s.io/resourceslices',
  'scheduling.k8s.io/priorityclasses',
]);

/** Of kinds whose every use is answered with a warning, as Kubernetes words it. */
const deprecations: Readonly<Record<string, string>> = {
  'v1/ComponentStatus': 'v1 ComponentStatus is deprecated in v1.19+',
  'v1/Endpoints': 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
};

const scale: ScalePaths = {
  specReplicas: 'spec.replicas',
  statusReplicas: 'status.replicas',
  selector: 'spec.selector',
};

/** Strategies of the generic registry itself; those of {@link BuiltinParts} go over them. */
const own: Readonly<Record<string, Strategy>> = {
  '/pods': podDeletion,
  '/namespaces': {
    finalizing: (o) => (o as Namespace).spec?.finalizers ?? [],
    markDeleted: (o) => ({ ...o, status: { ...(o as Namespace).status, phase: 'Terminating' } }) as KubeObject,
  },
  '/replicationcontrollers': { defaultPropagation: 'Orphan' },
  'batch/jobs': { defaultPropagation: 'Orphan' },
  'coordination.k8s.io/leases': { allowCreateOnUpdate: true },
  '/events': { allowCreateOnUpdate: true },
  '/endpoints': { allowCreateOnUpdate: true },
  '/limitranges': { allowCreateOnUpdate: true },
  '/services': { allowCreateOnUpdate: true },
  'node.k8s.io/runtimeclasses': { allowCreateOnUpdate: true },
  'rbac.authorization.k8s.io/roles': { allowCreateOnUpdate: true },
  'rbac.authorization.k8s.io/rolebindings': { allowCreateOnUpdate: true },
  'rbac.authorization.k8s.io/clusterroles': { allowCreateOnUpdate: true },
  'rbac.authorization.k8s.io/clusterrolebindings': { allowCreateOnUpdate: true },
};

/** Kinds whose updates have to name the revision they were made from. */
const conditionalUpdates = new Set([
  'admissionregistration.k8s.io/mutatingadmissionpolicies',
  'admissionregistration.k8s.io/mutatingadmissionpolicybindings',
  'admissionregistration.k8s.io/mutatingwebhookconfigurations',
  'admissionregistration.k8s.io/validatingadmissionpolicies',
  'admissionregistration.k8s.io/validatingadmissionpolicybindings',
  'admissionregistration.k8s.io/validatingwebhookconfigurations',
  'apiextensions.k8s.io/customresourcedefinitions',
  'apiregistration.k8s.io/apiservices',
  'coordination.k8s.io/leases',
  'node.k8s.io/runtimeclasses',
  'policy/poddisruptionbudgets',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/csinodes',
  'storage.k8s.io/csistoragecapacities',
  'storage.k8s.io/volumeattachments',
]);

/** The kinds Kubernetes has built in, made from the schema table when first asked for. */
export function builtinKinds(parts: BuiltinParts = {}): KindSource {
  let kinds: readonly ServedKind[] | undefined;
  return {
    changes: NEVER,
    kinds: () => {
      kinds ??= builtinResources()
        .filter((r) => r.enabledByDefault || parts.extraVersions?.has(`${r.type.group}/${r.type.version}`))
        .map((r) => servedKind(r, parts));
      return kinds;
    },
  };
}

function servedKind(info: ResourceInfo, parts: BuiltinParts): ServedKind {
  const { type, storage } = info;
  const stored = `${storage.group}/${storage.resource}`;
  const schemaOfKind = schemaFor(type);
  const deprecation = deprecations[`${apiVersionOf(type)}/${type.kind}`];
  if (!schemaOfKind) throw new Error(`the schema table has no ${type.group}/${type.version} ${type.kind}`);
  return {
    ...type,
    singular: info.singular,
    shortNames: info.shortNames,
    categories: info.categories,
    listKind: `${type.kind}List`,
    verbs: info.verbs as readonly Verb[],
    schema: schemaOfKind,
    decode: (value, options) => decodeTyped<KubeObject>(schemaOfKind, value, options?.known),
    storage: storageOf(info),
    strategy: {
      allowUnconditionalUpdate: !conditionalUpdates.has(stored),
      ...own[stored],
      ...parts.strategies?.[stored],
    },
    subresources: Object.fromEntries(info.subresources.map((s) => [s.name, subresource(s)])),
    fieldLabels: fieldLabels(type.group, type.resource),
    custom: false,
    generation: withGeneration.has(stored),
    ...(deprecation ? { deprecation } : {}),
  };
}

function subresource(s: ResourceInfo['subresources'][number]): Subresource {
  const type = { group: s.group, version: s.version, kind: s.kind };
  return {
    name: s.name,
    type,
    verbs: s.verbs as Subresource['verbs'],
    schema: schemaFor(type),
    ...(s.name === 'scale' ? { scale } : {}),
  };
}

function storageOf({ type, storage }: ResourceInfo): ServedKind['storage'] {
  const version = (t: { group: string; version: string }) => (t.group ? `${t.group}/${t.version}` : t.version);
  const place = {
    resource: `${storage.group}/${storage.resource}`,
    apiVersion: version(storage),
    kind: storage.kind,
  };
  if (type.group === storage.group && type.version === storage.version)
    return { ...place, fromStorage: (o) => o, toStorage: (o) => o };
  const conversion = conversions[`${version(type)}/${type.kind}`];
  const served = { apiVersion: version(type), kind: type.kind };
  return {
    ...place,
    fromStorage: remembering((o) => ({ ...(conversion?.fromStorage(o) ?? o), ...served })),
    toStorage: (o) => ({ ...(conversion?.toStorage(o) ?? o), apiVersion: place.apiVersion, kind: place.kind }),
  };
}

/** The same result for the same object, so that encodings of converted objects can be shared as well. */
function remembering(convert: (object: KubeObject) => KubeObject): (object: KubeObject) => KubeObject {
  const known = new WeakMap<KubeObject, KubeObject>();
  return (object) => {
    let converted = known.get(object);
    if (!converted) {
      converted = convert(object);
      known.set(object, converted);
    }
    return converted;
  };
}
