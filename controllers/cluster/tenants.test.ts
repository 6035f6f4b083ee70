import { type Running, runControllers } from '@trimtab/framework';
import { ConfigMaps, Namespaces, ServiceAccounts } from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { everyDeath, type Life, live, type Parts } from './mortal.js';
import { rootCaPublisher } from './root-ca/controller.js';
import { serviceAccountController } from './serviceaccount/controller.js';

/** What every namespace is furnished with. */
let w: World;
let running: Running;
const account = { namespace: 'team', name: 'default' };
const authority = { namespace: 'team', name: 'kube-root-ca.crt' };
const startWith =
  (pem: string) =>
  (parts: Parts): Running => {
    running = runControllers([serviceAccountController, rootCaPublisher(pem)], parts);
    return running;
  };
const start = startWith('PEM');
const states = () => running.runners.map((runner) => runner.states.get('team'));

beforeEach(async () => {
  w = await world();
});
afterEach(() => w.close());

test('whatever write it dies at, the next life furnishes what is missing and makes nothing twice', async () => {
  await w.close();
  await everyDeath(async (death) => {
    w = await world();
    const first = await live(w, start, death);
    await w.create(Namespaces, { metadata: { name: 'team' } });
    await w.pass(100);
    const made = await w.find(ServiceAccounts, account);
    const died = first.isDead;
    await first.end();
    const second = await live(w, start);
    expect(states()).toEqual(['ready', 'published']);
    if (made) expect((await w.find(ServiceAccounts, account))?.metadata.uid).toBe(made.metadata.uid);
    expect(await w.find(ConfigMaps, authority)).toMatchObject({ data: { 'ca.crt': 'PEM' } });
    await second.end();
    await w.close();
    return { died };
  });
  w = await world();
});

test('a new authority replaces the old one everywhere, an idle hour writes nothing, and the end is left alone', async () => {
  await w.create(Namespaces, { metadata: { name: 'team' } });
  let life: Life = await live(w, start);
  await life.end();
  life = await live(w, startWith('NEW'));
  expect(life.writes).toEqual(['patch configmaps kube-root-ca.crt']);
  expect(await w.find(ConfigMaps, authority)).toMatchObject({ data: { 'ca.crt': 'NEW' } });
  await w.pass(3_600_000);
  expect(life.writes).toHaveLength(1);
  await w.client.delete(Namespaces, { name: 'team' });
  await w.client.delete(ServiceAccounts, account);
  await w.client.delete(ConfigMaps, authority);
  await w.pass(1_000);
  expect(states()).toEqual(['closing', 'closing']);
  expect(life.writes).toHaveLength(1);
  await life.end();
});
