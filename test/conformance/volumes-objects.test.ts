import {
  ConfigMaps,
  type Container,
  type PodSpec,
  Pods,
  Secrets,
  type Volume,
  type VolumeProjection,
} from '@trimtab/machinery';
import { describeReal, IMAGE, type RealCluster, useRealCluster } from './real-cluster.js';

/** One for the whole file. */
const c = useRealCluster();

/** ConfigMap, Secret and Projected volumes. Titles are those of the conformance suite. */

const DATA = { 'data-1': 'value-1', 'data-2': 'value-2', 'data-3': 'value-3' };
const NON_ROOT = 1000;
const MOUNT = '/etc/volume';

/** A kind of object, and how a volume shows it. */
interface Shown {
  readonly title: string;
  readonly object: 'ConfigMap' | 'Secret';
  volume(name: string, source: Source): Volume;
}

interface Source {
  readonly of: string;
  readonly items?: readonly { readonly key: string; readonly path: string; readonly mode?: number }[];
  readonly defaultMode?: number;
  readonly optional?: boolean;
}

const shown: readonly Shown[] = [
  {
    title: 'ConfigMap',
    object: 'ConfigMap',
    volume: (name, { of, ...rest }) => ({ name, configMap: { name: of, ...rest } }) as Volume,
  },
  {
    title: 'Secrets',
    object: 'Secret',
    volume: (name, { of, ...rest }) => ({ name, secret: { secretName: of, ...rest } }) as Volume,
  },
  {
    title: 'Projected configMap',
    object: 'ConfigMap',
    volume: (name, { defaultMode, of, ...rest }) =>
      projected(name, [{ configMap: { name: of, ...rest } }], defaultMode),
  },
  {
    title: 'Projected secret',
    object: 'Secret',
    volume: (name, { defaultMode, of, ...rest }) => projected(name, [{ secret: { name: of, ...rest } }], defaultMode),
  },
];

function projected(name: string, sources: readonly object[], defaultMode?: number): Volume {
  return {
    name,
    projected: {
      sources: sources as readonly VolumeProjection[],
      ...(defaultMode === undefined ? {} : { defaultMode }),
    },
  };
}

const object = (c: RealCluster, kind: Shown['object'], name: string, data: Record<string, string>, more = {}) =>
  kind === 'ConfigMap'
    ? c.create(ConfigMaps, { metadata: { name }, data, ...more })
    : c.create(Secrets, { metadata: { name }, stringData: data, ...more });

const change = (c: RealCluster, kind: Shown['object'], name: string, data: Record<string, string | null>) => {
  const key = { namespace: c.ns, name };
  return kind === 'ConfigMap'
    ? c.client.patch(ConfigMaps, key, { type: 'merge', body: { data } })
    : c.client.patch(Secrets, key, { type: 'merge', body: { stringData: data } });
};

/** Waits within the pod; its own clock ends what never comes. */
const until = (condition: string): string =>
  `n=0; until ${condition}; do n=$((n+1)); [ $n -gt 8000 ] && { echo never: '${condition.replaceAll("'", '')}'; exit 1; }; sleep 0.025; done`;

