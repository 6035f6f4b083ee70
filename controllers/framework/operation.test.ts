import { Informers } from '@trimtab/client';
import {
  ConfigMaps,
  Leases,
  notFound,
  Pods,
  seededRandom,
  serviceUnavailable,
  silentLogger,
  VirtualClock,
} from '@trimtab/machinery';
import fc from 'fast-check';
import {
  clustersClient,
  controller,
  create,
  healthOf,
  inCluster,
  LeaderElection,
  MemoryClient,
  ownerOf,
  runControllers,
  runInMemory,
  Shards,
} from './index.js';
import { type Site, Sites, site } from './testing/sites.js';
import { pass } from './testing/turns.js';

describe('leader election', () => {
  const lease = { namespace: 'ns', name: 'lead' };
  function candidates(names: readonly string[]) {
    const clock = new VirtualClock();
    const client = new MemoryClient(clock);
    const log: string[] = [];
    const electors = names.map((identity, i) => {
      const cut = { on: false };
      // Each has its own way to the server, which can be cut.
      const own = new Proxy(client, {
        get: (target, property) => {
          if (property !== 'get' || !cut.on) {
            const value = Reflect.get(target, property) as unknown;
            return typeof value === 'function' ? value.bind(target) : value;
          }
          return () => Promise.reject(serviceUnavailable('cut'));
        },
      });
      const election = new LeaderElection({
        client: own,
        lease,
        identity,
        clock,
        random: seededRandom(i),
        logger: silentLogger,
        onElected: () => void log.push(`${identity} leads`),
        onLost: () => void log.push(`${identity} lost`),
      });
      return { election, cut, identity };
    });
    return { clock, client, log, electors };
  }

  test('row 26: one leads; when it falls silent it stops by itself before another begins', async () => {
    const { clock, client, log, electors } = candidates(['a', 'b', 'c']);
    for (const { election } of electors) election.start();
    await pass(clock, 10_000);
    expect(log).toHaveLength(1);
    const leader = electors.find(({ election }) => election.leading)!;
    leader.cut.on = true;
    const at = clock.now();
    const many = () => electors.filter(({ election }) => election.leading).length;
    let lostAt = 0;
    for (let t = 0; t < 40_000; t += 500) {
      await pass(clock, 500);
      expect(many()).toBeLessThanOrEqual(1);
      if (many() === 0) lostAt ||= clock.now();
    }
    expect(lostAt - at).toBeLessThanOrEqual(10_500);
    expect(log[1]).toBe(`${leader.identity} lost`);
    expect(log[2]).toMatch(/leads$/);
    expect(client.find(Leases, lease)?.spec?.leaseTransitions).toBe(1);
  });

  test('row 26: a stale leader’s writes are rejected although it has not noticed yet', async () => {
    const { clock, client, electors } = candidates(['a']);
    const { election } = electors[0]!;
    const fenced = election.fenced(client);
    await expect(fenced.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'x' } })).rejects.toMatchObject({
      code: 403,
    });
    election.start();
    await pass(clock, 1_000);
    await fenced.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'x' } });
    // The process sleeps: no timer runs, the clock goes on.
    const asleep = new VirtualClock(clock.now() + 11_000);
    Object.defineProperty(clock, 'now', { value: () => asleep.now() });
    await expect(fenced.delete(ConfigMaps, { namespace: 'ns', name: 'x' })).rejects.toThrow('no longer the leader');
    expect(await fenced.get(ConfigMaps, { namespace: 'ns', name: 'x' })).toBeDefined();
  });

  test('row 26: one that stops gives the lease back, and the next need not wait', async () => {
    const { clock, log, electors } = candidates(['a', 'b']);
    electors[0]!.election.start();
    await pass(clock, 1_000);
    electors[1]!.election.start();
    await pass(clock, 3_000);
    const stopped = electors[0]!.election.stop();
    await pass(clock, 6_000);
    await stopped;
    expect(log).toEqual(['a leads', 'a lost', 'b leads']);
  });
});

