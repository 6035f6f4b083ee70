import { conflict, equalJson, type KubeObject, type ObjectMeta, type Random, timestamp } from '@trimtab/machinery';
import { resourceName, withMetadata } from './context.js';
import { newUid } from './names.js';
import type { ServedKind } from './served-kind.js';

/** The metadata of a new object: what only the system may set is set here and nothing of it taken from the client. */
export function metadataForCreate(
  kind: ServedKind,
  object: KubeObject,
  name: string,
  now: number,
  random: Random,
): KubeObject {
  const {
    deletionTimestamp: _,
    deletionGracePeriodSeconds: __,
    generation: ___,
    selfLink: ____,
    ...given
  } = object.metadata;
  const metadata: ObjectMeta = {
    ...given,
    name,
    uid: newUid(random),
    creationTimestamp: timestamp(now),
    ...(kind.generation ? { generation: 1 } : {}),
  };
  return { ...object, metadata };
}

/** An update keeps what only the system may set, whatever the client sent. */
export function metadataForUpdate(object: KubeObject, old: KubeObject): KubeObject {
  if (object.metadata === old.metadata && old.metadata.selfLink === undefined) return object;
  const {
    deletionTimestamp: _,
    deletionGracePeriodSeconds: __,
    selfLink: ___,
    generation: ____,
    ...given
  } = object.metadata;
  const { namespace, generation, deletionTimestamp, deletionGracePeriodSeconds } = old.metadata;
  const metadata: { -readonly [F in keyof ObjectMeta]: ObjectMeta[F] } = given;
  metadata.name = old.metadata.name;
  metadata.uid = old.metadata.uid;
  metadata.creationTimestamp = old.metadata.creationTimestamp;
  metadata.resourceVersion = old.metadata.resourceVersion;
  if (namespace !== undefined) metadata.namespace = namespace;
  if (generation !== undefined) metadata.generation = generation;
  if (deletionTimestamp !== undefined) metadata.deletionTimestamp = deletionTimestamp;
  if (deletionGracePeriodSeconds !== undefined) metadata.deletionGracePeriodSeconds = deletionGracePeriodSeconds;
  return { ...object, metadata };
}

/** Refuses an update meant for another incarnation or an older state. */
export function checkUpdatePreconditions(kind: ServedKind, object: KubeObject, old: KubeObject): void {
  const { uid, resourceVersion } = object.metadata;
  const name = old.metadata.name ?? '';
  if (uid && uid !== old.metadata.uid)
    throw conflict(
      resourceName(kind),
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  if (resourceVersion && resourceVersion !== '0' && resourceVersion !== old.metadata.resourceVersion)
    throw conflict(resourceName(kind), name);
}

/** The generation grows when anything but metadata and status differs. */
export function withGeneration(kind: ServedKind, object: KubeObject, old: KubeObject): KubeObject {
  if (!kind.generation || sameDesiredState(object, old)) return object;
  return withMetadata(object, { generation: (old.metadata.generation ?? 0) + 1 });
}

function sameDesiredState(a: KubeObject, b: KubeObject): boolean {
  const x = a as unknown as Record<string, unknown>;
  const y = b as unknown as Record<string, unknown>;
  const differs = (f: string): boolean =>
    x[f] !== y[f] && f !== 'metadata' && f !== 'status' && f !== 'apiVersion' && f !== 'kind' && !equalJson(x[f], y[f]);
  for (const f of Object.keys(x)) if (differs(f)) return false;
  for (const f of Object.keys(y)) if (!(f in x) && differs(f)) return false;
  return true;
}
