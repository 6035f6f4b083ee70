import type { KubeObject, ResourceType } from '@trimtab/machinery';

/** A small custom kind for tests. */
export interface Site extends KubeObject {
  readonly spec: { readonly pods: number; readonly theme?: string };
  readonly status?: { readonly ready?: number; readonly conditions?: readonly object[] };
}
export const Sites: ResourceType<Site> = {
  group: 'example.com',
  version: 'v1',
  kind: 'Site',
  resource: 'sites',
  namespaced: true,
};
export const site = (pods: number, more: object = {}): Site => ({
  metadata: { name: 's', namespace: 'ns' },
  spec: { pods, ...more },
});
export const key = { namespace: 'ns', name: 's' };
