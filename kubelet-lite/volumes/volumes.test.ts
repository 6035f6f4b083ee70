import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigMaps, seededRandom, silentLogger, VirtualClock, type Volume } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import { SimulatedImages } from '../simulated/simulated-node.js';
import { MemoryClient } from '../testing/memory-client.js';
import { writePayload } from './atomic-writer.js';
import { DirectoryVolumes } from './directory-volumes.js';
import { checkHostPath } from './host-path.js';
import { ImageVolumes } from './image-volumes.js';
import { ObjectTracker } from './object-tracker.js';
import { type PayloadFile, payloadOf } from './payload.js';
import { PayloadVolumes } from './payload-volumes.js';
import { PersistentVolumeMounter } from './persistent-volumes.js';
import { referencesOf } from './references.js';
import { mountFailures } from './volume-manager.js';

let dir: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(join(tmpdir(), 'volumes-'));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

const file = (text: string, mode = 0o644): PayloadFile => ({ data: Buffer.from(text), mode });
const certificate = (text: string) =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(text).toString('base64')}\n-----END CERTIFICATE-----\n`;
const bundle = (name: string, a: string, b: string, signerName?: string, labels?: Record<string, string>) => ({
  metadata: { name, ...(labels ? { labels } : {}) },
  spec: { trustBundle: `# ${name}\n${certificate(a)}\n${certificate(b)}`, ...(signerName ? { signerName } : {}) },
});
const payload = (files: Record<string, PayloadFile>) => new Map(Object.entries(files));

describe('the atomic writer', () => {
  test('shows one version as a whole, and writes nothing when nothing has changed', async () => {
    expect(await writePayload(dir, payload({ a: file('1'), 'sub/b': file('2', 0o400) }), undefined, 'v1')).toBe(true);
    expect(await fs.readFile(join(dir, 'sub/b'), 'utf8')).toBe('2');
    expect((await fs.stat(join(dir, 'sub/b'))).mode & 0o777).toBe(0o400);
    expect(await fs.readlink(join(dir, 'sub'))).toBe('..data/sub');
    expect(await writePayload(dir, payload({ a: file('1'), 'sub/b': file('2', 0o400) }), undefined, 'v2')).toBe(false);
    expect(await fs.readlink(join(dir, '..data'))).toBe('..v1');
    expect(await writePayload(dir, payload({ a: file('1', 0o600) }), undefined, 'v3')).toBe(true);
    expect((await fs.readdir(dir)).sort()).toEqual(['..data', '..v3', 'a']);
  });

  test('gives files to the fsGroup and lets it read them', async () => {
    await writePayload(dir, payload({ a: file('1', 0o400) }), 2000, 'v1');
    const stat = await fs.stat(join(dir, 'a'));
    expect([stat.mode & 0o777, stat.gid]).toEqual([0o440, 2000]);
  });

  test('a writer killed at any step leaves the old version whole, and the next one goes on', async () => {
    await writePayload(dir, payload({ a: file('old') }), undefined, 'v1');
    await fs.mkdir(join(dir, '..v2'));
    await fs.symlink('..v2', join(dir, '..data_tmp'));
    expect(await fs.readFile(join(dir, 'a'), 'utf8')).toBe('old');
    await writePayload(dir, payload({ a: file('new') }), undefined, 'v2');
    expect(await fs.readFile(join(dir, 'a'), 'utf8')).toBe('new');
    // What others left half done goes too.
    await fs.mkdir(join(dir, '..v0'));
    await writePayload(dir, payload({ b: file('newer') }), undefined, 'v3');
    expect((await fs.readdir(dir)).sort()).toEqual(['..data', '..v3', 'b']);
  });
});

