import { ConfigMaps, Deployments, Pods, Secrets, type StatusError } from '@trimtab/machinery';
import { decodeContinue } from './continue-token.js';
import { deployment, failure, key, map, object, pod, record, type TestCluster, testCluster } from './testing.js';

/** The rules of reading, by their numbers in README.md. */

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});
afterEach(() => cluster.store.close());

const names = (list: { readonly items: readonly { readonly metadata: { readonly name?: string } }[] }) =>
  list.items.map((o) => o.metadata.name);
const causesOf = (error: StatusError) => error.status.details?.causes?.map((c) => `${c.field}: ${c.message}`);
const make = async (...maps: readonly string[]) => {
  for (const name of maps) await cluster.client.create(ConfigMaps, map(name));
};

test('rule 1: one sequence for all resources; a watch from a list’s revision misses nothing', async () => {
  const a = await cluster.client.create(ConfigMaps, map('a'));
  const web = await cluster.client.create(Deployments, deployment('web'));
  expect([a.metadata.resourceVersion, web.metadata.resourceVersion]).toEqual(['1', '2']);
  const list = await cluster.client.list(ConfigMaps);
  expect(list.metadata.resourceVersion).toBe('2');
  await make('b');
  const watch = record(cluster.client, ConfigMaps, { resourceVersion: list.metadata.resourceVersion });
  await make('c');
  await cluster.clock.advance(0);
  expect(watch.seen).toEqual(['ADDED b', 'ADDED c']);
  watch.stop();
});

describe('rule 2: a list’s resourceVersion, match, limit and continue', () => {
  beforeEach(() => make('a', 'b', 'c'));

  test.each([
    [{}, ['a', 'b', 'c', 'd'], '4'],
    [{ resourceVersion: '0' }, ['a', 'b', 'c', 'd'], '4'],
    [{ resourceVersion: '2' }, ['a', 'b', 'c', 'd'], '4'],
    [{ resourceVersion: '2', resourceVersionMatch: 'NotOlderThan' }, ['a', 'b', 'c', 'd'], '4'],
    [{ resourceVersion: '0', resourceVersionMatch: 'NotOlderThan' }, ['a', 'b', 'c', 'd'], '4'],
    [{ resourceVersion: '2', resourceVersionMatch: 'Exact' }, ['a', 'b'], '2'],
    [{ resourceVersion: '2', limit: 10 }, ['a', 'b'], '2'],
    [{ resourceVersion: '2', resourceVersionMatch: 'NotOlderThan', limit: 10 }, ['a', 'b', 'c', 'd'], '4'],
    [{ resourceVersion: '0', limit: 10 }, ['a', 'b', 'c', 'd'], '4'],
  ] as const)('rule 2: %j', async (options, expected, revision) => {
    await make('d');
    const list = await cluster.client.list(ConfigMaps, options);
    expect([names(list), list.metadata.resourceVersion]).toEqual([expected, revision]);
  });

  test.each([
    [
      { resourceVersionMatch: 'Exact' },
      ['resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided'],
    ],
    [
      { resourceVersionMatch: 'Exact', resourceVersion: '0' },
      ['resourceVersionMatch: Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'],
    ],
    [
      { resourceVersionMatch: 'Never', resourceVersion: '1' },
      ['resourceVersionMatch: Unsupported value: "Never": supported values: "Exact", "NotOlderThan"'],
    ],
    [{ sendInitialEvents: true }, ['sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list']],
  ])('rule 2: %j is refused', async (options, expected) => {
    const error = await failure(cluster.client.list(ConfigMaps, options as object));
    expect(error.code).toBe(422);
    expect(causesOf(error)).toEqual(expected);
  });

  test('rule 2: no match together with continue; a continued list stays where it began', async () => {
    const first = await cluster.client.list(ConfigMaps, { limit: 1 });
    const token = first.metadata.continue;
    const error = await failure(
      cluster.client.list(ConfigMaps, { continue: token, resourceVersion: '1', resourceVersionMatch: 'Exact' }),
    );
    expect(causesOf(error)).toEqual([
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided',
    ]);
    expect((await failure(cluster.client.list(ConfigMaps, { continue: token, resourceVersion: '2' }))).message).toBe(
      'specifying resource version is not allowed when using continue',
    );
    await make('d');
    expect(names(await cluster.client.list(ConfigMaps, { continue: token }))).toEqual(['b', 'c']);
    expect(names(await cluster.client.list(ConfigMaps, { continue: token, resourceVersion: '0' }))).toEqual(['b', 'c']);
  });
});

