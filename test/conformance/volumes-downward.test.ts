import { type Container, type DownwardAPIVolumeFile, Nodes, Pods, type Volume } from '@trimtab/machinery';
import { describeReal, IMAGE, useRealCluster } from './real-cluster.js';

/** Downward API volumes, plain and projected. Titles are those of the conformance suite. */
describe.each<[string, (items: readonly DownwardAPIVolumeFile[], defaultMode?: number) => Volume]>([
  ['Downward API volume', (items, mode) => ({ name: 'podinfo', downwardAPI: { items, ...modeOf(mode) } })],
  [
    'Projected downwardAPI',
    (items, mode) => ({ name: 'podinfo', projected: { sources: [{ downwardAPI: { items } }], ...modeOf(mode) } }),
  ],
])('[sig-storage] %s', (_title, volumeOf) => {
  describeReal('should', () => {
    const c = useRealCluster();
    const MOUNT = '/etc/podinfo';
    const resources = { requests: { cpu: '250m', memory: '32Mi' }, limits: { cpu: '1250m', memory: '64Mi' } };
    const podname = { path: 'podname', fieldRef: { fieldPath: 'metadata.name' } };

    async function pod(
      script: string,
      items: readonly DownwardAPIVolumeFile[],
      more: { readonly container?: Partial<Container>; readonly mode?: number; readonly metadata?: object } = {},
    ): Promise<void> {
      const volumeMounts = [{ name: 'podinfo', mountPath: MOUNT }];
      const main = { name: 'main', image: IMAGE, command: ['sh', '-c', script], volumeMounts, ...more.container };
      await c.create(Pods, {
        metadata: { name: 'p', ...more.metadata },
        spec: { restartPolicy: 'Never', containers: [main], volumes: [volumeOf(items, more.mode)] },
      });
    }

    test('provide podname only [NodeConformance] [Conformance]', async () => {
      await pod(`ls ${MOUNT}; cat ${MOUNT}/podname`, [podname]);
      expect(await c.output('p')).toBe('podname\np');
    });

    test('set DefaultMode on files [LinuxOnly] [NodeConformance] [Conformance]', async () => {
      await pod(`stat -Lc %A ${MOUNT}/podname`, [podname], { mode: 0o400 });
      expect(await c.output('p')).toBe('-r--------\n');
    });

    test('set mode on item file [LinuxOnly] [NodeConformance] [Conformance]', async () => {
      await pod(`stat -Lc %A ${MOUNT}/podname`, [{ ...podname, mode: 0o400 }]);
      expect(await c.output('p')).toBe('-r--------\n');
    });

    test.each(['labels', 'annotations'])('update %s on modification [NodeConformance] [Conformance]', async (what) => {
      const item = { path: what, fieldRef: { fieldPath: `metadata.${what}` } };
      const before = { key1: 'value1', builder: 'bar' };
      const script = `cat ${MOUNT}/${what}; echo; n=0; until grep -q 'key3="value3"' ${MOUNT}/${what}; do n=$((n+1)); [ $n -gt 8000 ] && exit 1; sleep 0.025; done; cat ${MOUNT}/${what}`;
      await pod(script, [item], { metadata: { [what]: before } });
      await c.said('p', 'key1="value1"\n');
      const body = { metadata: { [what]: { key3: 'value3', builder: 'foo_o' } } };
      await c.client.patch(Pods, { namespace: c.ns, name: 'p' }, { type: 'merge', body });
      expect(await c.output('p')).toBe('builder="bar"\nkey1="value1"\nbuilder="foo_o"\nkey1="value1"\nkey3="value3"');
    });

    const ofResource = (resource: string, divisor?: string): DownwardAPIVolumeFile => ({
      path: 'amount',
      resourceFieldRef: { containerName: 'main', resource, ...(divisor === undefined ? {} : { divisor }) },
    });
    test.each([
      ["container's cpu limit", 'limits.cpu', undefined, '2'],
      ["container's memory limit", 'limits.memory', undefined, String(64 << 20)],
      ["container's cpu request", 'requests.cpu', '1m', '250'],
      ["container's memory request", 'requests.memory', '1Mi', '32'],
    ])('provide %s [NodeConformance] [Conformance]', async (_what, resource, divisor, expected) => {
      await pod(`cat ${MOUNT}/amount`, [ofResource(resource, divisor)], { container: { resources } });
      expect(await c.output('p')).toBe(expected);
    });

    test.each([
      ['cpu', 'cpu'],
      ['memory', 'memory'],
    ])(
      'provide node allocatable (%s) as default %s limit if the limit is not set [NodeConformance] [Conformance]',
      async (resource) => {
        await pod(`cat ${MOUNT}/amount`, [ofResource(`limits.${resource}`)]);
        const { allocatable } = (await c.client.get(Nodes, { name: 'node-a' })).status ?? {};
        const bytes = (text: string) => (text.endsWith('Ki') ? Number(text.slice(0, -2)) * 1024 : Number(text));
        expect(Number(await c.output('p'))).toBe(bytes(String(allocatable?.[resource])));
      },
    );

    // Not of the conformance suite.
    test('tell single labels, the service account, the node, and what is in ephemeral storage', async () => {
      const fields = ["metadata.labels['app']", "metadata.annotations['x/y']", 'metadata.uid', 'metadata.namespace'];
      const items = fields.map((fieldPath, i) => ({ path: `f/${i}`, fieldRef: { fieldPath } }));
      const storage = { requests: { 'ephemeral-storage': '1Gi' }, limits: { 'ephemeral-storage': '2Gi' } };
      await pod(
        `cd ${MOUNT}; for f in f/*; do cat $f; echo; done; cat amount`,
        [...items, ofResource('limits.ephemeral-storage', '1Mi')],
        { metadata: { labels: { app: 'web' }, annotations: { 'x/y': 'z' } }, container: { resources: storage } },
      );
      const { metadata } = await c.client.get(Pods, { namespace: c.ns, name: 'p' });
      expect(await c.output('p')).toBe(`web\nz\n${metadata.uid}\n${c.ns}\n2048`);
    });
  });
});

const modeOf = (defaultMode: number | undefined) => (defaultMode === undefined ? {} : { defaultMode });
