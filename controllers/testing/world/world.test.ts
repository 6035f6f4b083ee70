import {
  admission,
  changeStatus,
  controller,
  controllerReference,
  create,
  event,
  LeaderElection,
  requeueAfter,
} from '@trimtab/framework';
import { ConfigMaps, type KubeObject, Namespaces, type Pod, Pods, type ResourceType, sleep } from '@trimtab/machinery';
import { crash, hang, succeed, type WorldOptions, world } from '../index.js';

interface Site extends KubeObject {
  readonly spec: { readonly pods: number };
  readonly status?: { readonly ready?: number };
}
const Sites: ResourceType<Site> = {
  group: 'example.com',
  version: 'v1',
  kind: 'Site',
  resource: 'sites',
  namespaced: true,
};
const key = { namespace: 'ns', name: 's' };
const site = (pods: number): Site => ({ metadata: key, spec: { pods } });

const sites = controller<Site>({
  name: 'sites',
  for: Sites,
  owns: [Pods],
  reconcile({ object, owned }) {
    if (!object) return [];
    const pods = owned(Pods);
    const missing = Math.max(0, object.spec.pods - pods.length);
    return [
      ...Array.from({ length: missing }, () =>
        create(Pods, {
          metadata: {
            generateName: 's-',
            namespace: 'ns',
            ownerReferences: [controllerReference(Sites, object)],
          },
          spec: { containers: [{ name: 'c', image: 'i' }] },
        }),
      ),
      ...changeStatus(Sites, object, (draft) => {
        draft.status = { ready: pods.filter((p) => p.status?.phase === 'Running').length };
      }),
    ];
  },
});
const options: WorldOptions = { kinds: [Sites], controllers: [sites], kubelet: true };

async function story(seed: number) {
  const w = await world({ ...options, seed });
  await w.create(Sites, site(3));
  await w.settle();
  await w.patch(Sites, key, { spec: { pods: 4 } });
  await w.settle();
  return w;
}

test('the server’s own code runs controllers and pods in virtual time', async () => {
  const w = await story(1);
  expect((await w.get(Sites, key)).status).toEqual({ ready: 4 });
  const pods = await w.list(Pods, 'ns');
  expect(pods).toHaveLength(4);
  expect(pods[0]).toMatchObject({
    spec: { restartPolicy: 'Always', nodeName: expect.stringMatching(/^node-[123]$/) },
    status: { phase: 'Running', containerStatuses: [{ ready: true, restartCount: 0 }], podIP: expect.any(String) },
  });
  await w.close();
});

test('the same seed gives the same trace, byte for byte; another seed another one', async () => {
  const texts = new Set<string>();
  for (const seed of [1, 7, 8, 99, 123_456]) {
    const [a, b] = [await story(seed), await story(seed)];
    expect(a.trace.text()).toBe(b.trace.text());
    expect(a.trace.text()).toMatch(/create pods ns\/s-\w{5} rv \d+ by controllers {2}<- sites ns\/s/);
    texts.add(a.trace.text());
    await a.close();
    await b.close();
  }
  expect(texts.size).toBe(5);
});

test('nothing is created in a namespace that is going away; one nobody has made may be used', async () => {
  const w = await world();
  await w.create(Namespaces, { metadata: { name: 'team' } });
  await w.remove(Namespaces as unknown as ResourceType, { name: 'team' });
  const late = w.create(ConfigMaps, { metadata: { namespace: 'team', name: 'late' } });
  await expect(late).rejects.toThrow(/because it is being terminated/);
  await w.create(ConfigMaps, { metadata: { namespace: 'nowhere', name: 'fine' } });
  await w.close();
});