test('rule 3: a revision of the future is waited for, then 504; one that is gone is 410', async () => {
  await make('a', 'b', 'c');
  const waiting = failure(cluster.client.list(ConfigMaps, { resourceVersion: '9' }));
  await cluster.clock.advance(3100);
  expect((await waiting).status).toMatchObject({
    code: 504,
    reason: 'Timeout',
    message: 'Too large resource version: 9, current: 3',
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
  const soon = cluster.client.get(ConfigMaps, key('a'), { resourceVersion: '4' });
  await make('d');
  await cluster.clock.advance(100);
  expect((await soon).metadata.name).toBe('a');
  await cluster.store.compact(3);
  const gone = await failure(cluster.client.list(ConfigMaps, { resourceVersion: '1', resourceVersionMatch: 'Exact' }));
  expect(gone.status).toMatchObject({ code: 410, reason: 'Expired', message: 'too old resource version: 1 (3)' });
  expect((await failure(cluster.client.list(ConfigMaps, { resourceVersion: 'x' }))).code).toBe(400);
});

test('rule 4: tokens, what remains, and what an expired token is answered with', async () => {
  await make('a', 'b', 'c', 'd', 'e');
  const first = await cluster.client.list(ConfigMaps, { limit: 2 });
  expect(first.metadata.remainingItemCount).toBe(3);
  expect(JSON.parse(Buffer.from(first.metadata.continue!, 'base64url').toString())).toEqual({
    v: 'meta.k8s.io/v1',
    rv: 5,
    start: 'default/b\0',
  });
  const selected = await cluster.client.list(ConfigMaps, { limit: 2, labelSelector: '!x' });
  expect(names(selected)).toEqual(['a', 'b']);
  expect(selected.metadata.continue).toBeDefined();
  expect(selected.metadata.remainingItemCount).toBeUndefined();
  const last = await cluster.client.list(ConfigMaps, { limit: 5 });
  expect([last.metadata.continue, last.metadata.remainingItemCount]).toEqual([undefined, undefined]);

  await make('bb');
  await cluster.store.compact(6);
  const expired = await failure(cluster.client.list(ConfigMaps, { limit: 2, continue: first.metadata.continue }));
  expect(expired.status).toMatchObject({ code: 410, reason: 'Expired' });
  const inconsistent = expired.status.metadata.continue!;
  expect(decodeContinue(inconsistent).revision).toBe(-1);
  const rest = await cluster.client.list(ConfigMaps, { limit: 2, continue: inconsistent });
  expect([names(rest), rest.metadata.resourceVersion]).toEqual([['bb', 'c'], '6']);
  expect((await failure(cluster.client.list(ConfigMaps, { continue: 'bm90IGEgdG9rZW4' }))).code).toBe(400);
});

test('rule 5: a watch without a revision begins with the present; leaving the selection is a deletion', async () => {
  await make('a');
  for (const resourceVersion of [undefined, '0']) {
    const watch = record(cluster.client, ConfigMaps, { resourceVersion });
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual(['ADDED a']);
    watch.stop();
  }
  const watch = record(cluster.client, ConfigMaps, { resourceVersion: '1', labelSelector: 'app=x' });
  const label = (app: string | null) =>
    cluster.client.patch(ConfigMaps, key('a'), { type: 'merge', body: { metadata: { labels: { app } } } });
  await label('x');
  await label(null);
  await label('x');
  await cluster.client.delete(ConfigMaps, key('a'));
  await cluster.clock.advance(0);
  expect(watch.seen).toEqual(['ADDED a', 'DELETED a', 'ADDED a', 'DELETED a']);
  expect(watch.events.map((e) => e.object.metadata.resourceVersion)).toEqual(['2', '3', '4', '5']);
  expect(watch.events[3]!.object.metadata.labels).toEqual({ app: 'x' });
  watch.stop();
});

test('rule 6: bookmarks only for those who allow them, with a type and a revision and nothing else', async () => {
  await make('a');
  const plain = record(cluster.client, ConfigMaps, { resourceVersion: '1', timeoutSeconds: 200 });
  const marked = record(cluster.client, ConfigMaps, {
    resourceVersion: '1',
    timeoutSeconds: 200,
    allowWatchBookmarks: true,
  });
  await cluster.clock.advance(199_000);
  expect(plain.seen).toEqual([]);
  expect(marked.seen.length).toBeGreaterThanOrEqual(3);
  expect(new Set(marked.seen)).toEqual(new Set(['BOOKMARK']));
  expect(marked.events[0]!.object).toEqual({
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: { resourceVersion: '1', creationTimestamp: null },
  });
  plain.stop();
  marked.stop();
});

describe('rule 7: watch lists', () => {
  test('rule 7: initial events, a marked bookmark, then live', async () => {
    await make('a', 'b');
    const watch = record(cluster.client, ConfigMaps, {
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: true,
    });
    await cluster.clock.advance(0);
    await make('c');
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual(['ADDED a', 'ADDED b', 'BOOKMARK', 'ADDED c']);
    expect(watch.events[2]!.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
    watch.stop();
  });

  test.each([
    [
      { sendInitialEvents: true },
      'resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    ],
    [
      { sendInitialEvents: true, resourceVersionMatch: 'Exact', resourceVersion: '1' },
      'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"',
    ],
    [
      { resourceVersionMatch: 'NotOlderThan', resourceVersion: '1' },
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    ],
  ] as const)('rule 7: %j is refused', async (options, expected) => {
    const watch = record(cluster.client, ConfigMaps, options);
    await cluster.clock.advance(0);
    const error = watch.ended() as StatusError;
    expect([error.code, causesOf(error)]).toEqual([422, [expected]]);
  });

  test('rule 7: without initial events a watch begins at its revision', async () => {
    await make('a', 'b');
    const watch = record(cluster.client, ConfigMaps, {
      sendInitialEvents: false,
      resourceVersionMatch: 'NotOlderThan',
      resourceVersion: '1',
    });
    await cluster.clock.advance(0);
    expect(watch.seen).toEqual(['ADDED b']);
    watch.stop();
  });
});

test('rule 8: a watch ends in order, at its timeout or between 30 and 60 minutes', async () => {
  await make('a');
  const short = record(cluster.client, ConfigMaps, { resourceVersion: '1', timeoutSeconds: 10 });
  const long = record(cluster.client, ConfigMaps, { resourceVersion: '1' });
  await cluster.clock.advance(9_999);
  expect(short.ended()).toBeUndefined();
  await cluster.clock.advance(1);
  expect(short.ended()).toBe('complete');
  await cluster.clock.advance(1_789_000);
  expect(long.ended()).toBeUndefined();
  await cluster.clock.advance(1_801_000);
  expect(long.ended()).toBe('complete');
});

describe('rule 10: by name and by node, without asking every object', () => {
  const reads = () => {
    let count = 0;
    const kind = cluster.registry.kinds.find('', 'v1', 'pods')!;
    const storage = kind.storage as { fromStorage: (typeof kind.storage)['fromStorage'] };
    const before = storage.fromStorage;
    storage.fromStorage = (o) => {
      count++;
      return before(o);
    };
    return () => count;
  };

  test('rule 10: lists', async () => {
    for (let i = 0; i < 60; i++)
      await cluster.client.create(Pods, pod(`p${i}`, { spec: { nodeName: `n${i % 20}`, ...{} } }));
    await cluster.client.list(Pods, { fieldSelector: 'spec.nodeName=n3' });
    const count = reads();
    const byNode = await cluster.client.list(Pods, { fieldSelector: 'spec.nodeName=n3' });
    expect(names(byNode)).toEqual(['p23', 'p3', 'p43']);
    const page = await cluster.client.list(Pods, { fieldSelector: 'spec.nodeName=n3', limit: 2 });
    expect(names(page)).toEqual(['p23', 'p3']);
    const rest = await cluster.client.list(Pods, {
      fieldSelector: 'spec.nodeName=n3',
      continue: page.metadata.continue,
    });
    expect(names(rest)).toEqual(['p43']);
    const both = await cluster.client.list(Pods, {
      namespace: 'default',
      fieldSelector: 'metadata.name=p3,spec.nodeName=n3',
    });
    expect(names(both)).toEqual(['p3']);
    expect(names(await cluster.client.list(Pods, { namespace: 'other', fieldSelector: 'spec.nodeName=n3' }))).toEqual(
      [],
    );
    expect(names(await cluster.client.list(Pods, { fieldSelector: 'spec.nodeName=nowhere' }))).toEqual([]);
    expect(count()).toBeLessThanOrEqual(10);
  });

  test('rule 10: the past is read as it was', async () => {
    await cluster.client.create(Pods, pod('a', { spec: { nodeName: 'n1' } }));
    await cluster.client.create(Pods, pod('b', { spec: { nodeName: 'n1' } }));
    const bySelector = { fieldSelector: 'spec.nodeName=n1' };
    expect(names(await cluster.client.list(Pods, bySelector))).toEqual(['a', 'b']);
    await cluster.client.delete(Pods, key('a'), { gracePeriodSeconds: 0 });
    expect(names(await cluster.client.list(Pods, bySelector))).toEqual(['b']);
    const past = await cluster.client.list(Pods, {
      ...bySelector,
      resourceVersion: '2',
      resourceVersionMatch: 'Exact',
    });
    expect(names(past)).toEqual(['a', 'b']);
  });

  test('rule 10: watches hear of their own node and are not asked about others', async () => {
    for (const name of ['a', 'b', 'c']) await cluster.client.create(Pods, pod(name));
    const bySelector = { fieldSelector: 'spec.nodeName=n1' };
    const fromNow = record(cluster.client, Pods, bySelector);
    const fromThen = record(cluster.client, Pods, { ...bySelector, resourceVersion: '3' });
    const loose = record(cluster.client, Pods, { fieldSelector: 'spec.nodeName=', resourceVersion: '3' });
    await cluster.clock.advance(0);
    const bind = (name: string, node: string) =>
      cluster.client.subresource(
        Pods,
        key(name),
        'binding',
        'create',
        object('Binding', {}, { target: { name: node } }),
      );
    await bind('a', 'n1');
    await bind('b', 'n2');
    await cluster.clock.advance(0);
    const later = record(cluster.client, Pods, { ...bySelector, resourceVersion: '3' });
    await cluster.clock.advance(0);
    expect([fromNow.seen, fromThen.seen, later.seen]).toEqual([['ADDED a'], ['ADDED a'], ['ADDED a']]);
    expect(loose.seen).toEqual(['DELETED a', 'DELETED b']);
    const count = reads();
    for (let i = 0; i < 5; i++) {
      const labels = { n: String(i) };
      await cluster.client.patch(Pods, key('b'), { type: 'merge', body: { metadata: { labels } } });
    }
    await cluster.clock.advance(0);
    const forWatches = count();
    for (const watch of [fromNow, fromThen, later, loose]) watch.stop();
    const labels = { n: 'x' };
    await cluster.client.patch(Pods, key('b'), { type: 'merge', body: { metadata: { labels } } });
    expect(forWatches / 5).toBe(count() - forWatches);
    expect(fromNow.seen).toEqual(['ADDED a']);
  });
});

test('rule 43: field labels that a kind does not have are refused; != and several are understood', async () => {
  await cluster.client.create(Pods, pod('a', { spec: { nodeName: 'n1' } }));
  await cluster.client.create(Pods, pod('b', { spec: { restartPolicy: 'Never' } }));
  const by = async (fieldSelector: string) => names(await cluster.client.list(Pods, { fieldSelector }));
  expect(await by('spec.nodeName!=n1')).toEqual(['b']);
  expect(await by('spec.restartPolicy==Never,metadata.namespace=default')).toEqual(['b']);
  expect(await by('status.phase=Pending')).toEqual(['a', 'b']);
  const error = await failure(cluster.client.list(Pods, { fieldSelector: 'spec.hostname=x' }));
  expect(error.status).toMatchObject({
    code: 400,
    reason: 'BadRequest',
    message: 'field label not supported: spec.hostname',
  });
});

const secret = (type: string) => object('Secret', { name: type, namespace: 'default' }, { type });
test('rule 43: secrets are selected by their type', async () => {
  await cluster.client.create(Secrets, secret('one'));
  await cluster.client.create(Secrets, secret('two'));
  expect(names(await cluster.client.list(Secrets, { fieldSelector: 'type=two' }))).toEqual(['two']);
});

test('rule 44: set-based label selectors', async () => {
  const app = (name: string, labels: Record<string, string>) =>
    cluster.client.create(ConfigMaps, map(name, {}, { labels }));
  await app('a', { app: 'x', n: '1' });
  await app('b', { app: 'y', n: '10' });
  await app('c', {});
  const by = async (labelSelector: string) => names(await cluster.client.list(ConfigMaps, { labelSelector }));
  expect(await by('app in (x,y)')).toEqual(['a', 'b']);
  expect(await by('app notin (x)')).toEqual(['b', 'c']);
  expect(await by('app!=x')).toEqual(['b', 'c']);
  expect(await by('app')).toEqual(['a', 'b']);
  expect(await by('!app')).toEqual(['c']);
  expect(await by('n>5')).toEqual(['b']);
  expect(await by('app==x,n<2')).toEqual(['a']);
  expect(await by('')).toEqual(['a', 'b', 'c']);
  const wrong = await failure(cluster.client.list(ConfigMaps, { labelSelector: 'app in x' }));
  expect([wrong.code, wrong.message]).toEqual([400, expect.stringContaining('unable to parse requirement: ')]);
});
