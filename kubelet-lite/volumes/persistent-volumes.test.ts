import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Informer } from '@trimtab/client';
import {
  Nodes,
  type PersistentVolume,
  PersistentVolumeClaims,
  PersistentVolumes,
  seededRandom,
  silentLogger,
  VirtualClock,
  type Volume,
} from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import { MemoryClient } from '../testing/memory-client.js';
import { LocalVolumeRemover } from './local-volume-remover.js';
import { PersistentVolumeMounter } from './persistent-volumes.js';

let dir: string;
let volumesDir: string;
let clock: VirtualClock;
let client: MemoryClient;
let mounter: PersistentVolumeMounter;

beforeEach(async () => {
  dir = await fs.mkdtemp(join(tmpdir(), 'persistent-'));
  volumesDir = join(dir, 'volumes');
  clock = new VirtualClock();
  client = new MemoryClient(clock);
  mounter = restarted();
  await client.create(Nodes, { metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'n1' } } });
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

const restarted = () => new PersistentVolumeMounter({ client, nodeName: 'n1', volumesDir, podsDir: join(dir, 'pods') });

const onHost = (name: string) => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] }],
    },
  },
});
type VolumeSpec = NonNullable<PersistentVolume['spec']>;

/** A claim `data` bound to a volume `pv` of the node, as the provisioner makes it unless told otherwise. */
async function bound(spec: Partial<VolumeSpec> = {}, annotations?: Record<string, string>): Promise<string> {
  const path = join(volumesDir, 'ns_data_u1');
  await client.create(PersistentVolumeClaims, {
    metadata: {
      namespace: 'ns',
      name: 'data',
      uid: 'u1',
      annotations: { 'pv.kubernetes.io/bind-completed': 'yes' },
    },
    spec: { volumeName: 'pv' },
    status: { phase: 'Bound' },
  });
  await client.create(PersistentVolumes, {
    metadata: {
      name: 'pv',
      annotations: annotations ?? { 'pv.kubernetes.io/provisioned-by': 'trimtab.dev/local' },
      finalizers: ['kubernetes.io/pv-protection', 'trimtab.dev/local-volume'],
    },
    spec: {
      claimRef: { namespace: 'ns', name: 'data', uid: 'u1' },
      persistentVolumeReclaimPolicy: 'Delete',
      ...('hostPath' in spec || 'nfs' in spec ? {} : { local: { path } }),
      ...onHost('n1'),
      ...spec,
    },
  });
  return path;
}

const data: Volume = { name: 'v', persistentVolumeClaim: { claimName: 'data' } };
const pod = (uid: string, securityContext: Pod['spec']['securityContext'] = {}): Pod => ({
  metadata: { namespace: 'ns', name: 'web', uid },
  spec: { containers: [], volumes: [data], securityContext },
});
const facts = async (path: string) => {
  const stat = await fs.lstat(path);
  return `${(stat.mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid}`;
};
/** What the pod manager does when the pod has ended. */
const endOf = async (uid: string) => {
  await fs.rm(join(dir, 'pods', uid), { recursive: true, force: true });
  mounter.forget(uid);
};