test('pods start late, end, crash with backoff and hang as their script says', async () => {
  const w = await world({
    kubelet: { pods: (pod) => (pod.metadata.name === 'slow' ? { startAfter: '1m' } : undefined) },
  });
  const pod = (name: string, restartPolicy = 'Always'): Pod => ({
    metadata: { name, namespace: 'ns' },
    spec: { restartPolicy, containers: [{ name: 'c', image: 'i' }] },
  });
  w.kubelet.script('once', succeed('20s'));
  w.kubelet.script('bad', crash('5s', 3));
  w.kubelet.script('stuck', hang());
  w.kubelet.script('absent', { waits: 'ImagePullBackOff' });
  await w.create(Pods, pod('slow'), pod('once', 'Never'), pod('bad'), pod('stuck'), pod('absent'));
  const phase = async (name: string) => (await w.get(Pods, { namespace: 'ns', name })).status?.phase;
  await w.pass('59s');
  expect(await phase('slow')).toBe('Pending');
  await w.pass('1s');
  expect(await phase('slow')).toBe('Running');
  expect(await phase('once')).toBe('Succeeded');
  expect((await w.get(Pods, { namespace: 'ns', name: 'absent' })).status).toMatchObject({
    phase: 'Pending',
    containerStatuses: [{ state: { waiting: { reason: 'ImagePullBackOff' } } }],
  });
  expect((await w.get(Pods, { namespace: 'ns', name: 'stuck' })).status?.conditions).toContainEqual(
    expect.objectContaining({ type: 'Ready', status: 'False' }),
  );
  // Started at 1 s, ended at 6, again at 16 to 21, again at 41 to 46.
  expect((await w.get(Pods, { namespace: 'ns', name: 'bad' })).status).toMatchObject({
    phase: 'Running',
    containerStatuses: [{ restartCount: 2, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
  });
  await w.close();
});

test('a killed process does nothing more; a new one remembers nothing and goes on', async () => {
  const w = await story(3);
  w.process.crash();
  await w.patch(Sites, key, { spec: { pods: 6 } });
  await w.pass('1h');
  expect(await w.list(Pods)).toHaveLength(4);
  w.process.start();
  await w.settle();
  expect(await w.list(Pods)).toHaveLength(6);
  await w.close();
});

test('a loop that asks for nothing and never lets time pass is stopped and named, too', async () => {
  const loop = controller({ name: 'loop', for: ConfigMaps, reconcile: () => [requeueAfter(-1)] });
  const w = await world({ controllers: [loop] });
  await w.create(ConfigMaps, { metadata: { name: 'c', namespace: 'ns' } });
  await expect(w.settle()).rejects.toThrow(/501 reconciles of loop ns\/c within one second/);
  await w.close();
});

test('a loop that never lets time pass is stopped and named', async () => {
  let n = 0;
  const loop = controller({
    name: 'loop',
    for: ConfigMaps,
    reconcile: ({ object }) => (object ? changeTo(object) : []),
  });
  function changeTo(object: KubeObject) {
    return changeStatusLike(object, String(++n));
  }
  function changeStatusLike(object: KubeObject, value: string) {
    return [
      {
        type: 'patch' as const,
        resource: ConfigMaps as unknown as ResourceType,
        key: { namespace: 'ns', name: object.metadata.name! },
        operations: [{ op: 'add' as const, path: '/metadata/annotations', value: { n: value } }],
      },
    ];
  }
  const w = await world({ controllers: [loop], trace: false });
  await w.create(ConfigMaps, { metadata: { name: 'c', namespace: 'ns' } });
  await expect(w.settle()).rejects.toThrow(/501 reconciles of loop ns\/c within one second/);
  await w.close();
});

test('a day of a hundred objects passes', async () => {
  const checks = controller<Site>({ name: 'checks', for: Sites, reconcile: () => [requeueAfter(3_600_000)] });
  const w = await world({ ...options, controllers: [sites, checks] });
  for (let i = 0; i < 20; i++) await w.create(Sites, { ...site(4), metadata: { namespace: `ns${i}`, name: 's' } });
  await w.settle();
  const writes = w.trace.writes.length;
  await w.pass('24h');
  expect(w.trace.writes).toHaveLength(writes);
  expect(w.process.reconciles).toBeGreaterThan(24 * 20);
  await w.close();
});

test('row 31: rules beside a controller are asked as a server would have them asked', async () => {
  const rule = admission<KubeObject & { readonly data?: Record<string, string> }>({
    for: ConfigMaps,
    on: ['CREATE', 'UPDATE', 'DELETE'],
    mutate: (draft) => {
      draft.data = { ...draft.data, made: 'yes' };
    },
    validate: ({ data }, { old, operation, user }) =>
      operation === 'DELETE' && data?.kept
        ? [`${user} may not`]
        : old?.data?.kept && old.data.kept !== data?.kept
          ? ['data.kept: cannot be changed']
          : [],
  });
  const w = await world({ admissions: [rule] });
  const key = { namespace: 'ns', name: 'c' };
  const [made] = await w.create(ConfigMaps, { metadata: key, data: { kept: 'a' } });
  expect(made).toMatchObject({ data: { kept: 'a', made: 'yes' } });
  await expect(w.patch(ConfigMaps, key, { data: { kept: 'b' } })).rejects.toThrow(
    'admission of configmaps denied the request: data.kept: cannot be changed',
  );
  await expect(w.client.delete(ConfigMaps, key)).rejects.toThrow(/may not$/);
  await w.close();
});

test('a leader that stops gives its lease back to the server, and the next one leads at once', async () => {
  const w = await world();
  const log: string[] = [];
  const stand = (identity: string) => {
    const election = new LeaderElection({
      client: w.clientOf(identity),
      lease: { namespace: 'default', name: 'l' },
      identity,
      clock: w.clock,
      random: w.random,
      logger: { ...w.logger, warn: (_, message) => void log.push(message) },
      onElected: () => void log.push(`${identity} leads`),
      onLost: () => void log.push(`${identity} lost`),
    });
    election.start();
    return election;
  };
  const a = stand('a');
  await w.pass('5s');
  stand('b');
  await w.pass('5s');
  const stopped = a.stop();
  await w.pass('5s');
  await stopped;
  expect(log).toEqual(['a leads', 'no longer leading', 'a lost', 'b leads']);
  await w.close();
});

test('of several evaluations at a time each has its own writes, its events too', async () => {
  const pair = controller<Site>({
    name: 'pair',
    for: Sites,
    reconcile: ({ object }) =>
      object
        ? [
            ...['a', 'b'].map((part) =>
              create(ConfigMaps, { metadata: { namespace: 'ns', name: `${object.metadata.name}-${part}` } }),
            ),
            event(object, 'Normal', 'Made', object.metadata.name!),
          ]
        : [],
  });
  const w = await world({ kinds: [Sites], controllers: [pair] });
  w.process.link.faults.write = async (_, send) => {
    await sleep(w.clock, 1_000);
    return send();
  };
  await w.create(Sites, ...['x', 'y', 'z'].map((name) => ({ metadata: { namespace: 'ns', name }, spec: { pods: 0 } })));
  await w.pass('1m');
  const made = w.trace.writes.filter(({ actor }) => actor === 'controllers');
  // At each second three writes, one of each evaluation.
  expect(new Set(made.slice(0, 3).map(({ at }) => at)).size).toBe(1);
  const causes = made.map(
    ({ key, resource, cause }) => `${resource} ${key.slice(0, 4)} ${cause?.controller} ${cause?.key}`,
  );
  expect([...new Set(causes)].sort()).toEqual(
    ['x', 'y', 'z']
      .flatMap((name) => [`/configmaps ns/${name} pair ns/${name}`, `/events ns/${name} pair ns/${name}`])
      .sort(),
  );
  await w.close();
});
