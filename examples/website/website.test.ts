import { Deployments, Services } from '@trimtab/machinery';
import { matchers, perturb, world } from '@trimtab/testing';
import { Websites, websites } from './website.js';

expect.extend(matchers);
const key = { namespace: 'default', name: 'blog' };
const blog = Websites.of(key, { image: 'nginx', replicas: 2 });
const description = { kinds: [Websites], controllers: [websites] };

test('a website has a deployment and a service, and is ready when its pods are', async () => {
  const w = await world(description);
  await w.create(Websites, blog);
  await w.settle();
  expect(await w.get(Websites, key)).not.toHaveCondition('Ready');
  const available = (availableReplicas: number) =>
    w.client.patch(
      Deployments,
      key,
      {
        type: 'merge',
        body: { status: { replicas: availableReplicas, readyReplicas: availableReplicas, availableReplicas } },
      },
      { subresource: 'status' },
    );
  await available(2);
  await w.client.delete(Services, key);
  await w.settle();
  expect(await w.get(Websites, key)).toHaveCondition('Ready');
  expect((await w.get(Services, key)).spec?.ports?.[0]?.port).toBe(80);
  await w.client.patch(Websites, key, { type: 'merge', body: { spec: { replicas: 3 } } });
  await w.settle();
  expect(await w.get(Websites, key)).not.toHaveCondition('Ready');
  expect((await w.get(Deployments, key)).spec?.replicas).toBe(3);
  await expect(w).toBeStable();
  expect(w).toStayWithinItsRole();
});

test('survives every single fault', async () => {
  const report = await perturb({
    world: description,
    workload: async (w) => {
      await w.create(Websites, blog);
      await w.settle();
      await w.client.patch(Websites, key, { type: 'merge', body: { spec: { image: 'nginx:2' } } });
    },
  });
  report.expectNoDivergence();
});
