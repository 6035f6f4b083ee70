import { Pods, ReplicationControllers } from '@trimtab/machinery';
import { world } from '@trimtab/testing';
import { replicationController } from './controller.js';

test('a ReplicationController keeps its replicas, by a selector of plain labels', async () => {
  const w = await world({ controllers: [replicationController], kubelet: true });
  const key = { namespace: 'default', name: 'web' };
  const template = {
    metadata: { labels: { app: 'web' } },
    spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
  };
  await w.create(Pods, { metadata: { ...key, name: 'orphan', labels: { app: 'web' } }, spec: template.spec });
  await w.create(ReplicationControllers, { metadata: key, spec: { replicas: 3, template } });
  await w.settle();
  const pods = await w.list(Pods, 'default');
  expect(pods.map(({ metadata }) => metadata.ownerReferences?.[0]?.kind)).toEqual(
    Array(3).fill('ReplicationController'),
  );
  expect((await w.get(ReplicationControllers, key)).status).toMatchObject({ replicas: 3, availableReplicas: 3 });
  await w.patch(ReplicationControllers, key, { spec: { replicas: 1 } });
  await w.settle();
  expect(await w.list(Pods, 'default')).toHaveLength(1);
  await w.close();
});
