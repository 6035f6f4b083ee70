import type { Patch } from '@trimtab/client';
import {
  applyJsonPatch,
  applyMergePatch,
  badRequest,
  conflict,
  formatLabelSelector,
  invalid,
  type KubeObject,
  type LabelSelectorObject,
  parseJsonPatch,
  selectorFromLabels,
  selectorFromObject,
} from '@trimtab/machinery';
import { resourceName } from './context.js';
import type { ScalePaths, ServedKind } from './served-kind.js';

export interface Scale extends KubeObject {
  readonly spec: { readonly replicas?: number };
  readonly status: { readonly replicas: number; readonly selector?: string };
}

/** The `autoscaling/v1` view of an object that can be scaled. */
export function scaleOf(kind: ServedKind, paths: ScalePaths, object: KubeObject): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const replicas = at(object, paths.specReplicas);
  const selector = paths.selector === undefined ? undefined : selectorText(kind, at(object, paths.selector));
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: typeof replicas === 'number' ? { replicas } : {},
    status: { replicas: Number(at(object, paths.statusReplicas) ?? 0), ...(selector ? { selector } : {}) },
  };
}

/** The object with the replicas of a Scale. Throws for another object's Scale, a stale one, or a count that cannot be. */
export function withScale(kind: ServedKind, paths: ScalePaths, object: KubeObject, scale: KubeObject): KubeObject {
  const name = object.metadata.name ?? '';
  const { uid, resourceVersion } = scale.metadata;
  if (scale.metadata.name && scale.metadata.name !== name)
    throw badRequest(`the name of the object (${scale.metadata.name}) does not match the name on the URL (${name})`);
  if (uid && uid !== object.metadata.uid)
    throw conflict(
      resourceName(kind),
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${object.metadata.uid}`,
    );
  if (resourceVersion && resourceVersion !== object.metadata.resourceVersion) throw conflict(resourceName(kind), name);
  const replicas = (scale as Partial<Scale>).spec?.replicas ?? 0;
  if (replicas < 0)
    throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, [
      {
        reason: 'FieldValueInvalid',
        field: 'spec.replicas',
        message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
      },
    ]);
  return put(object, paths.specReplicas.split('.'), replicas) as KubeObject;
}

/** A Scale has no lists: strategic merge and apply come to the same as a merge. */
export function patchScale(scale: Scale, patch: Patch): KubeObject {
  return patch.type === 'json' ? applyJsonPatch(scale, parseJsonPatch(patch.body)) : applyMergePatch(scale, patch.body);
}

function selectorText(kind: ServedKind, value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const simple = kind.kind === 'ReplicationController' && !kind.custom;
  return formatLabelSelector(
    simple ? selectorFromLabels(value as Record<string, string>) : selectorFromObject(value as LabelSelectorObject),
  );
}

function at(object: unknown, path: string): unknown {
  let value = object;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}

function put(object: unknown, path: readonly string[], value: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  const fields = (typeof object === 'object' && object !== null ? object : {}) as Readonly<Record<string, unknown>>;
  return { ...fields, [step]: put(fields[step], rest, value) };
}