describe('what a volume holds', () => {
  const sources = {
    downward: {
      pod: { metadata: { name: 'web', annotations: { b: '2', a: 'x"y' } }, spec: { containers: [{ name: 'main' }] } },
      nodeName: 'n1',
      hostIP: '',
      podIPs: [],
      allocatable: { memory: '1Gi' },
    },
    configMap: (name: string) =>
      name === 'cm'
        ? { metadata: {}, data: { k: 'v' }, binaryData: { raw: Buffer.from([0, 255]).toString('base64') } }
        : undefined,
    secret: () => undefined,
    bundles: () => [
      bundle('own', 'A', 'B'),
      bundle('signed', 'B', 'C', 'example.com/s', { app: 'x' }),
      bundle('more', 'C', 'C', 'example.com/s'),
    ],
    token: () => 'jwt',
  };
  const texts = (volume: Omit<Volume, 'name'>) =>
    Object.fromEntries(
      [...payloadOf({ name: 'v', ...volume }, sources)].map(([path, f]) => [
        path,
        Buffer.from(f.data).toString('latin1'),
      ]),
    );

  test('config maps with binary data, chosen keys, downward fields and tokens', () => {
    expect(texts({ configMap: { name: 'cm' } })).toEqual({ k: 'v', raw: '\u0000\u00ff' });
    expect(texts({ configMap: { name: 'cm', items: [{ key: 'k', path: 'deep/er' }] } })).toEqual({ 'deep/er': 'v' });
    const memory = { containerName: 'main', resource: 'limits.memory', divisor: '1Mi' };
    const annotations = { fieldPath: 'metadata.annotations' };
    const items = [
      { path: 'annotations', fieldRef: annotations },
      { path: 'memory', resourceFieldRef: memory },
    ];
    expect(texts({ downwardAPI: { items } })).toEqual({ annotations: 'a="x\\"y"\nb="2"', memory: '1024' });
    expect(
      texts({
        projected: {
          sources: [{ serviceAccountToken: { path: 'token' } }, { configMap: { name: 'no', optional: true } }],
        },
      }),
    ).toEqual({
      token: 'jwt',
    });
  });

  test('trust bundles by name and by signer: every certificate once, nothing else', () => {
    const shown = (clusterTrustBundle: object) =>
      texts({ projected: { sources: [{ clusterTrustBundle: { path: 'ca', ...clusterTrustBundle } }] } }).ca;
    const signerName = 'example.com/s';
    expect(shown({ name: 'own' })).toBe(certificate('A') + certificate('B'));
    expect(shown({ signerName, labelSelector: {} })).toBe(certificate('B') + certificate('C'));
    expect(shown({ signerName, labelSelector: { matchLabels: { app: 'x' } } })).toBe(
      certificate('B') + certificate('C'),
    );
    expect(shown({ signerName, labelSelector: { matchLabels: { app: 'y' } }, optional: true })).toBe('');
  });

  test.each([
    [{ configMap: { name: 'no' } }, 'configmap "no" not found'],
    [{ secret: { secretName: 'no' } }, 'secret "no" not found'],
    [{ configMap: { name: 'cm', items: [{ key: 'x', path: 'x' }] } }, 'references non-existent config key: x'],
    [{ configMap: { name: 'cm', items: [{ key: 'k', path: '../k' }] } }, 'must not contain ".."'],
    [
      { projected: { sources: [{ clusterTrustBundle: { name: 'no', path: 'x' } }] } },
      'clustertrustbundle.certificates.k8s.io "no" not found',
    ],
    [
      { projected: { sources: [{ clusterTrustBundle: { signerName: 's', path: 'x' } }] } },
      'matched zero ClusterTrustBundles',
    ],
    [
      { projected: { sources: [{ podCertificate: { keyType: 'ED25519', signerName: 's' } }] } },
      'podCertificate is not supported',
    ],
  ])('%j: %s', (volume, message) => {
    expect(() => texts(volume)).toThrow(message);
  });
});

