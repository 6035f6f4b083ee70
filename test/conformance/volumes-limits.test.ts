import { type PodSpec, Pods } from '@trimtab/machinery';
import { describeReal, useRealCluster } from './real-cluster.js';

/** One for the whole file. */
const c = useRealCluster();

/** Local storage that outgrows its limit; kinds of volumes that this node has not. */
describeReal('[sig-node] LocalStorageCapacityIsolation', () => {
  const fill = 'dd if=/dev/zero of=$FILE bs=1M count=12 2>/dev/null; sleep 1000';
  const storage = { limits: { 'ephemeral-storage': '10Mi' } };

  test.each<[string, string, object, Partial<PodSpec>, string]>([
    [
      'an emptyDir',
      '/v/file',
      {},
      { volumes: [{ name: 'v', emptyDir: { sizeLimit: '10Mi' } }] },
      'Usage of EmptyDir volume "v" exceeds the limit "10Mi". ',
    ],
    [
      'a container',
      '/file',
      { resources: storage },
      {},
      'Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ',
    ],
  ])('%s beyond its limit has the pod evicted', async (_what, file, container, spec, message) => {
    const volumeMounts = (spec.volumes ?? []).map(({ name }) => ({ name, mountPath: `/${name}` }));
    await c.pod('p', fill, { env: [{ name: 'FILE', value: file }], volumeMounts, ...container }, spec);
    const { status } = await c.until(Pods, 'p', (pod) => pod.status?.phase === 'Failed');
    expect(status).toMatchObject({ reason: 'Evicted', message });
    expect(status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', status: 'True', reason: 'TerminationByKubelet' }),
    );
    expect((await c.event('p', 'Evicted')).message).toBe(message);
  });

  test('within its limit it is left alone, and what is full says so', async () => {
    const volumes = [{ name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '10Mi' } }];
    const container = { env: [{ name: 'FILE', value: '/v/file' }], volumeMounts: [{ name: 'v', mountPath: '/v' }] };
    await c.pod('p', `${fill.replace('; sleep 1000', '')}; stat -c %s /v/file`, container, { volumes });
    expect(await c.output('p')).toBe(`${10 << 20}\n`);
  });
});

describeReal('volumes that this node does not have', () => {
  test.each([
    ['nfs', { nfs: { server: '10.0.0.1', path: '/' } }],
    ['iscsi', { iscsi: { targetPortal: '10.0.0.1:3260', iqn: 'iqn.2001-04.com.example:x', lun: 0 } }],
    ['fc', { fc: { targetWWNs: ['500a0982991b8dc5'], lun: 0 } }],
    ['csi', { csi: { driver: 'example.com' } }],
  ])('%s is refused by name, with what there is instead', async (kind, source) => {
    await c.pod('p', 'true', {}, { volumes: [{ name: 'v', ...source } as never] });
    expect((await c.event('p', 'FailedMount')).message).toBe(
      `MountVolume.SetUp failed for volume "v" : volumes of type ${kind} are not supported by this node; it offers emptyDir, hostPath, persistentVolumeClaim, ephemeral, image, configMap, secret, downwardAPI and projected`,
    );
  });

  test('huge pages where none are set aside', async () => {
    const volumes = [{ name: 'v', emptyDir: { medium: 'HugePages-2Mi' } }];
    const resources = { limits: { 'hugepages-2Mi': '2Mi', cpu: '1', memory: '32Mi' } };
    const pod = c.pod('p', 'true', { resources, volumeMounts: [{ name: 'v', mountPath: '/v' }] }, { volumes });
    await pod;
    // The scheduler knows it first: no node has any.
    expect((await c.event('p', 'FailedScheduling')).message).toContain('Insufficient hugepages-2Mi');
  });
});
