import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Event, HorizontalPodAutoscaler, Node, Pod } from '@trimtab/machinery';
import { leftOvers } from '../conformance/leftovers.js';
import { Cluster, eventually, Place, root, run, shellPod } from './cluster.js';

/** What a node does beside running pods, seen with kubectl and `trimtab` from outside. */

type Items<T> = { readonly items: readonly T[] };

describe('a node that is looked after', () => {
  let place: Place;
  let cluster: Cluster;
  let staticPods: string;

  beforeAll(async () => {
    place = await new Place().make();
    // A disk of its own, so small that a pod can fill it.
    const { code, stderr } = await run('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', place.dataDir]);
    if (code !== 0) throw new Error(stderr);
    const recipe = join(root, 'charts', 'guestbook', 'images', 'redis.yaml');
    const made = await place.trimtab('image', 'assemble', '--data-dir', place.dataDir, recipe);
    if (made.code !== 0) throw new Error(made.stderr);
    staticPods = join(place.dataDir, 'manifests');
    await mkdir(staticPods);
    await writeFile(
      join(staticPods, 'beacon.json'),
      JSON.stringify(shellPod('beacon', 'echo shining; exec sleep 1000')),
    );
    cluster = await Cluster.start(
      place,
      ...['--static-pods', staticPods, '--eviction-hard', 'memory.available<20Mi,nodefs.available<150Mi'],
      ...['--eviction-pressure-transition-period', '15s', '--image-gc-high-threshold', '100'],
      ...['--system-reserved', 'cpu=100m,memory=64Mi', '--shutdown-grace-period', '6s'],
      ...['--shutdown-grace-period-critical-pods', '2s'],
    );
  });
  afterAll(async () => {
    await cluster?.stop();
    await place.trimtab('down', '--data-dir', place.dataDir);
    await run('umount', [place.dataDir]);
    await place.remove();
  });

  const pod = (name: string): Promise<Pod> => cluster.json<Pod>('get', 'pod', name);
  const proxy = (path: string) => cluster.must('get', '--raw', `/api/v1/nodes/node-a/proxy${path}`);
  const why = async (reference: string): Promise<string> =>
    (await place.trimtabWith({ env: { KUBECONFIG: cluster.ready.kubeconfig } }, 'why', reference)).stdout;
  const restarted = (name: string, times = 1) =>
    eventually(
      () => pod(name),
      ({ status }) => (status?.containerStatuses?.[0]?.restartCount ?? 0) >= times,
    );

  test('what it has to give is less what is reserved and what must stay free', async () => {
    const { status } = await cluster.json<Node>('get', 'node', 'node-a');
    const Ki = (text: unknown) => Number(String(text).replace('Ki', ''));
    const kept = Ki(status!.capacity!.memory) - Ki(status!.allocatable!.memory);
    expect(kept).toBe((64 + 20) * 1024);
    const milli = (text: unknown) =>
      String(text).endsWith('m') ? Number(String(text).slice(0, -1)) : Number(text) * 1000;
    expect(milli(status!.capacity!.cpu) - milli(status!.allocatable!.cpu)).toBe(100);
  });

  test('kubectl top: the node and each container, by measurement', async () => {
    const busy = { resources: { requests: { cpu: '50m' }, limits: { cpu: '200m', memory: '64Mi' } } };
    await cluster.apply(shellPod('busy', 'while :; do :; done', {}, busy));
    await cluster.must('wait', '--for=condition=Ready', 'pod/busy', '--timeout=120s');
    expect(await cluster.must('top', 'nodes')).toMatch(/^NAME .*\nnode-a +\d+m +\d+% +\d+Mi +\d+%/);
    const used = await eventually(
      async () => Number(/busy +main +(\d+)m +\d+Mi/.exec(await cluster.must('top', 'pods', '--containers'))?.[1]),
      (milli) => milli > 50,
    );
    expect(used).toBeLessThan(300);
    const summary = JSON.parse(await proxy('/stats/summary')) as {
      pods: { podRef: { name: string }; network?: object }[];
    };
    expect(summary.pods.find(({ podRef }) => podRef.name === 'busy')).toMatchObject({
      network: { name: 'eth0' },
      containers: [{ name: 'main', memory: { workingSetBytes: expect.any(Number) } }],
    });
    expect(await proxy('/metrics/cadvisor')).toMatch(
      /container_cpu_usage_seconds_total\{container="main".*pod="busy"\} \d/,
    );
    expect(await proxy('/metrics/resource')).toContain('pod_memory_working_set_bytes{namespace="default",pod="busy"}');
    expect(await proxy('/metrics')).toContain('kubelet_runtime_operations_total{operation_type="start_container"}');
    expect(JSON.parse(await proxy('/configz')).kubeletconfig.evictionHard['nodefs.available']).toBe('150Mi');
    await cluster.must('delete', 'pod', 'busy', '--wait=false');
  });

  test('an autoscaler follows what its pods use', async () => {
    const burn = shellPod('burn', 'while :; do :; done') as { metadata: object; spec: { containers: object[] } };
    const [container] = burn.spec.containers;
    const resources = { requests: { cpu: '20m' }, limits: { cpu: '100m' } };
    const spec = { ...burn.spec, containers: [{ ...container, resources }] };
    await cluster.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'burn' },
      spec: { selector: { matchLabels: { app: 'burn' } }, template: { metadata: { labels: { app: 'burn' } }, spec } },
    });
    await cluster.must('autoscale', 'deployment', 'burn', '--min=1', '--max=3', '--cpu-percent=50');
    const { status } = await eventually(
      () => cluster.json<HorizontalPodAutoscaler>('get', 'hpa', 'burn'),
      (hpa) => (hpa.status?.desiredReplicas ?? 0) > 1,
    );
    expect(status?.currentMetrics?.[0]?.resource?.current.averageUtilization).toBeGreaterThan(50);
    await cluster.must('delete', 'hpa/burn', 'deployment/burn');
  });

  test('why: out of memory, a failed probe, its own fault; from the node’s memory, with the likely mend', async () => {
    const limits = { resources: { limits: { memory: '16Mi' } } };
    await cluster.apply(shellPod('hungry', 'echo eating; exec tail -c 1000m /dev/zero', {}, limits));
    // Refused at once, and by nobody in time on a machine that is busy elsewhere: the answer must be what it is.
    const livenessProbe = {
      httpGet: { path: '/live', port: 8080 },
      periodSeconds: 1,
      timeoutSeconds: 60,
      failureThreshold: 1,
    };
    await cluster.apply(shellPod('deaf', 'echo up; exec sleep 1000', {}, { livenessProbe }));
    await cluster.apply(shellPod('broken', 'echo first; echo boom >&2; exit 3'));
    await cluster.apply(shellPod('lost', 'true', {}, { envFrom: [{ configMapRef: { name: 'settings' } }] }));
    await Promise.all([restarted('hungry'), restarted('deaf'), restarted('broken')]);
    const ended = (await pod('hungry')).status?.containerStatuses?.[0];
    expect(ended?.lastState?.terminated ?? ended?.state?.terminated).toMatchObject({
      reason: 'OOMKilled',
      exitCode: 137,
    });
    const hungry = await why('pod/hungry');
    expect(hungry).toMatch(
      /killed for using more memory than its limit\n +the kernel killed process \d+ \(tail\), which held 1\d(\.\d)? MiB/,
    );
    // The kernel charges in batches: what it refused is above what it counted by a part of a MiB for each processor.
    expect(hungry).toMatch(/memory: at most 1[3-6](\.\d)? MiB of 16 MiB/);
    expect(hungry).toContain('main: raise resources.limits.memory above 16 MiB');
    const deaf = await why('pod/deaf');
    expect(deaf).toContain('the kubelet ended it: Container main failed liveness probe, will be restarted');
    expect(deaf).toMatch(/liveness probe answered last at .*connection refused/);
    expect(deaf).toContain('nothing listens on port 8080');
    const broken = await why('pod/broken');
    expect(broken).toMatch(/exited with code 3/);
    expect(broken).toContain('        | first\n        | boom\n');
    expect(broken).toContain('it said last: boom');
    await eventually(
      () => why('pod/lost'),
      (told) => told.includes('create the configmap "settings"'),
    );
    await cluster.must('delete', 'pod', 'hungry', 'deaf', 'lost', '--wait=false');
  });

  test('logs outlive their pod', async () => {
    await cluster.must('delete', 'pod', 'broken');
    const env = { KUBECONFIG: cluster.ready.kubeconfig };
    expect((await place.trimtabWith({ env }, 'logs', '--gone')).stdout).toMatch(/^POD .*\n(.*\n)*broken /);
    const { stdout } = await place.trimtabWith({ env }, 'logs', '--gone', 'broken', '--tail', '1');
    expect(stdout).toBe('boom\n');
    expect(await why('pod/broken')).toMatch(/^pod\/broken is gone\.\nWhat the node remembers:\n/);
  });

  test('logs by every option kubectl has, and whole across rotations', async () => {
    const lines = 150_000;
    const script = `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo "line $i of a log that is to be rotated, and read as one"; done; exec sleep 1000`;
    await cluster.apply(shellPod('talker', script));
    await cluster.apply(shellPod('crasher', 'echo one; echo two; echo three; sleep 1; exit 7'));
    await restarted('crasher');
    expect(await cluster.must('logs', 'crasher', '--previous')).toBe('one\ntwo\nthree\n');
    expect(await cluster.must('logs', 'crasher', '--previous', '--tail=1')).toBe('three\n');
    expect(await cluster.must('logs', 'crasher', '--previous', '--limit-bytes=6')).toBe('one\ntw');
    expect(
      await cluster.must('logs', 'crasher', '--previous', '--since-time=2020-01-01T00:00:00Z', '--timestamps'),
    ).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z one\n/);
    expect(await cluster.must('logs', 'crasher', '--previous', '--since-time=2120-01-01T00:00:00Z')).toBe('');
    await cluster.must('delete', 'pod', 'crasher', '--wait=false');
    const { metadata } = await pod('talker');
    const rotated = () => proxy(`/logs/default_talker_${metadata.uid}/main/`);
    await eventually(rotated, (page) => /0\.log\.\d{8}-\d{6}/.test(page));
    await eventually(
      () => cluster.must('logs', 'talker', '--tail=1'),
      (last) => last.startsWith(`line ${lines} `),
    );
    const all = (await cluster.must('logs', 'talker')).trimEnd().split('\n');
    expect([all.length, all[0]!.slice(0, 10), all.at(-1)!.slice(0, 11)]).toEqual([
      lines,
      'line 1 of ',
      `line ${lines}`,
    ]);
    expect((await cluster.must('logs', 'talker', `--tail=${lines - 1}`)).slice(0, 7)).toBe('line 2 ');
    await cluster.must('delete', 'pod', 'talker');
  });

  test('a static pod runs, is shown by a mirror that cannot be deleted, and goes with its manifest', async () => {
    const name = 'beacon-node-a';
    const before = await eventually(
      () => cluster.json<Items<Pod>>('get', 'pods'),
      ({ items }) => items.some(({ metadata, status }) => metadata.name === name && status?.phase === 'Running'),
    );
    const mirror = before.items.find(({ metadata }) => metadata.name === name)!;
    expect(mirror.metadata.annotations?.['kubernetes.io/config.mirror']).toMatch(/^[0-9a-f]{32}$/);
    expect(await cluster.must('logs', name)).toBe('shining\n');
    expect(await cluster.must('exec', name, '--', 'sh', '-c', 'echo hello')).toBe('hello\n');
    await cluster.must('delete', 'pod', name, '--grace-period=0', '--force');
    const after = await eventually(
      () => cluster.json<Items<Pod>>('get', 'pods'),
      ({ items }) =>
        items.some(
          ({ metadata, status }) =>
            metadata.uid !== mirror.metadata.uid && metadata.name === name && status?.phase === 'Running',
        ),
    );
    const again = after.items.find(({ metadata }) => metadata.name === name)!;
    const id = (of: Pod) => of.status?.containerStatuses?.[0]?.containerID;
    expect(id(again)).toBe(id(mirror));
    await rm(join(staticPods, 'beacon.json'));
    await eventually(
      () => cluster.json<Items<Pod>>('get', 'pods'),
      ({ items }) => !items.some(({ metadata }) => metadata.name === name),
    );
  });

  test('a pod that fills the disk is evicted in the kubelet’s words, and the node recovers', async () => {
    await cluster.apply(shellPod('modest', 'exec sleep 1000'));
    const volumes = [{ name: 'data', emptyDir: {} }];
    const volumeMounts = [{ name: 'data', mountPath: '/fill' }];
    await cluster.apply(
      shellPod(
        'greedy',
        'dd if=/dev/zero of=/fill/file bs=1M count=260; exec sleep 1000',
        { volumes },
        { volumeMounts },
      ),
    );
    const { status } = await eventually(
      () => pod('greedy'),
      (greedy) => greedy.status?.phase === 'Failed',
    );
    expect(status).toMatchObject({ reason: 'Evicted' });
    expect(status?.message).toMatch(
      /^The node was low on resource: ephemeral-storage\. Threshold quantity: 150Mi, available: \d+Ki\. /,
    );
    expect(status?.conditions?.find(({ type }) => type === 'DisruptionTarget')).toMatchObject({
      reason: 'TerminationByKubelet',
    });
    expect((await pod('modest')).status?.phase).toBe('Running');
    const pressed = async () => {
      const node = await cluster.json<Node>('get', 'node', 'node-a');
      const is = node.status?.conditions?.find(({ type }) => type === 'DiskPressure')?.status;
      return [is, node.spec?.taints?.some(({ key }) => key === 'node.kubernetes.io/disk-pressure') ?? false];
    };
    await eventually(pressed, ([is, tainted]) => is === 'True' && tainted === true);
    await eventually(pressed, ([is, tainted]) => is === 'False' && tainted === false);
    const { items } = await cluster.json<Items<Event>>('get', 'events', '-n', 'default');
    const reasons = items.map(({ reason }) => reason);
    expect(reasons).toEqual(
      expect.arrayContaining(['Evicted', 'EvictionThresholdMet', 'NodeHasDiskPressure', 'NodeHasNoDiskPressure']),
    );
    expect(await why('pod/greedy')).toContain('ephemeral-storage request');
  });

  test('on SIGTERM pods end in order, and fail for others to take their place', async () => {
    await cluster.must('delete', 'pod', '--all', '--wait=true');
    await cluster.apply(
      shellPod('plain', 'trap "echo bye; exit 0" TERM; sleep 1000 & wait', { restartPolicy: 'Always' }),
    );
    await cluster.must('wait', '--for=condition=Ready', 'pod/plain', '--timeout=120s');
    const code = await cluster.terminate();
    expect([code, cluster.stderr]).toEqual([0, '']);
    cluster = await Cluster.start(place, '--image-gc-high-threshold', '100', '--eviction-hard', '');
    expect((await pod('plain')).status).toMatchObject({
      phase: 'Failed',
      reason: 'Terminated',
      message: 'Pod was terminated in response to imminent node shutdown.',
    });
  });
});