test('hostPath types are checked, and made where they say so', async () => {
  await fs.writeFile(join(dir, 'file'), '');
  await checkHostPath(join(dir, 'anything'), '');
  await checkHostPath(join(dir, 'new/dir'), 'DirectoryOrCreate');
  await checkHostPath(join(dir, 'new/dir'), 'Directory');
  await checkHostPath(join(dir, 'new/file'), 'FileOrCreate');
  await checkHostPath(join(dir, 'new/file'), 'File');
  await checkHostPath('/dev/null', 'CharDevice');
  for (const [path, type] of [
    ['file', 'Directory'],
    ['none', 'File'],
    ['file', 'Socket'],
    ['file', 'BlockDevice'],
  ] as const) {
    await expect(checkHostPath(join(dir, path), type)).rejects.toThrow('hostPath type check failed');
  }
});

test('what changes while other volumes are still being set up is not missed', async () => {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  const options = { client, clock, random: seededRandom(1), logger: silentLogger };
  const tracker = new ObjectTracker(options);
  const map = await client.create(ConfigMaps, { metadata: { namespace: 'default', name: 'cm' }, data: { k: 'old' } });
  const pod: Pod = {
    metadata: { name: 'web', namespace: 'default', uid: 'u' },
    spec: { containers: [{ name: 'main' }], volumes: [{ name: 'v', configMap: { name: 'cm' } }] },
  };
  const volumes = new PayloadVolumes(
    { ...options, tracker, downward: () => ({ pod, nodeName: 'n', hostIP: '', podIPs: [], allocatable: {} }) },
    pod,
    ({ name }) => join(dir, name),
  );
  const volume = pod.spec.volumes![0]!;
  tracker.onChange(() => volumes.refresh());
  await tracker.follow('u', referencesOf(pod));
  await volumes.write(volume);
  await client.update(ConfigMaps, { ...map, data: { k: 'new' } });
  volumes.follow();
  // Writes follow one another.
  await volumes.write({ name: 'other', downwardAPI: { items: [] } });
  await volumes.stop();
  expect(await fs.readFile(join(dir, 'v/k'), 'utf8')).toBe('new');
  tracker.stop();
});

test('each volume that is not set up says so, and after the kubelet’s patience the pod as a whole', async () => {
  const clock = new VirtualClock();
  const options = { client: new MemoryClient(clock), clock, random: seededRandom(1), logger: silentLogger };
  const volumes = new DirectoryVolumes({
    ...options,
    tracker: new ObjectTracker(options),
    podsDir: dir,
    downward: (pod) => ({ pod, nodeName: 'n', hostIP: '', podIPs: [], allocatable: {} }),
    persistent: new PersistentVolumeMounter({ ...options, nodeName: 'n', volumesDir: dir, podsDir: dir }),
    images: new ImageVolumes({
      ...options,
      images: new SimulatedImages(),
      recorder: { event: () => {} },
      podsDir: dir,
    }),
  });
  const pod: Pod = {
    metadata: { name: 'web', namespace: 'default', uid: 'u' },
    spec: {
      containers: [{ name: 'main' }],
      volumes: [
        { name: 'a', configMap: { name: 'no' } },
        { name: 'b', emptyDir: {} },
        { name: 'c', hostPath: { path: '/no/such', type: 'File' } },
      ],
    },
  };
  const failures = () => volumes.setUp(pod).then(() => [], mountFailures);
  const each = [
    'MountVolume.SetUp failed for volume "a" : configmap "no" not found',
    'MountVolume.SetUp failed for volume "c" : hostPath type check failed: /no/such is not a file',
  ];
  expect(await failures()).toEqual(each);
  await clock.advance(60_000);
  expect(await failures()).toEqual(each);
  await clock.advance(63_000);
  expect(await failures()).toEqual([
    ...each,
    'Unable to attach or mount volumes: unmounted volumes=[a c], unattached volumes=[], failed to process volumes=[]: context deadline exceeded',
  ]);
  expect(await failures()).toEqual(each);
  await volumes.tearDown('u');
});