for (const { title, object: kind, volume } of shown)
  describeReal(`[sig-storage] ${title}`, () => {
    const projects = title.startsWith('Projected');
    const consumable = `should be consumable from pods in volume`;

    /** What a script prints in a pod that mounts such a volume of `DATA`. */
    async function consumed(
      script: string,
      source: Partial<Source> = {},
      spec: Partial<PodSpec> = {},
    ): Promise<string> {
      await object(c, kind, 'it', DATA);
      const mount: Partial<Container> = { volumeMounts: [{ name: 'v', mountPath: MOUNT }] };
      await c.pod('p', `cd ${MOUNT}; ${script}`, mount, { volumes: [volume('v', { of: 'it', ...source })], ...spec });
      return c.output('p');
    }
    const file = (path: string): string => `stat -Lc '%A %u %g' ${path}; cat ${path}`;
    const mapping = { key: 'data-2', path: 'path/to/data-2' };
    const nonRoot = { securityContext: { runAsUser: NON_ROOT } };

    test(`${consumable} [NodeConformance] [Conformance]`, async () => {
      expect(await consumed(`ls; ${file('data-1')}`)).toBe('data-1\ndata-2\ndata-3\n-rw-r--r-- 0 0\nvalue-1');
    });

    test(`${consumable} with defaultMode set [LinuxOnly] [NodeConformance] [Conformance]`, async () => {
      expect(await consumed(file('data-1'), { defaultMode: 0o400 })).toBe('-r-------- 0 0\nvalue-1');
    });

    if (kind === 'ConfigMap') {
      test(`${consumable} as non-root [NodeConformance] [Conformance]`, async () => {
        expect(await consumed(`id -u; ${file('data-1')}`, {}, nonRoot)).toBe(`${NON_ROOT}\n-rw-r--r-- 0 0\nvalue-1`);
      });
      test(`${consumable} with mappings as non-root [NodeConformance] [Conformance]`, async () => {
        const text = await consumed(`ls; ${file('path/to/data-2')}`, { items: [mapping] }, nonRoot);
        expect(text).toBe('path\n-rw-r--r-- 0 0\nvalue-2');
      });
    } else {
      test(`${consumable} as non-root with defaultMode and fsGroup set [LinuxOnly] [NodeConformance] [Conformance]`, async () => {
        const securityContext = { runAsUser: NON_ROOT, fsGroup: 1001 };
        const text = await consumed(
          `${file('data-1')}; stat -c '%A %u %g' . ..data ..data/ data-1`,
          { defaultMode: 0o440 },
          { securityContext },
        );
        expect(text).toBe(
          '-r--r----- 0 1001\nvalue-1drwxrwsrwt 0 1001\nlrwxrwxrwx 0 1001\ndrwxr-sr-x 0 1001\nlrwxrwxrwx 0 1001\n',
        );
      });
    }

    test(`${consumable} with mappings [NodeConformance] [Conformance]`, async () => {
      expect(await consumed(`ls; ${file('path/to/data-2')}`, { items: [mapping] })).toBe(
        'path\n-rw-r--r-- 0 0\nvalue-2',
      );
    });

    test(`${consumable} with mappings and Item ${kind === 'Secret' ? 'Mode' : 'mode'} set [LinuxOnly] [NodeConformance] [Conformance]`, async () => {
      const items = [{ ...mapping, mode: 0o400 }];
      expect(await consumed(file('path/to/data-2'), { items })).toBe('-r-------- 0 0\nvalue-2');
    });

    test(`should be consumable in multiple volumes in ${kind === 'Secret' ? 'a' : 'the same'} pod [NodeConformance] [Conformance]`, async () => {
      await object(c, kind, 'it', DATA);
      const volumes = [volume('v', { of: 'it' }), volume('w', { of: 'it' })];
      const volumeMounts = [
        { name: 'v', mountPath: MOUNT },
        { name: 'w', mountPath: `${MOUNT}-2` },
      ];
      await c.pod('p', `cat ${MOUNT}/data-1 ${MOUNT}-2/data-1`, { volumeMounts }, { volumes });
      expect(await c.output('p')).toBe('value-1value-1');
    });

    if (kind === 'ConfigMap')
      test('updates should be reflected in volume [NodeConformance] [Conformance]', async () => {
        await object(c, kind, 'it', { 'data-1': 'value-1' });
        const mount = { volumeMounts: [{ name: 'v', mountPath: MOUNT }] };
        const script = `cat ${MOUNT}/data-1; echo; ${until(`grep -q value-2 ${MOUNT}/data-1`)}; cat ${MOUNT}/data-1`;
        await c.pod('p', script, mount, { volumes: [volume('v', { of: 'it' })] });
        await c.said('p', 'value-1\n');
        await change(c, kind, 'it', { 'data-1': 'value-2' });
        expect(await c.output('p')).toBe('value-1\nvalue-2');
      });

    test('optional updates should be reflected in volume [NodeConformance] [Conformance]', async () => {
      await object(c, kind, 'going', DATA);
      await object(c, kind, 'changing', { 'data-1': 'value-1' });
      const names = ['going', 'changing', 'coming'];
      const volumes = names.map((name) => volume(name, { of: name, optional: true }));
      const volumeMounts = names.map((name) => ({ name, mountPath: `/etc/${name}` }));
      const script = [
        'ls /etc/going /etc/changing /etc/coming',
        until('[ ! -e /etc/going/data-1 ]'),
        until('[ "$(cat /etc/changing/data-3 2>/dev/null)" = value-3 ]'),
        '[ ! -e /etc/changing/data-1 ] || echo kept',
        until('[ "$(cat /etc/coming/data-1 2>/dev/null)" = value-1 ]'),
        'ls /etc/going /etc/changing /etc/coming',
      ];
      await c.pod('p', script.join('\n'), { volumeMounts }, { volumes });
      await c.said('p', '/etc/going:\ndata-1\ndata-2\ndata-3\n');
      await c.gone(kind === 'ConfigMap' ? ConfigMaps : Secrets, 'going');
      if (kind === 'Secret')
        await c.gone(Secrets, 'changing').then(() => object(c, kind, 'changing', { 'data-3': 'value-3' }));
      else await change(c, kind, 'changing', { 'data-1': null, 'data-3': 'value-3' });
      await object(c, kind, 'coming', { 'data-1': 'value-1' });
      expect(await c.output('p')).toBe(
        '/etc/changing:\ndata-1\n\n/etc/coming:\n\n/etc/going:\ndata-1\ndata-2\ndata-3\n' +
          '/etc/changing:\ndata-3\n\n/etc/coming:\ndata-1\n\n/etc/going:\n',
      );
    });

    if (!projects)
      test('should be immutable if `immutable` field is set [Conformance]', async () => {
        await object(c, kind, 'it', { 'data-1': 'value-1' });
        await change(c, kind, 'it', { 'data-2': 'value-2' });
        const type = kind === 'ConfigMap' ? ConfigMaps : Secrets;
        const key = { namespace: c.ns, name: 'it' };
        const patch = (body: object) => c.client.patch(type, key, { type: 'merge', body });
        await patch({ immutable: true });
        await expect(change(c, kind, 'it', { 'data-1': 'value-2' })).rejects.toThrow(/immutable/);
        await expect(patch({ immutable: false })).rejects.toThrow(/immutable/);
        await patch({ metadata: { labels: { still: 'changes' } } });
        await c.pod(
          'p',
          `cat ${MOUNT}/data-1`,
          { volumeMounts: [{ name: 'v', mountPath: MOUNT }] },
          { volumes: [volume('v', { of: 'it' })] },
        );
        expect(await c.output('p')).toBe('value-1');
        await c.client.delete(type, key);
      });

    // Not of the conformance suite: what the kubelet promises beside it.
    test('a missing object, and a missing key, keep the pod waiting, with an event, until they are there', async () => {
      const word = kind === 'ConfigMap' ? 'configmap' : 'secret';
      const mount = { volumeMounts: [{ name: 'v', mountPath: MOUNT }] };
      await c.pod('p', `cat ${MOUNT}/x`, mount, {
        volumes: [volume('v', { of: 'it', items: [{ key: 'k', path: 'x' }] })],
      });
      const missing = await c.event('p', 'FailedMount', /not found/);
      expect(missing.message).toBe(`MountVolume.SetUp failed for volume "v" : ${word} "it" not found`);
      await object(c, kind, 'it', { other: '' });
      await c.event('p', 'FailedMount', /references non-existent (config|secret) key: k$/);
      await change(c, kind, 'it', { k: 'here' });
      expect(await c.output('p')).toBe('here');
    });
  });

