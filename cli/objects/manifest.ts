import { type Json, type KubeObject, parseYamlDocuments, type YamlDocument } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { fieldSteps, type Place } from './error-text.js';

/** One object of a file, and the way back from its fields to their lines. */
export interface Manifest {
  readonly object: KubeObject & { readonly apiVersion: string; readonly kind: string };
  /** `app.yaml:12`, where it begins. */
  readonly where: string;
  readonly place: Place;
}

/**
 * The objects of one file's text: YAML documents, JSON, lists of objects. `source` is named in errors.
 *
 * @throws YamlError for text that cannot be read, CliError for what is no object of a cluster; both name file and line.
 */
export function manifestsOf(text: string, source: string): readonly Manifest[] {
  return parseYamlDocuments(text, source).flatMap((document) => {
    const [duplicate] = document.duplicates;
    if (duplicate) throw new CliError(`${source}:${duplicate.line}: ${duplicate.message}`);
    return objectsIn(document, document.value, [], source);
  });
}

function objectsIn(
  document: YamlDocument,
  value: Json,
  path: readonly (string | number)[],
  source: string,
): readonly Manifest[] {
  const lineOf = (steps: readonly (string | number)[]): string => `${source}:${document.lineOf([...path, ...steps])}`;
  const refuse = (steps: readonly (string | number)[], why: string): never => {
    throw new CliError(`${lineOf(steps)}: ${why}`);
  };
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return refuse([], 'an object with apiVersion, kind and metadata is expected');
  const { apiVersion, kind, metadata, items } = value as { readonly [field: string]: Json | undefined };
  for (const [field, given] of Object.entries({ apiVersion, kind })) {
    if (given === undefined || given === null || given === '') refuse([], `${field} is not set`);
    if (typeof given !== 'string') refuse([field], `${field} must be a text`);
  }
  if (/List$/.test(kind as string) && Array.isArray(items))
    return items.flatMap((item, i) => objectsIn(document, item, [...path, 'items', i], source));
  if (metadata === undefined || metadata === null || typeof metadata !== 'object' || Array.isArray(metadata))
    return refuse(metadata === undefined ? [] : ['metadata'], `${kind} has no metadata`);
  const { name, namespace } = metadata as { readonly [field: string]: Json | undefined };
  if (name === undefined || name === null || name === '') refuse(['metadata'], `${kind} has no metadata.name`);
  if (typeof name !== 'string') refuse(['metadata', 'name'], 'metadata.name must be a text; put it in quotes');
  if (namespace !== undefined && namespace !== null && typeof namespace !== 'string')
    refuse(['metadata', 'namespace'], 'metadata.namespace must be a text; put it in quotes');
  const where = lineOf([]);
  return [
    {
      object: value as unknown as Manifest['object'],
      where,
      place: (field) => (field === '' ? where : lineOf(fieldSteps(field, value))),
    },
  ];
}

/** What others stand on comes first: namespaces and definitions of kinds; the rest stays in the order given. */
export function inOrder(manifests: readonly Manifest[]): readonly Manifest[] {
  const isBase = ({ object }: Manifest): boolean => BASES.has(object.kind);
  return [...manifests.filter(isBase), ...manifests.filter((manifest) => !isBase(manifest))];
}

/** The other way round: what others stand on goes last. */
export function inOrderOfDeletion(manifests: readonly Manifest[]): readonly Manifest[] {
  const ordered = inOrder(manifests);
  const bases = ordered.filter(({ object }) => BASES.has(object.kind));
  return [...ordered.slice(bases.length), ...bases.toReversed()];
}

const BASES = new Set(['Namespace', 'CustomResourceDefinition']);

/** Whether a definition among the manifests will make this kind known. */
export function isDefinedAmong(manifests: readonly Manifest[], apiVersion: string, kind: string): boolean {
  return manifests.some(({ object }) => {
    if (object.kind !== 'CustomResourceDefinition') return false;
    const { spec } = object as unknown as {
      readonly spec?: {
        readonly group?: string;
        readonly names?: { readonly kind?: string };
        readonly versions?: readonly { readonly name?: string }[];
      };
    };
    const versions = Array.isArray(spec?.versions) ? spec.versions : [];
    return spec?.names?.kind === kind && versions.some(({ name }) => `${spec.group}/${name}` === apiVersion);
  });
}
