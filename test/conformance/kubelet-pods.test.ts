import type { Container, ContainerStatus, Pod, ResourceRequirements } from '@trimtab/machinery';
import { Pods, parseQuantity, quantityMilliValue, quantityValue } from '@trimtab/machinery';
import { describeReal, IMAGE, useRealCluster } from './real-cluster.js';

/** Conformance tests of class R about pods as wholes: resize, generations, lifecycle, under their own names. */

type Sizes = Readonly<Record<string, readonly [cpu: string, memory: string]>>;

describeReal('real pods', () => {
  const c = useRealCluster();
  const key = () => ({ namespace: c.ns, name: 'p' });
  const status = (pod: Pod, name: string): ContainerStatus | undefined =>
    pod.status?.containerStatuses?.find((one) => one.name === name);
  const patch = (body: object, subresource?: string) =>
    c.client.patch(Pods, key(), { type: 'strategic', body }, subresource ? { subresource } : {});

  describe('[sig-node] Pod InPlace Resize Container', () => {
    const guaranteed = ([cpu, memory]: readonly [string, string]): ResourceRequirements => ({
      requests: { cpu, memory },
      limits: { cpu, memory },
    });
    const containersOf = (sizes: Sizes, resources = guaranteed): Container[] =>
      Object.entries(sizes).map(([name, size]) => ({
        name,
        image: IMAGE,
        command: ['sleep', '1000'],
        resources: resources(size),
      }));
    const make = async (containers: Container[]): Promise<void> => {
      await c.create(Pods, { metadata: { name: 'p' }, spec: { terminationGracePeriodSeconds: 0, containers } });
      await c.running('p');
    };
    const resize = (containers: Container[]) =>
      patch({ spec: { containers: containers.map(({ name, resources }) => ({ name, resources })) } }, 'resize');

    /** The status says so, and the container's own groups agree; nothing was restarted. */
    async function expectSizes(wanted: Readonly<Record<string, ResourceRequirements>>): Promise<void> {
      const milli = (q?: string | number) => (q === undefined ? -1 : quantityMilliValue(parseQuantity(q)));
      const same = (a: ResourceRequirements = {}, b: ResourceRequirements = {}) =>
        (['requests', 'limits'] as const).every((list) =>
          ['cpu', 'memory'].every((name) => milli(a[list]?.[name]) === milli(b[list]?.[name])),
        );
      const pod = await c.until(Pods, 'p', (one) => {
        const settled = !one.status?.conditions?.some(({ type }) => type.startsWith('PodResize'));
        return settled && Object.entries(wanted).every(([name, r]) => same(status(one, name)?.resources, r));
      });
      for (const [name, { requests = {}, limits = {} }] of Object.entries(wanted)) {
        expect(status(pod, name)?.restartCount).toBe(0);
        const read = 'cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes cpu/cpu.shares';
        const [quota, limit, shares] = (await c.exec('p', ['sh', '-c', read], name)).text.split('\n').map(Number);
        expect(quota).toBe(limits.cpu === undefined ? -1 : Math.max(milli(limits.cpu) * 100, 1_000));
        if (limits.memory !== undefined) expect(limit).toBe(quantityValue(parseQuantity(limits.memory)));
        const asked = requests.cpu ?? limits.cpu;
        expect(shares).toBe(asked === undefined ? 2 : Math.max(Math.floor((milli(asked) * 1_024) / 1_000), 2));
      }
    }
    async function guaranteedResize(before: Sizes, after: Sizes): Promise<void> {
      await make(containersOf(before));
      await resize(containersOf(after));
      await expectSizes(Object.fromEntries(Object.entries(after).map(([name, size]) => [name, guaranteed(size)])));
      await resize(containersOf(before));
      await expectSizes(Object.fromEntries(Object.entries(before).map(([name, size]) => [name, guaranteed(size)])));
    }
    const three: Sizes = { c1: ['100m', '64Mi'], c2: ['200m', '96Mi'], c3: ['300m', '128Mi'] };

    test('guaranteed pods with multiple containers 3 containers - increase cpu & mem on c1, c2, decrease cpu & mem on c3 - net increase [MinimumKubeletVersion:1.34] [Conformance]', () =>
      guaranteedResize(three, { c1: ['150m', '96Mi'], c2: ['250m', '128Mi'], c3: ['250m', '96Mi'] }));
    test('guaranteed pods with multiple containers 3 containers - increase cpu & mem on c1, decrease cpu & mem on c2, c3 - net decrease [MinimumKubeletVersion:1.34] [Conformance]', () =>
      guaranteedResize(three, { c1: ['150m', '80Mi'], c2: ['150m', '64Mi'], c3: ['250m', '96Mi'] }));
    test('guaranteed pods with multiple containers 3 containers - increase: CPU (c1,c3), memory (c2, c3) ; decrease: CPU (c2) [MinimumKubeletVersion:1.34] [Conformance]', () =>
      guaranteedResize(three, { c1: ['150m', '64Mi'], c2: ['150m', '128Mi'], c3: ['350m', '160Mi'] }));

    test('burstable pods - extended 6 containers - various operations performed (including adding limits and requests) [MinimumKubeletVersion:1.34] [Conformance]', async () => {
      const plain = (name: string, resources: ResourceRequirements): Container => ({
        name,
        image: IMAGE,
        command: ['sleep', '1000'],
        resources,
      });
      await make([
        plain('c1', { requests: { cpu: '50m', memory: '32Mi' } }),
        plain('c2', { requests: { cpu: '50m' }, limits: { cpu: '100m' } }),
        plain('c3', { requests: { memory: '32Mi' }, limits: { memory: '64Mi' } }),
        plain('c4', {}),
        plain('c5', { requests: { cpu: '50m', memory: '32Mi' }, limits: { cpu: '100m', memory: '64Mi' } }),
        plain('c6', { limits: { cpu: '100m' } }),
      ]);
      const wanted: Record<string, ResourceRequirements> = {
        c1: { requests: { cpu: '60m', memory: '32Mi' }, limits: { cpu: '120m', memory: '64Mi' } },
        c2: { requests: { cpu: '30m' }, limits: { cpu: '60m' } },
        c3: { requests: { memory: '48Mi' }, limits: { memory: '96Mi' } },
        c4: { requests: { cpu: '20m', memory: '16Mi' } },
        c5: { requests: { cpu: '70m', memory: '48Mi' }, limits: { cpu: '140m', memory: '96Mi' } },
        c6: { requests: { cpu: '100m' }, limits: { cpu: '200m' } },
      };
      await resize(Object.entries(wanted).map(([name, resources]) => plain(name, resources)));
      await expectSizes(wanted);
    });
    test('burstable pods - extended resize with equivalents [MinimumKubeletVersion:1.34] [Conformance]', async () => {
      const burst = (cpu: string): ResourceRequirements => ({
        requests: { cpu, memory: '64Mi' },
        limits: { cpu: '2', memory: '64Mi' },
      });
      const main = { name: 'c1', image: IMAGE, command: ['sleep', '1000'], resources: burst('2m') };
      await make([main]);
      await resize([{ ...main, resources: burst('1m') }]);
      await expectSizes({ c1: burst('1m') });
    });
    test('resize pod via the replace endpoint [MinimumKubeletVersion:1.34] [Conformance]', async () => {
      await make(containersOf({ c1: ['100m', '64Mi'] }));
      const pod = await c.client.get(Pods, key());
      const containers = pod.spec!.containers.map((one) => ({ ...one, resources: guaranteed(['200m', '64Mi']) }));
      await c.client.subresource(Pods, key(), 'resize', 'update', { ...pod, spec: { ...pod.spec!, containers } });
      await expectSizes({ c1: guaranteed(['200m', '64Mi']) });
    });
    test('a container without limits is in a group that has those of its pod, and keeps them when others are resized', async () => {
      const limits = { cpu: '400m', memory: '96Mi' };
      const plain = { image: IMAGE, command: ['sleep', '1000'] };
      const containers = [
        { name: 'free', ...plain },
        { name: 'own', ...plain, resources: { limits: { cpu: '100m', memory: '64Mi' } } },
      ];
      await c.create(Pods, {
        metadata: { name: 'p' },
        spec: { terminationGracePeriodSeconds: 0, resources: { limits }, containers },
      });
      await c.running('p');
      const group = async (name: string) => {
        const read = 'cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes';
        return (await c.exec('p', ['sh', '-c', read], name)).text.trim().split('\n').map(Number);
      };
      expect(await group('free')).toEqual([40_000, 96 << 20]);
      expect(await group('own')).toEqual([10_000, 64 << 20]);
      const smaller = { requests: { memory: '32Mi' }, limits: { cpu: '100m', memory: '32Mi' } };
      await resize([{ ...containers[1]!, resources: smaller }]);
      await c.until(Pods, 'p', (one) => status(one, 'own')?.resources?.limits?.memory === '32Mi');
      expect([await group('free'), (await group('own'))[1]]).toEqual([[40_000, 96 << 20], 32 << 20]);
    });
    test('what the node does not have is infeasible, and says so', async () => {
      await make(containersOf({ c1: ['100m', '64Mi'] }));
      await resize(containersOf({ c1: ['1000', '64Mi'] }));
      const pod = await c.until(
        Pods,
        'p',
        (one) => one.status?.conditions?.some(({ type }) => type === 'PodResizePending') ?? false,
      );
      expect(pod.status?.conditions?.find(({ type }) => type === 'PodResizePending')).toMatchObject({
        reason: 'Infeasible',
        message: expect.stringContaining("Node didn't have enough capacity: cpu, requested: 1000000, capacity: "),
      });
    });
  });

  describe('[sig-node] Pods Extended (pod generation) Pod Generation', () => {
    const observed = (pod: Pod) => pod.status?.observedGeneration === pod.metadata.generation;

    test('pod generation should start at 1 and increment per update [MinimumKubeletVersion:1.34] [Conformance]', async () => {
      const made = await c.pod('p', 'sleep 1000');
      expect(made.metadata.generation).toBe(1);
      await c.until(Pods, 'p', (pod) => pod.status?.phase === 'Running' && observed(pod));
      await patch({ metadata: { labels: { some: 'label' } } });
      await patch({ spec: { activeDeadlineSeconds: 1_000 } });
      const pod = await c.until(Pods, 'p', (one) => one.metadata.generation === 2 && observed(one));
      expect(pod.metadata.labels).toEqual({ some: 'label' });
    });
    test('custom-set generation on new pods and graceful delete [Conformance]', async () => {
      await c.create(Pods, {
        metadata: { name: 'p', generation: 100 },
        spec: {
          terminationGracePeriodSeconds: 60,
          containers: [{ name: 'main', image: IMAGE, command: ['sleep', '1000'] }],
        },
      });
      expect((await c.running('p')).metadata.generation).toBe(1);
      await c.client.delete(Pods, key());
      const pod = await c.until(Pods, 'p', (one) => one.metadata.deletionTimestamp !== undefined);
      expect(pod.metadata.generation).toBe(2);
      // A removal by force would let the kubelet give it all of its minute.
      await c.gone(Pods, 'p', 1);
    });
    test('issue 500 podspec updates and verify generation and observedGeneration eventually converge [MinimumKubeletVersion:1.34] [Conformance]', async () => {
      await c.pod('p', 'sleep 1000', {}, { activeDeadlineSeconds: 5_000 });
      await c.running('p');
      for (let n = 1; n <= 500; n++) await patch({ spec: { activeDeadlineSeconds: 5_000 - n } });
      await c.until(Pods, 'p', (pod) => pod.metadata.generation === 501 && observed(pod));
    });
  });

  describe('[sig-node] Pods', () => {
    test('should be submitted and removed [NodeConformance] [Conformance]', async () => {
      await c.pod('p', 'sleep 1000', {}, { terminationGracePeriodSeconds: 30 });
      await c.running('p');
      await c.gone(Pods, 'p', 1);
    });
    test('should get a host IP [NodeConformance] [Conformance]', async () => {
      await c.pod('p', 'sleep 1000');
      expect((await c.running('p')).status).toMatchObject({ hostIP: '127.0.0.1', hostIPs: [{ ip: '127.0.0.1' }] });
    });
    test('should be updated [NodeConformance] [Conformance]', async () => {
      await c.pod('p', 'sleep 1000');
      await c.running('p');
      await patch({ metadata: { labels: { time: 'later' } } });
      await c.until(Pods, 'p', (pod) => pod.metadata.labels?.time === 'later');
    });
    test('should allow activeDeadlineSeconds to be updated [NodeConformance] [Conformance]', async () => {
      await c.pod('p', 'sleep 1000', {}, { restartPolicy: 'Always' });
      await c.running('p');
      await patch({ spec: { activeDeadlineSeconds: 1 } });
      const pod = await c.until(Pods, 'p', (one) => one.status?.phase === 'Failed');
      expect(pod.status?.reason).toBe('DeadlineExceeded');
    });
  });
});
