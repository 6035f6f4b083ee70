import { type KubeObject, type ListMeta, type Table, toTable } from '@trimtab/machinery';
import type { ServedKind } from '../registry/served-kind.js';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** Objects as kubectl prints them; `columns` false leaves the definitions out: watch events after the first. */
export function tableOf(
  kind: ServedKind,
  objects: readonly KubeObject[],
  how: {
    readonly version: 'v1' | 'v1beta1';
    readonly include: IncludeObject;
    readonly now: number;
    readonly metadata: ListMeta;
    readonly columns: boolean;
  },
): Table {
  return toTable(kind, objects, {
    now: how.now,
    includeObject: how.include,
    definitions: how.columns,
    metadata: how.metadata,
    apiVersion: `meta.k8s.io/${how.version}`,
    ...(kind.custom ? { columns: kind.printerColumns ?? [] } : {}),
  });
}

export function partialMetadata(object: KubeObject, version: 'v1' | 'v1beta1' = 'v1'): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}