describeReal('[sig-storage] ConfigMap', () => {
  test('binary data should be reflected in volume [NodeConformance] [Conformance]', async () => {
    await c.create(ConfigMaps, {
      metadata: { name: 'it' },
      data: { 'data-1': 'value-1' },
      binaryData: { 'dump.bin': Buffer.from([0xde, 0xca, 0xfe, 0xba, 0xd0, 0xfe, 0xff]).toString('base64') },
    });
    const script = `cat ${MOUNT}/data-1; echo; hexdump -ve '1/1 "%02x"' ${MOUNT}/dump.bin`;
    const volumes = [{ name: 'v', configMap: { name: 'it' } }];
    await c.pod('p', script, { volumeMounts: [{ name: 'v', mountPath: MOUNT }] }, { volumes });
    expect(await c.output('p')).toBe('value-1\ndecafebad0feff');
  });
});

describeReal('[sig-storage] Secrets', () => {
  test('should be able to mount in a volume regardless of a different secret existing with same name in different namespace [NodeConformance] [Conformance]', async () => {
    await c.client.create(Secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: 'default', name: 'it' },
      data: { 'data-1': Buffer.from('another').toString('base64') },
    });
    await object(c, 'Secret', 'it', DATA);
    const volumes = [{ name: 'v', secret: { secretName: 'it' } }];
    const mount = { volumeMounts: [{ name: 'v', mountPath: MOUNT }] };
    await c.pod('p', `stat -f -c %T ${MOUNT}; cat ${MOUNT}/data-1`, mount, { volumes });
    // Never on a disk.
    expect(await c.output('p')).toBe('tmpfs\nvalue-1');
  });
});