describe('sharding', () => {
  test('row 27: every key has one owner, and one that comes or goes moves only its own share', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 2, maxLength: 8 }),
        fc.string(),
        (members, key) => {
          const owner = ownerOf(members, 'c', key)!;
          expect(members).toContain(owner);
          expect(ownerOf([...members].reverse(), 'c', key)).toBe(owner);
          const without = members.filter((m) => m !== members[0]);
          if (owner !== members[0]) expect(ownerOf(without, 'c', key)).toBe(owner);
        },
      ),
    );
    const counts = new Map<string, number>();
    for (let i = 0; i < 3_000; i++) {
      const owner = ownerOf(['a', 'b', 'c'], 'x', `ns/${i}`)!;
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  test.each([1, 2, 3, 4, 5, 6])(
    'row 27: no key is ever two members’, whoever comes, goes or is cut off (seed %i)',
    async (seed) => {
      const clock = new VirtualClock();
      const client = new MemoryClient(clock);
      const random = seededRandom(seed);
      const cut = new Set<string>();
      const members = ['a', 'b', 'c', 'd'].map((identity) => {
        const shards = new Shards({
          client: new Proxy(client, {
            get: (target, property) => {
              const value = Reflect.get(target, property) as unknown;
              if (['list', 'update', 'create'].includes(String(property)) && cut.has(identity))
                return () => Promise.reject(serviceUnavailable('cut'));
              return typeof value === 'function' ? value.bind(target) : value;
            },
          }),
          namespace: 'ns',
          group: 'g',
          identity,
          clock,
          logger: silentLogger,
        });
        return { identity, shards, up: false };
      });
      const keys = Array.from({ length: 40 }, (_, i) => `ns/k${i}`);
      for (let step = 0; step < 60; step++) {
        const member = members[Math.floor(random.next() * 4)]!;
        if (step % 6 === 0) {
          if (!member.up) member.shards.start();
          else void member.shards.stop();
          member.up = !member.up;
        } else if (random.next() < 0.1) {
          if (!cut.delete(member.identity)) cut.add(member.identity);
        }
        await pass(clock, Math.floor(random.next() * 3_000), 250);
        for (const key of keys) {
          const owners = members.filter(({ shards }) => shards.owns('c', key)).map(({ identity }) => identity);
          expect(owners.length).toBeLessThanOrEqual(1);
        }
      }
      cut.clear();
      for (const member of members)
        if (!member.up) {
          member.shards.start();
          member.up = true;
        }
      await pass(clock, 40_000);
      for (const key of keys) expect(members.filter(({ shards }) => shards.owns('c', key))).toHaveLength(1);
    },
  );

  test('row 27: a controller works on its share, and on the rest once that has become its own', async () => {
    const mine = { of: new Set(['ns/s']), gained: () => {} };
    const seen: string[] = [];
    const t = await runInMemory(
      [
        controller<Site>({
          name: 'c',
          for: Sites,
          reconcile: ({ key }) => {
            seen.push(key.name);
            return [];
          },
        }),
      ],
      {
        shard: {
          owns: (_, key) => mine.of.has(key),
          onGain: (gained) => Object.assign(mine, { gained }) && (() => {}),
        },
      },
    );
    await t.client.create(Sites, site(1));
    await t.client.create(Sites, { ...site(1), metadata: { namespace: 'ns', name: 'other' } });
    await t.pass();
    expect(seen).toEqual(['s']);
    mine.of.add('ns/other');
    mine.gained();
    await t.pass();
    expect(seen.slice(1).sort()).toEqual(['other', 's']);
  });
});

test('row 29: ready means that what is known is fresh, and says what is not', async () => {
  const t = await runInMemory([controller<Site>({ name: 'c', for: Sites, reads: [Pods], reconcile: () => [] })]);
  const health = () => healthOf(t.informers, t.running.runners, { freshWithinMs: 5_000 });
  expect(health()).toMatchObject({ ready: true, alive: true, reasons: [] });
  await t.pass(6_000);
  expect(health()).toMatchObject({
    ready: false,
    reasons: ['sites: nothing heard for 6 s', 'pods: nothing heard for 6 s'],
  });
  await t.client.create(Sites, site(1));
  await t.client.create(Pods, { metadata: { namespace: 'ns', name: 'p' } });
  await t.pass();
  expect(health().ready).toBe(true);
});

test('row 38: one controller, two clusters: the cluster is part of what is read, cached and written', async () => {
  const clock = new VirtualClock();
  const [home, west] = [new MemoryClient(clock), new MemoryClient(clock)];
  const client = clustersClient(home, { west });
  const parts = { client, clock, random: seededRandom(1), logger: silentLogger };
  const informers = new Informers(parts);
  const there = inCluster('west', ConfigMaps);
  const copy = controller<Site>({
    name: 'copier',
    for: Sites,
    reads: [there, ConfigMaps],
    reconcile(view) {
      const { object } = view;
      if (!object || view.get(there, view.key)) return [];
      return [create(there, { metadata: view.key, data: { here: String(view.list(ConfigMaps).length) } })];
    },
  });
  const running = runControllers([copy], { ...parts, informers });
  informers.start();
  await home.create(ConfigMaps, { metadata: { namespace: 'ns', name: 'only-here' } });
  await home.create(Sites, site(1));
  await pass(clock, 1_000);
  expect(west.all(ConfigMaps).map((map) => [map.metadata.name, map.data])).toEqual([['s', { here: '1' }]]);
  expect(home.all(ConfigMaps)).toHaveLength(1);
  await expect(client.list(inCluster('east', Pods))).rejects.toThrow('no cluster "east"; known are west');
  await running.stop();
});

test('row 48: a kind that is not there yet is waited for, and said to be', async () => {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  let installed = false;
  client.before = ({ verb, resource }) => {
    if (verb === 'list' && resource === 'sites' && !installed) throw notFound(Sites, '');
  };
  const parts = { client, clock, random: seededRandom(1), logger: silentLogger };
  const informers = new Informers({ ...parts, watchList: false });
  const seen: string[] = [];
  const running = runControllers(
    [
      controller<Site>({
        name: 'c',
        for: Sites,
        reconcile: ({ key }) => {
          seen.push(key.name);
          return [];
        },
      }),
    ],
    { ...parts, informers },
  );
  informers.start();
  await pass(clock, 60_000, 5_000);
  expect(running.runners[0]!.phase).toBe('waitingForKind');
  installed = true;
  await client.create(Sites, site(1));
  await pass(clock, 70_000, 5_000);
  expect(running.runners[0]!.phase).toBe('running');
  expect(seen).toEqual(['s']);
});
