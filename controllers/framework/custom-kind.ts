import type {
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
  JSONSchemaProps,
  KubeObject,
  Random,
  ResourceType,
} from '@trimtab/machinery';
import { apiVersionOf } from '@trimtab/machinery';
import { type Convertible, converted, type OtherVersion } from './conversion.js';
import type { Shape } from './schema.js';
import { misfits, sample } from './schema-values.js';

export interface CustomObject<S, T> extends KubeObject {
  readonly spec: S;
  readonly status?: T;
}

export interface KindDeclaration<S, T> {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Default: the kind in lower case and an `s`. */
  readonly plural?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** Default true. */
  readonly namespaced?: boolean;
  readonly spec: Shape<S>;
  /** With a status comes the status subresource. */
  readonly status?: Shape<T>;
  /** What `kubectl get` shows between name and age. */
  readonly columns?: readonly PrinterColumn[];
  /** Other versions in which it is served; objects are stored in `version`. */
  readonly others?: readonly OtherVersion<S>[];
  readonly scale?: { readonly replicas: string; readonly ready: string; readonly selector?: string };
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly path: string;
}

/** One declaration, four things: a type, a resource to address, a definition to install, a validator and a generator. */
export type CustomKind<S, T> = ResourceType<CustomObject<S, T>> &
  Convertible & {
    readonly definition: CustomResourceDefinition;
    /** What is wrong with an object, before any server says so. */
    validate(object: KubeObject): readonly string[];
    /** A valid object at random. */
    sample(random: Random, name: string, namespace?: string): CustomObject<S, T>;
    /** The object in another version of the kind, such as `example.com/v1beta1`. */
    convert(object: KubeObject, apiVersion: string): KubeObject;
    /** Gives an object its kind. */
    of(metadata: KubeObject['metadata'], spec: S): CustomObject<S, T>;
  };

/** The type of a kind's objects: `type Website = ObjectOf<typeof Websites>`. */
export type ObjectOf<K> = K extends CustomKind<infer S, infer T> ? CustomObject<S, T> : never;

export function customKind<S, T = never>(declaration: KindDeclaration<S, T>): CustomKind<S, T> {
  const { group, version, kind, namespaced = true, spec, status } = declaration;
  const resource = declaration.plural ?? `${kind.toLowerCase()}s`;
  const type = { group, version, kind, resource, namespaced };
  const made = { apiVersion: apiVersionOf(type), kind };
  const convertible: Convertible = {
    group,
    version,
    kind,
    specShape: spec,
    others: (declaration.others ?? []) as readonly OtherVersion[],
  };
  return {
    ...type,
    ...convertible,
    definition: definitionOf(declaration, resource),
    convert: (object, apiVersion) => converted(convertible, object, apiVersion),
    validate: (object) => {
      const { spec: given, status: told } = object as Partial<CustomObject<S, T>>;
      return [
        ...(given === undefined ? ['spec: Required value'] : misfits(spec.props, given, 'spec')),
        ...(status ? misfits(status.props, told, 'status') : []),
      ];
    },
    sample: (random, name, namespace = 'default') => ({
      ...made,
      metadata: { name, ...(namespaced ? { namespace } : {}) },
      spec: sample(spec.props, random) as S,
    }),
    of: (metadata, given) => ({ ...made, metadata, spec: given }),
  };
}

function definitionOf<S, T>(declaration: KindDeclaration<S, T>, resource: string): CustomResourceDefinition {
  const { group, version, kind, namespaced = true, spec, status, columns, scale, shortNames, categories } = declaration;
  const subresources = {
    ...(status ? { status: {} } : {}),
    ...(scale
      ? {
          scale: {
            specReplicasPath: scale.replicas,
            statusReplicasPath: scale.ready,
            ...(scale.selector ? { labelSelectorPath: scale.selector } : {}),
          },
        }
      : {}),
  };
  const versionOf = (
    name: string,
    shape: Shape<unknown>,
    more: Partial<CustomResourceDefinitionVersion> & { readonly storage: boolean },
  ) => ({
    name,
    served: true,
    ...more,
    schema: {
      openAPIV3Schema: {
        type: 'object',
        required: ['spec'],
        properties: { spec: shape.props, ...(status ? { status: status.props } : {}) },
      } as JSONSchemaProps,
    },
    ...(Object.keys(subresources).length > 0 ? { subresources } : {}),
  });
  const age = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };
  const shown = columns?.map(({ name, type, path }) => ({ name, type, jsonPath: path }));
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource}.${group}` },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind,
        plural: resource,
        singular: kind.toLowerCase(),
        listKind: `${kind}List`,
        ...(shortNames ? { shortNames: [...shortNames] } : {}),
        ...(categories ? { categories: [...categories] } : {}),
      },
      versions: [
        versionOf(version, spec, {
          storage: true,
          ...(shown ? { additionalPrinterColumns: [...shown, age] } : {}),
        }),
        ...(declaration.others ?? []).map(({ version: name, spec: shape, deprecated }) =>
          versionOf(name, shape, {
            storage: false,
            ...(deprecated === undefined ? {} : { deprecated: true, deprecationWarning: deprecated }),
          }),
        ),
      ],
    },
  } as CustomResourceDefinition;
}
