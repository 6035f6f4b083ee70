import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigMaps, PersistentVolumeClaims, Pods, Secrets, type Volume } from '@trimtab/machinery';
import { describeReal, useRealCluster } from './real-cluster.js';

/** What volumes leave behind: nothing, however pods and kubelets end. */
describeReal('volumes over the life of pods and kubelets', () => {
  const c = useRealCluster();
  const MOUNTS = ['disk', 'memory', 'config', 'secret', 'all', 'claim', 'image', 'host'];

  /** A pod with a volume of every kind. */
  async function everything(name: string): Promise<string> {
    const scratch = join(c.directory, 'scratch', c.ns);
    for (const layer of ['upper', 'lower']) await fs.mkdir(join(scratch, layer), { recursive: true });
    c.images.set('registry.example/two:1', [join(scratch, 'upper'), join(scratch, 'lower')]);
    await c.create(ConfigMaps, { metadata: { name: `${name}-config` }, data: { k: 'old' } });
    await c.create(Secrets, { metadata: { name: `${name}-secret` }, stringData: { k: 'old' } });
    await c.create(PersistentVolumeClaims, {
      metadata: { name: `${name}-claim` },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    });
    const volumes: Volume[] = [
      { name: 'disk', emptyDir: {} },
      { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      { name: 'config', configMap: { name: `${name}-config` } },
      { name: 'secret', secret: { secretName: `${name}-secret` } },
      { name: 'all', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
      { name: 'claim', persistentVolumeClaim: { claimName: `${name}-claim` } },
      { name: 'image', image: { reference: 'registry.example/two:1' } },
      { name: 'host', hostPath: { path: scratch } },
    ];
    const volumeMounts = MOUNTS.map((mount) => ({ name: mount, mountPath: `/${mount}` }));
    await c.pod(
      name,
      'for v in disk memory claim host; do echo mine > /$v/file; done; echo written; sleep 1000',
      { volumeMounts },
      { volumes },
    );
    const { metadata } = await c.running(name);
    await c.said(name, 'written');
    return metadata.uid!;
  }

  /** Directories and mounts that bear a pod's UID. */
  async function left(uid: string): Promise<readonly string[]> {
    const memory = join('/dev/shm', c.directory.replaceAll('/', '_'));
    const found: string[] = [];
    for (const directory of [join(c.directory, 'root/pods'), memory])
      for (const name of await fs.readdir(directory)) if (name === uid) found.push(join(directory, name));
    const mounts = await fs.readFile('/proc/self/mountinfo', 'utf8');
    return [...found, ...mounts.split('\n').filter((line) => line.includes(uid))];
  }

  const inside = (name: string, script: string) => c.exec(name, ['sh', '-c', script]);

  test('a pod that is gone leaves neither mount nor directory, only what was never its own', async () => {
    const uid = await everything('p');
    expect((await left(uid)).length).toBeGreaterThan(3);
    await c.gone(Pods, 'p');
    expect(await left(uid)).toEqual([]);
    expect(await fs.readFile(join(c.directory, 'scratch', c.ns, 'file'), 'utf8')).toBe('mine\n');
  });

  test('another kubelet finds volumes as they are, and what they show goes on changing', async () => {
    const uid = await everything('p');
    const listing = `for v in ${MOUNTS.join(' ')}; do stat -c '%n %A %u %g %d:%i' /$v; done; cat /disk/file /memory/file /claim/file`;
    const before = await inside('p', listing);
    await c.restartKubelet();
    expect(await inside('p', listing)).toEqual(before);
    const key = (name: string) => ({ namespace: c.ns, name });
    await c.client.patch(ConfigMaps, key('p-config'), { type: 'merge', body: { data: { k: 'new' } } });
    await c.client.patch(Secrets, key('p-secret'), { type: 'merge', body: { stringData: { k: 'new' } } });
    const seen = await inside(
      'p',
      'n=0; until grep -q new /config/k && grep -q new /secret/k; do n=$((n+1)); [ $n -gt 4000 ] && exit 1; sleep 0.025; done',
    );
    expect(seen.code).toBe(0);
    await c.gone(Pods, 'p');
    expect(await left(uid)).toEqual([]);
  });

  test('a pod deleted while no kubelet was there is cleaned up by the next', async () => {
    const uid = await everything('p');
    await c.restartKubelet(async () => {
      await c.client.delete(Pods, { namespace: c.ns, name: 'p' }, { gracePeriodSeconds: 0 });
      await c.absent(Pods, 'p');
    });
    expect(await left(uid)).toEqual([]);
  });

  test('what is left of a pod that nobody knows is unmounted and removed', async () => {
    const uid = await everything('p');
    const lost = '00000000-0000-4000-8000-000000000000';
    const memory = join('/dev/shm', c.directory.replaceAll('/', '_'));
    await c.restartKubelet(async () => {
      const directory = join(memory, lost, 'v');
      await fs.mkdir(directory, { recursive: true });
      await c.pods.runtime.volumeMounts!.mount(directory, 'tmpfs', ['size=4096']);
      expect((await left(lost)).length).toBe(2);
    });
    expect(await left(lost)).toEqual([]);
    expect((await inside('p', 'cat /memory/file')).text).toBe('mine\n');
    await c.gone(Pods, 'p');
    expect(await left(uid)).toEqual([]);
  });
});