describeReal('[sig-storage] Projected combined', () => {
  test('should project all components that make up the projection API [Projection] [NodeConformance] [Conformance]', async () => {
    await object(c, 'ConfigMap', 'config', { 'configmap-data': 'config' });
    await object(c, 'Secret', 'secret', { 'secret-data': 'secret' });
    const sources = [
      { downwardAPI: { items: [{ path: 'podname', fieldRef: { fieldPath: 'metadata.name' } }] } },
      { configMap: { name: 'config', items: [{ key: 'configmap-data', path: 'a/c' }] } },
      { secret: { name: 'secret', items: [{ key: 'secret-data', path: 'a/s', mode: 0o400 }] } },
      { serviceAccountToken: { path: 'token', expirationSeconds: 3600 } },
    ];
    const script = `cd ${MOUNT}; cat podname a/c a/s; echo; grep -c '^ey.*\\..*\\.' token; stat -Lc %a a/s podname token`;
    const mount = { volumeMounts: [{ name: 'v', mountPath: MOUNT }] };
    await c.pod('p', script, mount, { volumes: [projected('v', sources)] });
    expect(await c.output('p')).toBe('pconfigsecret\n1\n400\n644\n644\n');
  });
});

describeReal('[sig-storage] EmptyDir wrapper volumes', () => {
  test('should not conflict [Conformance]', async () => {
    await object(c, 'ConfigMap', 'config', { a: '1' });
    await object(c, 'Secret', 'secret', { a: '2' });
    const volumes = [
      { name: 'secret', secret: { secretName: 'secret' } },
      { name: 'config', configMap: { name: 'config' } },
    ];
    const volumeMounts = [
      { name: 'secret', mountPath: '/etc/secret', readOnly: true },
      { name: 'config', mountPath: '/etc/config' },
    ];
    await c.pod('p', 'cat /etc/secret/a /etc/config/a', { volumeMounts }, { volumes });
    expect(await c.output('p')).toBe('21');
  });

  test('should not cause race condition when used for configmaps [Serial] [Conformance]', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `racey-${i}`);
    await Promise.all(names.map((name) => object(c, 'ConfigMap', name, { 'data-1': 'value-1' })));
    const volumes = names.map((name) => ({
      name,
      configMap: { name, items: [{ key: 'data-1', path: 'data-1' }] },
    }));
    const volumeMounts = names.map((name) => ({ name, mountPath: `/etc/${name}` }));
    for (let round = 0; round < 3; round++) {
      const pods = Array.from({ length: 5 }, (_, i) => `racer-${round}-${i}`);
      for (const name of pods)
        await c.pod(name, 'cat /etc/racey-*/data-1 | wc -c; sleep 1000', { volumeMounts }, { volumes });
      await Promise.all(pods.map((name) => c.running(name)));
      for (const name of pods) {
        await c.exec(name, ['true']);
        expect(await c.exec(name, ['sh', '-c', 'cat /etc/racey-*/data-1 | wc -c'])).toEqual({ text: '350\n', code: 0 });
      }
      await Promise.all(pods.map((name) => c.gone(Pods, name, 0)));
    }
  });
});

