import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  PersistentVolumes,
  Pods,
  StorageClasses,
} from '@trimtab/machinery';
import { describeReal, useRealCluster } from './real-cluster.js';

describeReal('[sig-storage] PersistentVolumes CSI Conformance', () => {
  const c = useRealCluster();
  const claim = (name: string, spec: object = {}) =>
    c.create(PersistentVolumeClaims, {
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
    });
  const using = (claimName: string, more: object = {}) => ({
    volumes: [{ name: 'v', persistentVolumeClaim: { claimName, ...more } }],
  });
  const mount = { volumeMounts: [{ name: 'v', mountPath: '/v' }] };
  const bound = (name: string) => c.until(PersistentVolumeClaims, name, (pvc) => pvc.status?.phase === 'Bound');
  const volume = (name: string, spec: object) =>
    c.create<PersistentVolume>(PersistentVolumes, {
      metadata: { name: `${c.ns}-${name}` },
      spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: c.ns, ...spec },
    });
  const phase = (name: string, wanted: string) =>
    c.until(PersistentVolumes, name, ({ status }) => status?.phase === wanted);
  const exists = (path: string) =>
    fs.stat(path).then(
      () => true,
      () => false,
    );

  // Conformance: CSI Conformance.
  test('should run through the lifecycle of a PV and a PVC [Conformance]', async () => {
    const pv = await volume('life', { hostPath: { path: '/tmp/data' }, persistentVolumeReclaimPolicy: 'Retain' });
    await claim('life', { storageClassName: c.ns });
    const name = pv.metadata.name!;
    expect((await bound('life')).spec?.volumeName).toBe(name);
    await phase(name, 'Bound');
    const labels = { metadata: { labels: { e2e: 'patched' } } };
    const patch = { type: 'merge', body: labels } as const;
    expect((await c.client.patch(PersistentVolumes, { name }, patch)).metadata.labels).toMatchObject({
      e2e: 'patched',
    });
    const key = { namespace: c.ns, name: 'life' };
    expect((await c.client.patch(PersistentVolumeClaims, key, patch)).metadata.labels).toMatchObject({
      e2e: 'patched',
    });
    await c.gone(PersistentVolumeClaims, 'life');
    await phase(name, 'Released');
    await c.gone(PersistentVolumes, name);
  });

  test('should apply changes to a pv/pvc status [Conformance]', async () => {
    const pv = await volume('status', { hostPath: { path: '/tmp/data' }, storageClassName: `${c.ns}-none` });
    await claim('status', { storageClassName: `${c.ns}-other` });
    const condition = { type: 'StatusPatched', status: 'True', reason: 'E2E', message: 'Set from e2e test' };
    const options = { subresource: 'status' };
    const patched = await c.client.patch(
      PersistentVolumeClaims,
      { namespace: c.ns, name: 'status' },
      { type: 'merge', body: { status: { conditions: [condition] } } },
      options,
    );
    expect(patched.status?.conditions).toEqual([expect.objectContaining(condition)]);
    const body = { status: { message: 'StatusPatched', reason: 'E2E patchStatus' } };
    const status = (
      await c.client.patch(PersistentVolumes, { name: pv.metadata.name! }, { type: 'merge', body }, options)
    ).status;
    expect(status).toMatchObject(body.status);
    await c.gone(PersistentVolumes, pv.metadata.name!);
  });

  test('a claim of the default class is made where its first pod goes, outlives pods, and takes its data along', async () => {
    await claim('data');
    await c.event('data', 'WaitForFirstConsumer');
    await c.pod('writer', 'echo kept > /v/file; stat -c %A /v', mount, using('data'));
    expect(await c.output('writer')).toBe('drwxrwxrwx\n');
    const pvc = await bound('data');
    expect(pvc.status).toMatchObject({ accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } });
    const pv = await c.client.get(PersistentVolumes, { name: pvc.spec!.volumeName! });
    expect(pv.spec).toMatchObject({ persistentVolumeReclaimPolicy: 'Delete', storageClassName: 'local' });
    await c.gone(Pods, 'writer');
    await c.pod('reader', '(echo x > /v/new) 2>&1; cat /v/file', mount, using('data', { readOnly: true }));
    expect(await c.output('reader')).toBe("sh: can't create /v/new: Read-only file system\nkept\n");
    expect(await exists(pv.spec!.local!.path)).toBe(true);
    await c.gone(Pods, 'reader');
    await c.gone(PersistentVolumeClaims, 'data');
    await c.absent(PersistentVolumes, pv.metadata.name!);
    expect(await exists(pv.spec!.local!.path)).toBe(false);
  });

  test('a claim in use is not deleted before its last pod is gone', async () => {
    await claim('data');
    await c.pod('p', 'sleep 1000', mount, using('data'));
    await c.running('p');
    await c.client.delete(PersistentVolumeClaims, { namespace: c.ns, name: 'data' });
    const pvc = await c.until(
      PersistentVolumeClaims,
      'data',
      ({ metadata }) => metadata.deletionTimestamp !== undefined,
    );
    expect(pvc.metadata.finalizers).toContain('kubernetes.io/pvc-protection');
    expect((await c.exec('p', ['touch', '/v/still'])).code).toBe(0);
    await c.gone(Pods, 'p');
    await c.absent(PersistentVolumes, pvc.spec!.volumeName!);
  });

  test('retained data stays when claim and volume have gone', async () => {
    await c.create(StorageClasses, {
      metadata: { name: `${c.ns}-retain` },
      provisioner: 'trimtab.dev/local',
      reclaimPolicy: 'Retain',
      volumeBindingMode: 'Immediate',
      allowVolumeExpansion: true,
    });
    await claim('data', { storageClassName: `${c.ns}-retain` });
    const name = (await bound('data')).spec!.volumeName!;
    await c.pod('p', 'echo precious > /v/file', mount, using('data'));
    await c.output('p');
    await c.gone(Pods, 'p');
    const path = (await c.client.get(PersistentVolumes, { name })).spec!.local!.path;
    await c.gone(PersistentVolumeClaims, 'data');
    await phase(name, 'Released');
    await c.gone(PersistentVolumes, name);
    expect(await fs.readFile(join(path, 'file'), 'utf8')).toBe('precious\n');
  });

  test('a claim grows while its pod runs', async () => {
    await claim('data');
    await c.pod('p', 'sleep 1000', mount, using('data'));
    await c.running('p');
    const body = { spec: { resources: { requests: { storage: '2Gi' } } } };
    await c.client.patch(PersistentVolumeClaims, { namespace: c.ns, name: 'data' }, { type: 'merge', body });
    const grown = await c.until<PersistentVolumeClaim>(
      PersistentVolumeClaims,
      'data',
      ({ status }) => String(status?.capacity?.storage) === '2Gi',
    );
    expect(grown.status?.conditions ?? []).toEqual([]);
    await c.event('data', 'VolumeResizeSuccessful');
    await c.gone(Pods, 'p');
  });

  test('ReadWriteOncePod lets one pod in at a time', async () => {
    await claim('single', { accessModes: ['ReadWriteOncePod'] });
    await c.pod('first', 'sleep 1000', mount, using('single'));
    await c.running('first');
    await c.pod('second', 'true', mount, using('single'));
    const { message } = await c.event('second', 'FailedScheduling');
    expect(message).toContain('ReadWriteOncePod');
    await c.gone(Pods, 'first');
    await c.output('second');
  });

  test('a generic ephemeral volume comes and goes with its pod', async () => {
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Mi' } } };
    const ephemeral = { volumeClaimTemplate: { metadata: { labels: { app: 'x' } }, spec } };
    await c.pod('p', 'echo x > /v/file; sleep 1000', mount, { volumes: [{ name: 'v', ephemeral }] });
    await c.running('p');
    const pvc = await bound('p-v');
    expect(pvc.metadata).toMatchObject({ labels: { app: 'x' }, ownerReferences: [{ kind: 'Pod', name: 'p' }] });
    await c.gone(Pods, 'p');
    await c.absent(PersistentVolumes, pvc.spec!.volumeName!);
  });

  test('static volumes, local and hostPath, are used where their affinity lets them', async () => {
    const path = join(c.directory, 'scratch', c.ns);
    await fs.mkdir(path, { recursive: true });
    await fs.writeFile(join(path, 'file'), 'static');
    const affinity = (host: string) => ({
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [host] }] },
          ],
        },
      },
    });
    await volume('local', { local: { path }, ...affinity('node-a'), storageClassName: `${c.ns}-a` });
    await volume('host', { hostPath: { path, type: 'Directory' }, storageClassName: `${c.ns}-b` });
    await volume('away', { local: { path }, ...affinity('node-z'), storageClassName: `${c.ns}-c` });
    for (const [name, cls] of [
      ['local', 'a'],
      ['host', 'b'],
      ['away', 'c'],
    ] as const) {
      await claim(name, { storageClassName: `${c.ns}-${cls}` });
      await c.pod(name, 'cat /v/file', mount, using(name));
    }
    expect([await c.output('local'), await c.output('host')]).toEqual(['static', 'static']);
    await c.event('away', 'FailedScheduling', /node affinity/);
    for (const name of ['local', 'host', 'away']) {
      await c.gone(Pods, name);
      await c.gone(PersistentVolumeClaims, name);
      await c.gone(PersistentVolumes, `${c.ns}-${name}`);
    }
    // Nobody removes what nobody here has made.
    expect(await fs.readFile(join(path, 'file'), 'utf8')).toBe('static');
  });

  test('what a local directory cannot be is refused with the reason', async () => {
    await claim('block', { volumeMode: 'Block' });
    await c.pod('p', 'true', {}, using('block'));
    expect((await c.event('block', 'ProvisioningFailed')).message).toContain(
      'volumeMode Block is not supported: a local volume is a directory',
    );
    const nfs = { nfs: { server: '10.0.0.1', path: '/' } };
    const pv = await volume('nfs', nfs);
    await claim('nfs', { storageClassName: c.ns });
    await c.pod('q', 'true', mount, using('nfs'));
    expect((await c.event('q', 'FailedMount')).message).toContain(
      `persistent volume "${pv.metadata.name}" is of type nfs; this node offers local and hostPath`,
    );
    await c.gone(Pods, 'q');
    await c.gone(PersistentVolumeClaims, 'nfs');
    await c.gone(PersistentVolumes, pv.metadata.name!);
  });
});
