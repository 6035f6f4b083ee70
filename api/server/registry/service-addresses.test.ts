import { type IPAddress, type KubeObject, type ResourceType, type ServiceCIDR, silentLogger } from '@trimtab/machinery';
import { cluster, message, services } from '../bootstrap/testing.js';

const type = (kind: string, resource: string): ResourceType => ({
  group: 'networking.k8s.io',
  version: 'v1',
  kind,
  resource,
  namespaced: false,
});
const addresses = type('IPAddress', 'ipaddresses');
const ranges = type('ServiceCIDR', 'servicecidrs');
const ports = [{ port: 80 }];

describe('an address of a Service is an object of its own', () => {
  async function world() {
    const c = await cluster();
    const shown = async () => {
      // All of it is in memory: a few rounds of promises are enough for what follows a write.
      for (let i = 0; i < 200; i++) await Promise.resolve();
      await new Promise((resolve) => setImmediate(resolve));
      const { items } = await c.root.list(addresses);
      return Object.fromEntries(
        (items as readonly IPAddress[]).map((a) => [
          a.metadata.name,
          `${a.spec?.parentRef?.namespace}/${a.spec?.parentRef?.name}`,
        ]),
      );
    };
    return { ...c, shown };
  }
  const ip = (service: KubeObject) => (service as KubeObject & { spec: { clusterIP: string } }).spec.clusterIP;

  test('one that is on its way when the server closes is nothing to warn of', async () => {
    const { make, root, security, shown } = await world();
    await make(services, 'early', { spec: { ports } });
    const said: string[] = [];
    const closing = {
      create: async () => {
        security.close();
        throw new Error('the store is closed');
      },
      update: async () => {},
    };
    const warn = (...words: readonly unknown[]) => void said.push(String(words.at(-1)));
    security.keepWritten(closing as unknown as typeof root, { ...silentLogger, warn } as typeof silentLogger);
    await shown();
    expect(said.filter((words) => words.includes('IPAddress'))).toEqual([]);
  });

  test('made with the Service, gone with it, and put right at the start', async () => {
    const { make, root, security, shown } = await world();
    const early = await make(services, 'early', { spec: { ports } });
    await make(services, 'headless', { spec: { ports, clusterIP: 'None' } });
    await root.create(addresses, {
      metadata: { name: '10.96.0.99', labels: { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' } },
      spec: { parentRef: { resource: 'services', namespace: 'default', name: 'gone' } },
    } as KubeObject);
    security.keepWritten(root, silentLogger);
    expect(await shown()).toEqual({ [ip(early)]: 'default/early' });
    const late = await make(services, 'late', { spec: { ports } });
    expect(await shown()).toEqual({ [ip(early)]: 'default/early', [ip(late)]: 'default/late' });
    await root.delete(addresses, { name: ip(late) });
    expect(await shown()).toEqual({ [ip(early)]: 'default/early', [ip(late)]: 'default/late' });
    await root.delete(services, { namespace: 'default', name: 'early' });
    await root.update(services, {
      ...late,
      spec: { ...late.spec, type: 'ExternalName', externalName: 'a.b', clusterIP: '', clusterIPs: [] },
    } as KubeObject);
    expect(await shown()).toEqual({});
    security.close();
  });

  test('one that is somebody’s own is taken', async () => {
    const { make, root, security, shown } = await world();
    security.keepWritten(root, silentLogger);
    await root.create(addresses, {
      metadata: { name: '10.96.0.50' },
      spec: { parentRef: { resource: 'machines', name: 'm' } },
    } as KubeObject);
    const wanted = () => make(services, 'web', { spec: { ports, clusterIP: '10.96.0.50' } });
    expect(await message(wanted())).toContain('provided IP is already allocated');
    await root.delete(addresses, { name: '10.96.0.50' });
    expect(ip(await wanted())).toBe('10.96.0.50');
    expect(await shown()).toEqual({ '10.96.0.50': 'default/web' });
    security.close();
  });

  test('the range of the cluster is ready, others are told that they are not served', async () => {
    const { root, security, shown } = await world();
    security.keepWritten(root, silentLogger);
    await root.create(ranges, { metadata: { name: 'more' }, spec: { cidrs: ['10.200.0.0/16'] } } as KubeObject);
    await shown();
    const { items } = await root.list(ranges);
    expect(
      (items as readonly ServiceCIDR[]).map((r) => [r.metadata.name, r.spec?.cidrs, r.status?.conditions?.[0]?.status]),
    ).toEqual([
      ['kubernetes', ['10.96.0.0/16'], 'True'],
      ['more', ['10.200.0.0/16'], 'False'],
    ]);
    security.close();
  });
});