describe('volumes behind claims', () => {
  test('a made volume is a directory that everybody may write to, and keeps what is in it', async () => {
    const path = await bound();
    await mounter.mount(pod('p1'), data);
    expect(mounter.pathOf(pod('p1'), 'v')).toBe(path);
    expect(await facts(path)).toBe('777 0:0');
    await fs.writeFile(join(path, 'file'), 'kept');
    await fs.chmod(path, 0o1755);
    await endOf('p1');
    await mounter.mount(pod('p2'), data);
    expect([await fs.readFile(join(path, 'file'), 'utf8'), await facts(path)]).toEqual(['kept', '1755 0:0']);
    expect(await fs.readdir(volumesDir)).toEqual(['ns_data_u1']);
  });

  test('fsGroup takes everything over, to the bit, and leaves links alone', async () => {
    const path = await bound();
    await fs.mkdir(join(path, 'sub'), { recursive: true, mode: 0o700 });
    for (const [name, mode] of [
      ['secret', 0o600],
      ['run', 0o4711],
      ['sub/read', 0o444],
    ] as const) {
      await fs.writeFile(join(path, name), '');
      await fs.chmod(join(path, name), mode);
    }
    await fs.chown(join(path, 'secret'), 1000, 1000);
    await fs.writeFile(join(dir, 'outside'), '', { mode: 0o600 });
    await fs.symlink(join(dir, 'outside'), join(path, 'link'));
    await fs.chmod(path, 0o755);
    await mounter.mount(pod('p1', { fsGroup: 2000 }), data);
    const seen = Object.fromEntries(
      await Promise.all(
        ['', 'sub', 'secret', 'run', 'sub/read'].map(async (name) => [name, await facts(join(path, name))]),
      ),
    );
    expect(seen).toEqual({
      '': '2775 0:2000',
      sub: '2770 0:2000',
      secret: '660 1000:2000',
      run: '4771 0:2000',
      'sub/read': '664 0:2000',
    });
    expect([(await fs.lstat(join(path, 'link'))).gid, await facts(join(dir, 'outside'))]).toEqual([2000, '600 0:0']);
  });

  test('files are not taken from a pod at work, nor on a change policy that is met, nor after a restart', async () => {
    const path = await bound();
    await mounter.mount(pod('p1', { fsGroup: 2000 }), data);
    await fs.writeFile(join(path, 'own'), '');
    await fs.chown(join(path, 'own'), 1, 1);
    await mounter.mount(pod('p2', { fsGroup: 3000 }), data);
    mounter = restarted();
    await mounter.mount(pod('p1', { fsGroup: 2000 }), data);
    expect([await facts(path), (await fs.stat(join(path, 'own'))).gid]).toEqual(['2777 0:2000', 1]);
    await endOf('p1');
    await endOf('p2');
    await mounter.mount(pod('p3', { fsGroup: 2000, fsGroupChangePolicy: 'OnRootMismatch' }), data);
    expect((await fs.stat(join(path, 'own'))).gid).toBe(1);
    await endOf('p3');
    await mounter.mount(pod('p4', { fsGroup: 2000 }), data);
    expect((await fs.stat(join(path, 'own'))).gid).toBe(2000);
  });

  test('what was mounted is found again by another kubelet, even when the claim is being deleted or gone', async () => {
    const path = await bound();
    await mounter.mount(pod('p1'), data);
    await client.delete(PersistentVolumeClaims, { namespace: 'ns', name: 'data' });
    mounter = restarted();
    await mounter.mount(pod('p1'), data);
    expect(mounter.pathOf(pod('p1'), 'v')).toBe(path);
    await expect(mounter.mount(pod('p2'), data)).rejects.toThrow(
      'error processing PVC ns/data: failed to fetch PVC from API server: persistentvolumeclaims "data" not found',
    );
  });

  test('static volumes are mounted where they are, and hostPath checked as its type says', async () => {
    await bound({ local: { path: join(dir, 'disk') } }, {});
    await expect(mounter.mount(pod('p1'), data)).rejects.toThrow(`path "${join(dir, 'disk')}" does not exist`);
    await fs.mkdir(join(dir, 'disk'));
    await mounter.mount(pod('p1'), data);
    expect(mounter.pathOf(pod('p1'), 'v')).toBe(join(dir, 'disk'));
  });

  test.each([
    [{ hostPath: { path: '/no/such', type: 'Directory' } }, 'hostPath type check failed: /no/such is not a directory'],
    [{ nfs: { server: 's', path: '/' } }, 'persistent volume "pv" is of type nfs; this node offers local and hostPath'],
    [{ volumeMode: 'Block' }, 'persistent volume "pv" has volumeMode Block and cannot be mounted'],
    [onHost('n2'), 'node affinity of persistent volume "pv" does not match node "n1"'],
    [{ claimRef: { namespace: 'ns', name: 'data', uid: 'old' } }, 'is not bound to the claim that names it'],
    [{ mountOptions: ['ro'] }, 'mountOptions of persistent volume "pv" do not apply'],
  ])('refuses %j', async (spec, why) => {
    await bound(spec as Partial<VolumeSpec>);
    await expect(mounter.mount(pod('p1'), data)).rejects.toThrow(why);
    expect(await mounter.usersOf('pv')).toEqual([]);
  });

  test("refuses another pod's ephemeral claim, and claims that are not bound", async () => {
    const scratch: Volume = { name: 'scratch', ephemeral: {} };
    const claim = { metadata: { namespace: 'ns', name: 'web-scratch' }, spec: {} };
    await client.create(PersistentVolumeClaims, claim);
    await expect(mounter.mount(pod('p1'), scratch)).rejects.toThrow(
      'PVC ns/web-scratch was not created for pod ns/web (pod is not owner)',
    );
    await client.create(PersistentVolumeClaims, { metadata: { namespace: 'ns', name: 'data' }, spec: {} });
    await expect(mounter.mount(pod('p1'), data)).rejects.toThrow('error processing PVC ns/data: PVC is not bound');
  });
});

