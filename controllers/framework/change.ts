import type { KubeObject, ResourceType } from '@trimtab/machinery';
import fastJsonPatch from 'fast-json-patch';
import { type Draft, Immer } from 'immer';
import type { Announcement, PatchEffect } from './effects.js';

// Freezing is for tests' own checks; the caches' objects are shared with everyone and must keep their shapes fast.
const immer = new Immer({ autoFreeze: false });

export interface ChangeOptions {
  /** `status`, `scale`; default the object itself. */
  readonly subresource?: string;
  /** False: whatever revision the object is at by then. Default true: a conflict if it has changed. */
  readonly guarded?: boolean;
  readonly announce?: Announcement;
}

/**
 * The smallest JSON patch that makes `object` what the recipe makes of a draft of it: no effect at all when that is what
 * it is already. The recipe must not keep the draft.
 */
export function change<T extends KubeObject>(
  resource: ResourceType<T>,
  object: T,
  recipe: (draft: Draft<T>) => void,
  options: ChangeOptions = {},
): readonly PatchEffect[] {
  const wanted = immer.produce(object, (draft) => {
    recipe(draft);
  });
  return changeTo(resource, object, wanted as T, options);
}

/** {@link change} for those who have the wanted object already; it must share what it does not change. */
export function changeTo<T extends KubeObject>(
  resource: ResourceType<T>,
  object: T,
  wanted: T,
  options: ChangeOptions = {},
): readonly PatchEffect[] {
  if (wanted === object) return [];
  const operations = fastJsonPatch.compare(object, wanted);
  if (operations.length === 0) return [];
  const { metadata } = object;
  return [
    {
      type: 'patch',
      resource,
      key: { namespace: metadata.namespace, name: metadata.name! },
      ...(metadata.uid ? { uid: metadata.uid } : {}),
      ...(options.guarded === false ? {} : { resourceVersion: metadata.resourceVersion }),
      ...(options.subresource ? { subresource: options.subresource } : {}),
      ...(options.announce ? { announce: options.announce } : {}),
      operations,
    },
  ];
}

/** {@link change} of the status subresource: everything outside `.status` is left alone by the server. */
export const changeStatus = <T extends KubeObject>(
  resource: ResourceType<T>,
  object: T,
  recipe: (draft: Draft<T>) => void,
): readonly PatchEffect[] => change(resource, object, recipe, { subresource: 'status' });
