import {
  apiVersionOf,
  customFieldLabels,
  decodeStructural,
  type KubeObject,
  type ResourceType,
  type Schema,
} from '@trimtab/machinery';
import { builtinKinds, createBuiltinStrategies, type KindSource, type ServedKind } from '@trimtab/server';
import { NEVER } from 'rxjs';

let shared: KindSource | undefined;

/** Kubernetes' own kinds. Made once: they hold no state, and making them is most of what a world costs. */
export function kubernetesKinds(): KindSource {
  shared ??= builtinKinds({ strategies: createBuiltinStrategies() });
  return shared;
}

/** Kinds known by their names alone: any fields, nothing validated, and a status subresource. */
export function bareKinds(types: readonly ResourceType[]): KindSource {
  const kinds = types.map(bareKind);
  return { kinds: () => kinds, changes: NEVER };
}

/** How such a kind stands in the store, for who goes by definitions: the garbage collector, the end of a namespace. */
export const definitionOf = ({ group, version, kind, resource, namespaced }: ResourceType): KubeObject =>
  ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource}.${group}`, uid: `definition of ${resource}.${group}` },
    spec: {
      group,
      names: { kind, listKind: `${kind}List`, plural: resource, singular: kind.toLowerCase() },
      scope: namespaced ? 'Namespaced' : 'Cluster',
      versions: [{ name: version, served: true, storage: true }],
    },
    status: { conditions: [{ type: 'Established', status: 'True' }], storedVersions: [version] },
  }) as KubeObject;

const ANYTHING: Schema = {
  type: 'object',
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object', preserveUnknown: true },
  },
  preserveUnknown: true,
};

function bareKind(type: ResourceType): ServedKind {
  const { group, version, kind, resource } = type;
  const same = (object: KubeObject): KubeObject => object;
  return {
    ...type,
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: [],
    listKind: `${kind}List`,
    verbs: ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'],
    schema: ANYTHING,
    decode: (value) => decodeStructural<KubeObject>(ANYTHING, value, { defaults: false }),
    storage: {
      resource: `${group}/${resource}`,
      apiVersion: apiVersionOf(type),
      kind,
      fromStorage: same,
      toStorage: same,
    },
    strategy: {
      allowUnconditionalUpdate: false,
      prepareForCreate: ({ status: _, ...rest }: KubeObject & { readonly status?: unknown }) => rest as KubeObject,
    },
    subresources: {
      status: { name: 'status', type: { group, version, kind }, verbs: ['get', 'patch', 'update'], schema: ANYTHING },
    },
    fieldLabels: customFieldLabels(undefined),
    custom: true,
    generation: true,
  };
}
