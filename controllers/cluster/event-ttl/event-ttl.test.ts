import { type Event, Events, serviceUnavailable } from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { EventTtl, type EventTtlOptions } from './event-ttl.js';

const event = (name: string, fields: object = {}): Event => ({
  metadata: { namespace: 'default', name },
  involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' },
  reason: 'Tested',
  ...fields,
});
const names = async (w: World) => (await w.list(Events, 'default')).map(({ metadata }) => metadata.name);
const open = async (options: Partial<EventTtlOptions> = {}) => {
  const w = await world();
  const ttl = new EventTtl({ ...w, ...options });
  await ttl.start();
  return { w, ttl };
};
const time = (w: World) => new Date(w.clock.now()).toISOString().replace(/\.\d+Z/, 'Z');

test('an event goes an hour after it was last seen, and not before', async () => {
  const { w, ttl } = await open();
  await w.create(Events, event('once'), event('again'));
  await w.pass('40m');
  await w.patch(Events, { namespace: 'default', name: 'again' }, { count: 2, lastTimestamp: time(w) });
  await w.create(Events, event('later'));
  await w.pass('15m');
  expect(await names(w)).toEqual(['again', 'later', 'once']);
  await w.pass('7m');
  expect(await names(w)).toEqual(['again', 'later']);
  await w.pass('45m');
  expect(await names(w)).toEqual([]);
  await ttl.stop();
  await w.close();
});

test('as many as there are go, whatever the number; the time is an option, and none keeps them', async () => {
  const { w, ttl } = await open({ eventTtlMs: 120_000 });
  await w.create(Events, ...Array.from({ length: 1200 }, (_, i) => event(`e${i}`)));
  await w.pass('4m');
  expect(await names(w)).toEqual([]);
  await ttl.stop();
  await w.close();
  const kept = await open({ eventTtlMs: 0 });
  await kept.w.create(Events, event('e'));
  await kept.w.pass('48h');
  expect(await names(kept.w)).toEqual(['e']);
  await kept.w.close();
});

test('whichever deletion it is killed at, and whatever is refused, its next look takes the rest', async () => {
  const start = (parts: EventTtlOptions) => new EventTtl({ ...parts, eventTtlMs: 120_000 }).start();
  const w = await world({ controllers: [{ name: 'event-ttl', start }] });
  let asked = 0;
  w.process.link.faults.write = async (_, send) => {
    asked++;
    if (asked === 10) throw serviceUnavailable('the server is not there');
    if (asked === 60) w.process.crash();
    return send();
  };
  await w.create(Events, ...Array.from({ length: 100 }, (_, i) => event(`e${i}`)));
  await w.pass('5m');
  expect(w.process.isRunning).toBe(false);
  const left = (await names(w)).length;
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThan(100);
  w.process.start();
  await w.pass('2m');
  expect(await names(w)).toEqual([]);
  await w.close();
});

test('at rest it asks once an hour', async () => {
  const w = await world();
  let lists = 0;
  const client = Object.create(w.client, {
    list: {
      value(...given: Parameters<typeof w.client.list>) {
        lists++;
        return w.client.list(...given);
      },
    },
  });
  const ttl = new EventTtl({ ...w, client });
  await ttl.start();
  await w.pass('24h');
  expect(lists).toBeLessThanOrEqual(25);
  await ttl.stop();
  await w.close();
});
