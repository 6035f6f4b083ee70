import {
  builtinResources,
  type CustomResourceDefinition,
  type ResourceInfo,
  type ResourceType,
} from '@trimtab/machinery';

/**
 * Every kind of object that can be listed, watched and deleted, once each: built-in kinds in their foremost version, and
 * established custom kinds in their stored one. What the garbage collector and namespace deletion work on.
 */
export function collectableTypes(definitions: readonly CustomResourceDefinition[]): readonly ResourceType[] {
  return [...BUILTIN, ...definitions.flatMap(customType)];
}

const collectable = ({ verbs, preferred, enabledByDefault, type, storage }: ResourceInfo): boolean =>
  preferred &&
  enabledByDefault &&
  ['delete', 'list', 'watch'].every((verb) => verbs.includes(verb)) &&
  // A kind served by two groups (events) is collected where it is kept.
  type.group === storage.group;

const BUILTIN: readonly ResourceType[] = builtinResources()
  .filter(collectable)
  .map(({ type }) => type);

function customType({ spec, status }: CustomResourceDefinition): ResourceType[] {
  const established = status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True');
  const version = spec.versions.find((v) => v.storage && v.served) ?? spec.versions.find((v) => v.served);
  if (!established || version === undefined) return [];
  const { kind, plural } = spec.names;
  return [
    { group: spec.group, version: version.name, kind, resource: plural, namespaced: spec.scope === 'Namespaced' },
  ];
}

export const typeId = ({ group, resource }: ResourceType): string => `${resource}.${group}`;