describeReal('[sig-storage] Subpath Atomic writer volumes', () => {
  /** A file of the volume as a sub path: there, whole, and not to be changed from inside. */
  async function atomic(volume: Volume, subPath: string, content: string, mountPath = '/test-volume'): Promise<void> {
    const volumeMounts = [{ name: volume.name, mountPath, subPath }];
    const script = `cat ${mountPath}; echo; (echo x > ${mountPath}) 2>&1`;
    await c.pod('p', `${script} || true`, { volumeMounts }, { volumes: [volume] });
    expect(await c.output('p')).toBe(`${content}\nsh: can't create ${mountPath}: Read-only file system\n`);
  }

  test('should support subpaths with secret pod [Conformance]', async () => {
    await object(c, 'Secret', 'my-secret', { 'secret-key': 'secret-value' });
    await atomic({ name: 'v', secret: { secretName: 'my-secret' } }, 'secret-key', 'secret-value');
  });

  test('should support subpaths with configmap pod [Conformance]', async () => {
    await object(c, 'ConfigMap', 'my-configmap', { 'configmap-key': 'configmap-value' });
    await atomic({ name: 'v', configMap: { name: 'my-configmap' } }, 'configmap-key', 'configmap-value');
  });

  test('should support subpaths with configmap pod with mountPath of existing file [Conformance]', async () => {
    await object(c, 'ConfigMap', 'my-configmap', { 'configmap-key': 'configmap-value' });
    await atomic({ name: 'v', configMap: { name: 'my-configmap' } }, 'configmap-key', 'configmap-value', '/etc/passwd');
  });

  test('should support subpaths with downward pod [Conformance]', async () => {
    const items = [{ path: 'downward/podname', fieldRef: { fieldPath: 'metadata.name' } }];
    await atomic({ name: 'v', downwardAPI: { items } }, 'downward/podname', 'p');
  });

  test('should support subpaths with projected pod [Conformance]', async () => {
    const items = [{ path: 'projected/podname', fieldRef: { fieldPath: 'metadata.name' } }];
    await atomic(projected('v', [{ downwardAPI: { items } }]), 'projected/podname', 'p');
  });

  test('an update does not reach what was mounted by sub path, and a restart brings it', async () => {
    await object(c, 'ConfigMap', 'it', { k: 'old' });
    const volumeMounts = [
      { name: 'v', mountPath: '/sub', subPath: 'k' },
      { name: 'v', mountPath: '/whole' },
    ];
    const script = `[ "$(cat /sub)" = new ] && { echo after: new; sleep 1000; }; ${until('[ "$(cat /whole/k)" = new ]')}; cat /sub; exit 1`;
    await c.create(Pods, {
      metadata: { name: 'p' },
      spec: {
        restartPolicy: 'OnFailure',
        terminationGracePeriodSeconds: 1,
        volumes: [{ name: 'v', configMap: { name: 'it' } }],
        containers: [{ name: 'main', image: IMAGE, volumeMounts, command: ['sh', '-c', script] }],
      },
    });
    await c.running('p');
    await change(c, 'ConfigMap', 'it', { k: 'new' });
    const again = await c.until(Pods, 'p', ({ status }) => {
      const [main] = status?.containerStatuses ?? [];
      return main?.restartCount === 1 && main.state?.running !== undefined;
    });
    expect(again.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).toBe(1);
    expect(await c.logs('p', 'main', true)).toBe('old');
    await c.exec('p', ['sh', '-c', 'until grep -q new /sub; do sleep 0.01; done']);
  });
});
