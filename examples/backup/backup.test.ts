import { Events, Pods } from '@trimtab/machinery';
import { matchers, type PodScript, perturb, succeed, world } from '@trimtab/testing';
import { type Backup, Backups, backups } from './backup.js';

expect.extend(matchers);
const key = { namespace: 'default', name: 'nightly' };
const nightly = Backups.of(key, { image: 'backup:1', source: '/data' });
const description = { kinds: [Backups], controllers: [backups] };
const stuck: PodScript = { waits: 'ImagePullBackOff' };
const reason = (w: Awaited<ReturnType<typeof world>>) =>
  w.get<Backup>(Backups, key).then(({ status }) => status?.conditions?.find((c) => c.type === 'Ready')?.reason);

test('a pod that hangs is swept ten minutes after it began to run, and the next attempt makes the backup', async () => {
  const first = new Set<string>();
  const w = await world({
    ...description,
    kubelet: {
      pods({ metadata }) {
        if (first.size === 0) first.add(metadata.uid!);
        return first.has(metadata.uid!) ? stuck : succeed('20s');
      },
    },
  });
  await w.create(Backups, nightly);
  await w.pass(599_000);
  expect(await reason(w)).toMatch(/Starting|Running/);
  await w.pass(60_000);
  await w.settle();
  expect(await w.get(Backups, key)).toHaveCondition('Ready');
  const events = (await w.list(Events)).map((event) => event.reason);
  expect(events).toEqual(expect.arrayContaining(['Sweeping', 'Waiting', 'Succeeded']));
  await expect(w).toBeStable();
});

test('six attempts, ever further apart, and then it says that it has given up', async () => {
  const w = await world({ ...description, kubelet: { pods: stuck } });
  await w.create(Backups, nightly);
  await w.pass(6 * 11 * 60_000 + 600_000);
  expect(await w.get(Backups, key)).toHaveCondition('Stalled');
  expect(await w.list(Pods)).toEqual([]);
});

test('survives every single fault', async () => {
  const report = await perturb({
    // A clock that jumps by an hour makes the deadline real.
    without: ['jump'],
    world: { ...description, kubelet: { pods: succeed('20s') } },
    workload: async (w) => {
      await w.create(Backups, nightly);
      await w.pass(60_000);
    },
  });
  report.expectNoDivergence();
});
