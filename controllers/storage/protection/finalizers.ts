import type { KubeObject } from '@trimtab/machinery';
import type { Draft } from 'immer';

/** Recipes that put a finalizer on an object or take it off; nothing changes when that is done already. */

export const withFinalizer =
  (name: string) =>
  (draft: Draft<KubeObject>): void => {
    const present = draft.metadata.finalizers ?? [];
    if (!present.includes(name)) draft.metadata.finalizers = [...present, name];
  };

export const withoutFinalizer =
  (name: string) =>
  (draft: Draft<KubeObject>): void => {
    const others = (draft.metadata.finalizers ?? []).filter((finalizer) => finalizer !== name);
    if (others.length > 0) draft.metadata.finalizers = others;
    else delete draft.metadata.finalizers;
  };
