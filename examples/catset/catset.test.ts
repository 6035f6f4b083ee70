import { PersistentVolumeClaims, Pods } from '@trimtab/machinery';
import { matchers, perturb, world } from '@trimtab/testing';
import { type CatSet, CatSets, catsets } from './catset.js';

expect.extend(matchers);
const key = { namespace: 'default', name: 'nginx' };
const set = (replicas: number) =>
  CatSets.of(key, {
    replicas,
    template: { metadata: { labels: { app: 'nginx' } }, spec: { containers: [{ name: 'nginx', image: 'nginx' }] } },
    volumeClaimTemplates: [
      {
        metadata: { name: 'www' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    ],
  });
const description = { kinds: [CatSets], controllers: [catsets], kubelet: true as const };
const names = (objects: readonly { readonly metadata: { readonly name?: string } }[]) =>
  objects.map(({ metadata }) => metadata.name).sort();

test('pods come in order, each with its claim, go in reverse, and find their claims again', async () => {
  const w = await world(description);
  await w.create(CatSets, set(3));
  await w.settle();
  expect(names(await w.list(Pods))).toEqual(['nginx-0', 'nginx-1', 'nginx-2']);
  expect(names(await w.list(PersistentVolumeClaims))).toEqual(['www-nginx-0', 'www-nginx-1', 'www-nginx-2']);
  expect((await w.get<CatSet>(CatSets, key)).status).toEqual({ replicas: 3, readyReplicas: 3 });
  await w.client.patch(CatSets, key, { type: 'merge', body: { spec: { replicas: 1 } } });
  await w.settle();
  expect(names(await w.list(Pods))).toEqual(['nginx-0']);
  await w.client.patch(CatSets, key, { type: 'merge', body: { spec: { replicas: 2 } } });
  await w.settle();
  expect(names(await w.list(PersistentVolumeClaims))).toHaveLength(3);
  await w.client.delete(CatSets, key);
  await w.settle();
  expect([await w.list(CatSets), await w.list(Pods)]).toEqual([[], []]);
});

test('survives every single fault', async () => {
  const report = await perturb({
    world: description,
    workload: async (w) => {
      await w.create(CatSets, set(2));
      await w.settle();
      await w.client.patch(CatSets, key, { type: 'merge', body: { spec: { replicas: 1 } } });
      await w.settle();
      await w.client.delete(CatSets, key);
    },
  });
  report.expectNoDivergence();
});
