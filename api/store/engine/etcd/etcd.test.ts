import { systemClock, systemRandom } from '@trimtab/machinery';
import { engineContract } from '../contract.js';
import { Connection } from './connection.js';
import { etcdEngine } from './index.js';
import { etcdMethods } from './messages.js';
import { describeWithEtcd, TestEtcd } from './testing.js';

describeWithEtcd('over a real etcd', () => {
  let etcd: TestEtcd;
  let prefixes = 0;
  const engine = (prefix: string, history?: number) =>
    etcdEngine({
      endpoints: [etcd.endpoint],
      prefix,
      clock: systemClock,
      random: systemRandom,
      ...(history && { history }),
    });
  beforeAll(async () => {
    etcd = await new TestEtcd().start();
  });
  afterAll(() => etcd.remove());

  test('what is wanted for a while only is on a lease, which many share and which is made anew when it is gone', async () => {
    const prefix = '/leases';
    const one = await engine(prefix);
    const seen: (string | undefined)[] = [];
    await one.open({ next: ({ changes }) => seen.push(...changes.map(({ key, value }) => `${key} ${value?.length}`)) });
    const write = (key: string, ttlSeconds?: number) =>
      one.transact({ compares: [], changes: [{ key, value: 'x', ...(ttlSeconds && { ttlSeconds }) }], time: 0 });
    await write('kept');
    await write('a', 3600);
    await write('b', 3600);
    const beside = new Connection({ endpoints: [etcd.endpoint], clock: systemClock });
    const { range, revoke } = etcdMethods();
    const leaseOf = async (key: string) => {
      const { kvs } = await beside.call(range, { key: Buffer.from(`${prefix}/${key}`) });
      return Number(kvs[0]?.lease ?? -1);
    };
    const lease = await leaseOf('a');
    expect(await leaseOf('kept')).toBe(0);
    expect(lease).toBeGreaterThan(0);
    expect(await leaseOf('b')).toBe(lease);

    await beside.call(revoke, { id: lease });
    expect(await leaseOf('a')).toBe(-1);
    await write('c', 3600);
    expect(await leaseOf('c')).not.toBe(lease);
    expect(seen).toEqual(expect.arrayContaining(['a undefined', 'b undefined', 'c 1']));
    await one.close();
    beside.close();
  });

  engineContract('etcd', () => {
    const prefix = `/contract/${prefixes++}`;
    return { open: () => engine(prefix) };
  });
});
