import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Informers } from '@trimtab/client';
import { Nodes, seededRandom, silentLogger } from '@trimtab/machinery';
import { PODS, type Pod } from '../../pod/api.js';
import { NodeUnderTest } from '../../testing/node-under-test.js';
import { podsOf } from '../pod-source.js';
import { type Manifest, manifestFolder } from './manifest-folder.js';
import { mirrorHash, staticPod } from './static-pod.js';
import { StaticPods } from './static-pods.js';

const manifest = (name: string, image = 'web:1', more = ''): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: {app: ${name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers: [{name: main, image: '${image}'}]\n${more}`;

describe('a manifest', () => {
  const read = (text: string) => staticPod(text, '/etc/pods/web.yaml', 'n1', 0);

  test('is a pod of this node, which a change makes another one', () => {
    const pod = read(manifest('web'));
    expect(pod.metadata).toMatchObject({
      name: 'web-n1',
      namespace: 'default',
      labels: { app: 'web' },
      annotations: { 'kubernetes.io/config.source': 'file', 'kubernetes.io/config.hash': pod.metadata.uid },
    });
    expect(pod.spec).toMatchObject({
      nodeName: 'n1',
      restartPolicy: 'Always',
      tolerations: [{ operator: 'Exists', effect: 'NoExecute' }],
    });
    expect(read(manifest('web')).metadata.uid).toBe(pod.metadata.uid);
    expect(read(manifest('web', 'web:2')).metadata.uid).not.toBe(pod.metadata.uid);
  });

  test.each([
    ['', 'nothing in it'],
    ['apiVersion: v1\nkind: Service\n', 'no Pod of v1'],
    [`${manifest('a')}\n---\n${manifest('b')}`, 'more than one object'],
    [manifest('web', 'web:1', '  nonsense: 1\n'), 'unknown field "spec.nonsense"'],
    [manifest('web', 'web:1', '  volumes: [{name: v, secret: {secretName: s}}]\n'), 'static pods cannot use secrets'],
    [manifest('web', 'web:1', '  serviceAccountName: robot\n'), 'cannot use a service account'],
    [
      manifest('web', 'web:1', '  volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]\n'),
      'persistent volume claims',
    ],
    ['apiVersion: v1\nkind: Pod\nmetadata: {}\nspec: {containers: [{name: a, image: b}]}\n', 'metadata.name'],
  ])('is refused with the reason (%#)', (text, why) => expect(() => read(text)).toThrow(why));
});

/** A node with a folder that the test fills. */
class StaticNode {
  manifests: Manifest[] = [];
  #changed: () => void = () => {};
  statics!: StaticPods;
  readonly #informers: Informers;

  constructor(readonly node: NodeUnderTest) {
    const { clock, client } = node;
    this.#informers = new Informers({ client, clock, random: seededRandom(2), logger: silentLogger });
  }

  static async start(...manifests: string[]): Promise<StaticNode> {
    const self = new StaticNode(new NodeUnderTest());
    self.fill(...manifests);
    await self.boot();
    return self;
  }

  async boot(): Promise<void> {
    const { node } = this;
    const source = podsOf(this.#informers.get(PODS, { scope: { fieldSelector: 'spec.nodeName=n1' } }));
    this.#informers.start();
    this.statics = new StaticPods({
      folder: {
        read: async () => this.manifests,
        watch: (changed) => {
          this.#changed = changed;
          return () => {};
        },
      },
      source,
      nodeName: 'n1',
      client: node.client,
      clock: node.clock,
      logger: silentLogger,
      isHere: (uid) => node.node?.pods.worker(uid) !== undefined,
    });
    Object.assign(node.options, { pods: this.statics, client: this.statics.clientFor(node.client) });
    await node.boot();
    await node.clock.advance(200);
  }

  fill(...manifests: string[]): void {
    this.manifests = manifests.map((text, i) => ({ path: `/etc/pods/${i}.yaml`, text }));
    this.#changed();
  }

  async mirror(name = 'web-n1'): Promise<Pod | undefined> {
    await this.node.clock.advance(500);
    const { items } = await this.node.client.list(PODS);
    return items.find((pod) => pod.metadata.name === name);
  }
}

describe('static pods', () => {
  test('run, and are shown by mirrors that carry their status', async () => {
    const { node, statics } = await StaticNode.start(manifest('web'));
    const mirror = await node.pod('web-n1');
    expect(mirror.status).toMatchObject({ phase: 'Running', containerStatuses: [{ name: 'main', ready: true }] });
    expect(mirror.metadata.annotations?.['kubernetes.io/config.mirror']).toBe(mirrorHash(mirror));
    expect(mirror.metadata.ownerReferences).toMatchObject([{ kind: 'Node', name: 'n1', controller: true }]);
    expect(statics.ownUid(mirror.metadata.uid!)).toBe(mirrorHash(mirror));
    expect(node.node!.pods.workers().map(({ uid }) => uid)).toEqual([mirrorHash(mirror)]);
    const worker = node.node!.pods.worker(mirrorHash(mirror)!)!;
    node.runtime.exit(worker.container('main')!.containerId!, 3);
    await node.clock.advance(500);
    expect((await node.pod('web-n1')).status?.containerStatuses?.[0]).toMatchObject({ restartCount: 1 });
  });

  test('are not to be deleted through the API: the pod runs on, and its mirror comes back with its status', async () => {
    const t = await StaticNode.start(manifest('web'));
    const { node } = t;
    const before = await node.pod('web-n1');
    const id = node.node!.pods.worker(mirrorHash(before)!)!.container('main')!.containerId;
    await node.delete('web-n1');
    const after = (await t.mirror())!;
    expect(after.metadata.uid).not.toBe(before.metadata.uid);
    expect(after.metadata.deletionTimestamp).toBeUndefined();
    expect(after.status?.phase).toBe('Running');
    expect(node.node!.pods.worker(mirrorHash(after)!)!.container('main')!.containerId).toBe(id);
  });

  test('go with their manifest, and a changed one takes the place of the one before only when that is gone', async () => {
    const t = await StaticNode.start(manifest('web'), manifest('db'));
    const { node } = t;
    const old = mirrorHash((await t.mirror())!)!;
    t.fill(manifest('web', 'web:2'));
    await node.clock.advance(5_000);
    const mirror = (await t.mirror())!;
    expect(mirrorHash(mirror)).not.toBe(old);
    expect(mirror.spec.containers[0]!.image).toBe('web:2');
    expect(mirror.status?.phase).toBe('Running');
    expect(await t.mirror('db-n1')).toBeUndefined();
    expect(node.node!.pods.workers()).toHaveLength(1);
    t.fill();
    await node.clock.advance(5_000);
    expect(await t.mirror()).toBeUndefined();
    expect(node.node!.pods.workers()).toHaveLength(0);
  });

  test('a kubelet that starts again adopts them; mirrors whose manifest went meanwhile go', async () => {
    const t = await StaticNode.start(manifest('web'), manifest('db'));
    const { node } = t;
    const hash = mirrorHash((await t.mirror())!)!;
    const id = node.node!.pods.worker(hash)!.container('main')!.containerId;
    await node.stop();
    t.statics.stop();
    t.manifests = t.manifests.slice(0, 1);
    await t.boot();
    expect(node.node!.pods.worker(hash)!.container('main')!.containerId).toBe(id);
    expect((await t.mirror())?.status?.phase).toBe('Running');
    expect(await t.mirror('db-n1')).toBeUndefined();
    expect((await node.client.get(Nodes, { name: 'n1' })).metadata.name).toBe('n1');
  });

  test('what is wrong with one manifest is no harm to the others', async () => {
    const { node } = await StaticNode.start('nonsense: [', manifest('web'), manifest('web', 'web:2'));
    expect(node.node!.pods.workers().map(({ pod }) => [pod.metadata.name, pod.spec.containers[0]!.image])).toEqual([
      ['web-n1', 'web:1'],
    ]);
  });
});

test('a folder is read without hidden files and watched', async () => {
  const directory = await fs.mkdtemp(join(tmpdir(), 'tt-static-'));
  try {
    const { clock } = new NodeUnderTest();
    const folder = manifestFolder(directory, clock, silentLogger);
    await fs.writeFile(join(directory, 'b.yaml'), 'b');
    await fs.writeFile(join(directory, '.swap'), 'x');
    await fs.writeFile(join(directory, 'a.yaml'), 'a');
    expect((await folder.read()).map(({ text }) => text)).toEqual(['a', 'b']);
    let changes = 0;
    const stop = folder.watch(() => changes++);
    await fs.writeFile(join(directory, 'c.yaml'), 'c');
    await fs.rm(join(directory, 'a.yaml'));
    while (changes === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      await clock.advance(50);
    }
    stop();
    expect(await manifestFolder(join(directory, 'nowhere'), clock, silentLogger).read()).toEqual([]);
  } finally {
    await fs.rm(directory, { recursive: true });
  }
});
