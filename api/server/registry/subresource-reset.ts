import type { KubeObject } from '@trimtab/machinery';
import type { ServedKind } from './served-kind.js';

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (object: KubeObject): Fields => object as unknown as Fields;

/** The only field each of these subresources may change, besides metadata. */
const ownField: Readonly<Record<string, readonly [outer: string, inner: string]>> = {
  finalize: ['spec', 'finalizers'],
  ephemeralcontainers: ['spec', 'ephemeralContainers'],
  approval: ['status', 'conditions'],
};

/**
 * What a write through this subresource may change: a main write leaves status alone, a status write everything but status
 * and metadata, the others all but their own part. The rest is taken from `old`.
 */
export function resetForSubresource(
  kind: ServedKind,
  subresource: string,
  object: KubeObject,
  old: KubeObject,
): KubeObject {
  if (subresource === 'status') {
    if (!kind.custom && isOnlyStatus(object, old)) return object;
    const metadata = kind.custom ? { ...old.metadata, managedFields: object.metadata.managedFields } : object.metadata;
    return withField({ ...old, metadata }, 'status', fieldsOf(object).status);
  }
  if (subresource === 'resize') return { ...old, metadata: object.metadata, spec: resized(object, old) } as KubeObject;
  const own = ownField[subresource];
  if (own) {
    const [outer, inner] = own;
    const value = (fieldsOf(object)[outer] as Fields | undefined)?.[inner];
    const before = fieldsOf(old)[outer] as Fields | undefined;
    const part = withField(before ?? {}, inner, value);
    return { ...old, metadata: object.metadata, [outer]: part } as KubeObject;
  }
  if (subresource !== '' || kind.subresources.status === undefined) return object;
  const status = fieldsOf(old).status;
  return fieldsOf(object).status === status ? object : withField(object, 'status', status);
}

/** Whether nothing but metadata and status is another than it was: that is what is asked twice of most writes there are. */
function isOnlyStatus(object: KubeObject, old: KubeObject): boolean {
  const [now, before] = [fieldsOf(object), fieldsOf(old)];
  for (const field of Object.keys(now))
    if (now[field] !== before[field] && field !== 'metadata' && field !== 'status') return false;
  for (const field of Object.keys(before)) if (!(field in now) && field !== 'status') return false;
  return true;
}

/** The object with this field, or without it where the value is undefined. */
function withField<T extends object>(object: T, field: string, value: unknown): T {
  const { [field]: _, ...rest } = object as Fields;
  return (value === undefined ? rest : { ...rest, [field]: value }) as T;
}

interface Sized {
  readonly name: string;
  readonly resources?: unknown;
  readonly resizePolicy?: unknown;
}
interface PodParts {
  readonly spec?: { readonly containers?: readonly Sized[]; readonly initContainers?: readonly Sized[] };
}

/** The old pod spec with the new one's container resources. */
function resized(object: KubeObject, old: KubeObject): object {
  const wanted = (object as PodParts).spec;
  const before = (old as PodParts).spec;
  const each = (was: readonly Sized[] | undefined, now: readonly Sized[] | undefined) =>
    was?.map((c) => {
      const match = now?.find((n) => n.name === c.name);
      return match ? { ...c, resources: match.resources, resizePolicy: match.resizePolicy } : c;
    });
  return {
    ...before,
    containers: each(before?.containers, wanted?.containers),
    ...(before?.initContainers ? { initContainers: each(before.initContainers, wanted?.initContainers) } : {}),
  };
}
