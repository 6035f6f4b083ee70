import { systemClock, systemRandom } from '@trimtab/machinery';
import { engineContract } from '../contract.js';
import { etcdEngine } from './index.js';
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

  engineContract('etcd', () => {
    const prefix = `/contract/${prefixes++}`;
    return { open: () => engine(prefix) };
  });
});
