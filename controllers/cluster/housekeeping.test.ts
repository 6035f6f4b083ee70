import { apply, controller, controllerReference, create, owned } from '@trimtab/framework';
import {
  ConfigMaps,
  type KubeObject,
  Namespaces,
  type Pod,
  Pods,
  type ResourceType,
  ServiceAccounts,
} from '@trimtab/machinery';
import { perturb, type World, world } from '@trimtab/testing';
import { housekeeping } from './housekeeping.js';

interface Site extends KubeObject {
  readonly spec: { readonly html: string };
}
const Sites: ResourceType<Site> = {
  group: 'example.com',
  version: 'v1',
  kind: 'Site',
  resource: 'sites',
  namespaced: true,
};
const sites = controller<Site>({
  name: 'sites',
  for: Sites,
  owns: [ConfigMaps, Pods],
  reconcile: ({ object, owned: has }) =>
    object
      ? [
          apply(ConfigMaps, owned(Sites, object, { data: { html: object.spec.html } })),
          ...(has(Pods).length === 0 ? [create(Pods, podOf(object))] : []),
        ]
      : [],
});
const podOf = (site: Site): Pod => ({
  metadata: {
    name: site.metadata.name,
    namespace: site.metadata.namespace,
    ownerReferences: [controllerReference(Sites, site)],
  },
  spec: { containers: [{ name: 'c', image: 'i' }] },
});
const key = { namespace: 'team', name: 'blog' };
const blog: Site = { metadata: key, spec: { html: 'Hello' } };
const description = { kinds: [Sites], controllers: [sites], parts: housekeeping(), kubelet: true as const };

let w: World;
beforeEach(async () => {
  w = await world(description);
  await w.create(Namespaces, { metadata: { name: 'team' } });
  await w.create(Sites, blog);
  await w.settle();
});
afterEach(() => w.close());

test('a namespace is furnished with its service account and the root certificate', async () => {
  expect(await w.find(ServiceAccounts, { namespace: 'team', name: 'default' })).toBeDefined();
  const authority = await w.get(ConfigMaps, { namespace: 'team', name: 'kube-root-ca.crt' });
  expect(Object.keys(authority.data ?? {})).toEqual(['ca.crt']);
});

test('what an object owns goes with it, and nothing else does', async () => {
  expect(await w.list(Pods, 'team')).toHaveLength(1);
  await w.remove(Sites as unknown as ResourceType, key);
  await w.settle();
  expect(await w.list(Pods, 'team')).toEqual([]);
  expect((await w.list(ConfigMaps, 'team')).map(({ metadata }) => metadata.name)).toEqual(['kube-root-ca.crt']);
});

test('a namespace that is deleted is emptied, custom objects and all, and ends', async () => {
  await w.remove(Namespaces as ResourceType, { name: 'team' });
  await w.settle();
  expect(await w.find(Namespaces, { name: 'team' })).toBeUndefined();
  for (const kind of [Sites, ConfigMaps, Pods, ServiceAccounts])
    expect(await w.list(kind as unknown as ResourceType, 'team')).toEqual([]);
});

test('faults strike the controllers under test, with the cluster at work around them', async () => {
  const report = await perturb(
    {
      world: description,
      async workload(of) {
        await of.create(Namespaces, { metadata: { name: 'team' } });
        await of.create(Sites, blog);
        await of.settle();
        await of.remove(Sites as unknown as ResourceType, key);
        await of.settle();
      },
      // With a late view it makes anew what is collected, until it sees that its owner is gone.
      tolerates: ['extras'],
    },
    { plans: 10, pairs: 2 },
  );
  report.expectNoDivergence();
  expect(report.plans).toBe(12);
});
