import { type Pod, selectorFromLabels } from '@trimtab/machinery';
import { podInfo } from './pod-info.js';
import { defaultProfile } from './profile.js';
import { schedule } from './schedule.js';
import { node, picture, pod } from './testing.js';
import { Ties } from './ties.js';

/** Places pods one after another as the scheduler does; tells where, and how many needed a look at all nodes. */
function placing(where: ReturnType<typeof picture>) {
  const ties = new Ties();
  let looks = 0;
  const place = (which: Pod): string => {
    const info = podInfo(which);
    let name = ties.take(info, where, defaultProfile, 0.5)?.name;
    if (name === undefined) {
      looks++;
      const decision = schedule(info, where, defaultProfile, { chance: 0.5 });
      if (!('node' in decision)) throw new Error(decision.failure.message);
      ties.keep(info, where, decision.equals, decision.node);
      name = decision.node;
    }
    where.place(which, name);
    return name;
  };
  return { place, looks: () => looks };
}

const names = Array.from({ length: 12 }, (_, i) => `n${i}`);
const alike = () => pod({}, { cpu: '100m', labels: { app: 'web' } });
const counts = (placed: readonly string[]) => names.map((name) => placed.filter((each) => each === name).length);

test('pods alike are spread as evenly as if each had looked at all nodes, and few have', () => {
  const { place, looks } = placing(picture(names.map((name) => [node(name)])));
  const placed = Array.from({ length: 24 }, () => place(alike()));
  expect(counts(placed)).toEqual(names.map(() => 2));
  expect(looks()).toBe(2);
});

test('a node that somebody else has filled meanwhile is not taken', () => {
  const where = picture(names.map((name) => [node(name)]));
  const { place } = placing(where);
  const first = place(alike());
  const others = names.filter((name) => name !== first);
  for (const name of others.slice(1)) where.place(pod({}, { cpu: '2' }), name);
  expect(place(alike())).toBe(others[0]);
});

test('a node that has become better is seen by the very next pod', () => {
  const guest = pod({}, { cpu: '1900m' });
  const where = picture(names.slice(0, 3).map((name, i) => (i === 0 ? [node(name)] : [node(name, { cpu: '1' })])));
  where.place(guest, 'n0');
  const { place } = placing(where);
  expect(place(alike())).not.toBe('n0');
  where.displace(guest.metadata.uid!);
  expect(place(alike())).toBe('n0');
});

test('zones are kept in balance', () => {
  const zone = (i: number) => ({ labels: { 'topology.kubernetes.io/zone': `z${i % 3}` } });
  const where = picture(
    names.map((name, i) => [node(name, zone(i))]),
    { defaultSelector: () => selectorFromLabels({ app: 'web' }) },
  );
  const { place } = placing(where);
  const zones = Array.from({ length: 6 }, () => names.indexOf(place(alike())) % 3);
  expect([0, 1, 2].map((z) => zones.filter((each) => each === z).length)).toEqual([2, 2, 2]);
});