test('of a cluster that ran all sorts of pods nothing is left on the machine once it has ended', async () => {
  const place = await new Place().make();
  const network = async () => {
    const { stdout } = await place.run('sh', ['-c', 'ip -o addr; ip route; ip -6 route; ip rule; nft list ruleset']);
    return stdout.replace(/valid_lft.*/g, '');
  };
  const before = await network();
  const recipe = join(root, 'charts', 'guestbook', 'images', 'redis.yaml');
  const made = await place.trimtab('image', 'assemble', '--data-dir', place.dataDir, recipe);
  if (made.code !== 0) throw new Error(made.stderr);
  const cluster = await Cluster.start(place);
  const memory = { volumes: [{ name: 'm', emptyDir: { medium: 'Memory' } }] };
  const mounted = { volumeMounts: [{ name: 'm', mountPath: '/m' }] };
  const sorts: readonly (readonly [string, string, object?, object?])[] = [
    ['plain', 'sleep 1000'],
    ['deaf', "trap '' TERM; sleep 1000 & wait"],
    ['memory', 'echo x > /m/x; echo y > /dev/shm/y; sleep 1000', memory, mounted],
    ['limited', 'sleep 1000', {}, { resources: { limits: { cpu: '100m', memory: '32Mi' } } }],
    ['port', 'sleep 1000', {}, { ports: [{ containerPort: 80, hostPort: 8080 }] }],
    ['host', 'sleep 1000', { hostNetwork: true, hostPID: true, hostIPC: true }],
    ['shared', 'sleep 1000', { shareProcessNamespace: true }],
    ['mapped', 'sleep 1000', { hostUsers: false }],
    ['crashing', 'sleep 0.1; exit 1'],
    ['done', 'true', { restartPolicy: 'Never' }],
  ];
  const manifests = sorts.map(([name, script, extra, container]) => shellPod(name, script, extra, container));
  await cluster.apply({ apiVersion: 'v1', kind: 'List', items: manifests });
  await cluster.must('expose', 'pod', 'plain', '--port=80');
  const lasting = sorts.map(([name]) => name).filter((name) => !['crashing', 'done'].includes(name));
  await cluster.must('wait', '--for=condition=Ready', '--timeout=120s', ...lasting.map((name) => `pod/${name}`));
  const { items } = await cluster.json<Items<Pod>>('get', 'pods');
  const marks = items.map(({ metadata }) => metadata.uid ?? '');
  // A look that finds nothing must not be blind.
  expect(leftOvers(marks).map((what) => what.split(' ')[0])).toEqual(
    expect.arrayContaining(['process', 'mount', 'cgroup', 'file']),
  );
  expect([await cluster.stop(), cluster.stderr]).toEqual([0, '']);
  expect(await network()).toBe(before);
  await eventually(
    async () => leftOvers(marks),
    (left) => left.length === 0,
  );
  await place.remove();
});