describe('a volume that is being deleted', () => {
  let informer: Informer<PersistentVolume>;
  let remover: LocalVolumeRemover;
  /** Called when the remover decides to try again later. */
  let waited: () => void = () => {};
  beforeEach(async () => {
    informer = new Informer({ client, clock, random: seededRandom(1), logger: silentLogger, type: PersistentVolumes });
    const parts = { client, logger: silentLogger, volumes: informer };
    remover = new LocalVolumeRemover({
      ...parts,
      clock: {
        now: () => clock.now(),
        after: (ms, fn) => {
          waited();
          return clock.after(ms, fn);
        },
      },
      isHere: (hostname) => hostname === 'n1',
      discard: (volume) => mounter.discard(volume),
    });
    remover.start();
    informer.start();
    await clock.advance(0);
  });
  afterEach(() => {
    remover.stop();
    informer.stop();
  });

  const finalizers = async () => (await client.get(PersistentVolumes, { name: 'pv' })).metadata.finalizers;
  const condemn = async (finalizers = ['trimtab.dev/local-volume']) => {
    const volume = await client.get(PersistentVolumes, { name: 'pv' });
    const metadata = { ...volume.metadata, finalizers, deletionTimestamp: '2026-01-01T00:00:00Z' };
    await client.update(PersistentVolumes, { ...volume, metadata });
  };
  /** Until the remover has let go of the volume; its steps are on the disk, not on the clock. */
  const released = () =>
    new Promise<void>((resolve) => {
      const subscription = client.watch(PersistentVolumes, { sendInitialEvents: true }).subscribe(({ object }) => {
        if ((object as PersistentVolume).metadata.finalizers?.length !== 0) return;
        queueMicrotask(() => subscription.unsubscribe());
        resolve();
      });
    });

  test('takes its directory along, and nothing that links in it lead to', async () => {
    const path = await bound();
    await mounter.mount(pod('p1'), data);
    await fs.mkdir(join(path, 'deep/er'), { recursive: true });
    await fs.writeFile(join(dir, 'outside'), '');
    await fs.symlink(dir, join(path, 'deep/link'));
    await endOf('p1');
    await condemn();
    await released();
    expect([await fs.readdir(volumesDir), (await fs.readdir(dir)).sort()]).toEqual([
      [],
      ['outside', 'pods', 'volumes'],
    ]);
    await expect(mounter.mount(pod('p2'), data)).rejects.toThrow('persistent volume "pv" is being deleted');
    expect(await fs.readdir(volumesDir)).toEqual([]);
  });

  test('stays while a pod of this node uses it or the API protects it', async () => {
    const path = await bound();
    await mounter.mount(pod('p1'), data);
    await condemn(['kubernetes.io/pv-protection', 'trimtab.dev/local-volume']);
    await clock.advance(60_000);
    expect(await finalizers()).toEqual(['kubernetes.io/pv-protection', 'trimtab.dev/local-volume']);
    const later = new Promise<string>((resolve) => {
      waited = () => resolve('later');
    });
    await condemn();
    expect(await Promise.race([later, released()])).toBe('later');
    expect(await finalizers()).toEqual(['trimtab.dev/local-volume']);
    expect(await facts(path)).toBe('777 0:0');
    await endOf('p1');
    const gone = released();
    await clock.advance(1_000);
    await gone;
    expect(await fs.readdir(volumesDir)).toEqual([]);
  });

  test.each([
    ['policy Retain', { persistentVolumeReclaimPolicy: 'Retain' }, {}],
    ['a path that is not ours', {}, { path: 'disk' }],
  ])('%s leaves the directory where it is', async (_, spec, { path }: { path?: string }) => {
    const kept = path ? join(dir, path) : join(volumesDir, 'ns_data_u1');
    await bound({ ...spec, local: { path: kept } });
    await fs.mkdir(kept, { recursive: true });
    await condemn();
    await released();
    expect((await fs.stat(kept)).isDirectory()).toBe(true);
  });

  test('is left to the node that has it', async () => {
    await bound(onHost('n2'));
    await condemn();
    await clock.advance(60_000);
    expect(await finalizers()).toEqual(['trimtab.dev/local-volume']);
  });
});
