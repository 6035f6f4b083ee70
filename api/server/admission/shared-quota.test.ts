import { generateKeyPairSync } from 'node:crypto';
import { type KubeObject, seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import { memoryEngine, openStore } from '@trimtab/store';
import { bootstrapCluster } from '../bootstrap/bootstrap.js';
import { componentUsers, createClusterSecurity } from '../bootstrap/cluster-security.js';
import { accounts, limited, message, namespaces, pods, quotas } from '../bootstrap/testing.js';
import { builtinKinds } from '../registry/builtin-kinds.js';
import { createRegistry, localClientOf } from '../server.js';

test('of several servers over one store, no two take the same place of a quota', async () => {
  const clock = new VirtualClock();
  const store = await openStore({ engine: memoryEngine(), clock });
  const key = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const servers = [1, 2, 3].map((seed) => {
    const random = seededRandom(seed);
    const options = { store, clock, random, serviceAccountKey: key, serviceCIDR: '10.96.0.0/16', sharedStore: true };
    const security = createClusterSecurity(options);
    const kinds = [builtinKinds({ strategies: security.strategies })];
    const registry = createRegistry({ ...security, store, kinds, clock, random, logger: silentLogger });
    return { security, client: localClientOf(registry, security.authorizer, componentUsers.apiServer) };
  });
  const { security, client } = servers[0]!;
  await bootstrapCluster({ client, reader: security.reader });
  const create = (kind: typeof pods, name: string, rest: object, namespace?: string, at = client) =>
    at.create(kind, { apiVersion: 'v1', kind: kind.kind, metadata: { name, namespace }, ...rest } as KubeObject);
  await create(namespaces, 'n', {});
  await create(accounts, 'default', {}, 'n');
  await create(quotas, 'q', { spec: { hard: { pods: '7', 'requests.cpu': '10' } } }, 'n');
  const results = await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      message(create(pods, `p${i}`, limited('100m', '1Mi'), 'n', servers[i % servers.length]!.client)),
    ),
  );
  expect(results.filter((text) => text === '')).toHaveLength(7);
  expect(new Set(results.filter((text) => text !== '').map((text) => text.replace(/"p\d+"/, 'P')))).toEqual(
    new Set(['pods P is forbidden: exceeded quota: q, requested: pods=1, used: pods=7, limited: pods=7']),
  );
  expect((await client.list(pods, { namespace: 'n' })).items).toHaveLength(7);
  expect(await client.get(quotas, { namespace: 'n', name: 'q' })).toMatchObject({
    status: { hard: { pods: '7' }, used: { pods: '7', 'requests.cpu': '700m' } },
  });
  await client.delete(
    pods,
    { namespace: 'n', name: (await client.list(pods, { namespace: 'n' })).items[0]!.metadata.name! },
    { gracePeriodSeconds: 0 },
  );
  expect(await message(create(pods, 'again', limited('100m', '1Mi'), 'n', servers[1]!.client))).toBe('');
  for (const server of servers) server.security.close();
});
