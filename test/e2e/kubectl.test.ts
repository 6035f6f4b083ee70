import { spawn } from 'node:child_process';
import { Cluster, eventually, guestbookImages, Place, type Ran, REDIS, shellPod } from './cluster.js';

/** The commands a new user types, with the real kubectl. */
describe('kubectl', () => {
  let place: Place;
  let cluster: Cluster;

  beforeAll(async () => {
    place = await new Place().make();
    await guestbookImages(place);
    cluster = await Cluster.start(place);
    await cluster.apply(shellPod('sleeper', 'echo started; trap "exit 0" TERM; while :; do sleep 1; done'));
    await cluster.must('wait', 'pod/sleeper', '--for=condition=Ready', '--timeout=120s');
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
  });

  const configMap = (data: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'cm' },
    data,
  });

  test('version and api-resources', async () => {
    expect(await cluster.must('version')).toMatch(/Server Version: .*v1\.33/);
    const resources = await cluster.must('api-resources');
    for (const line of [/^pods\s+po\s+v1\s+true\s+Pod$/m, /^deployments\s+deploy\s+apps\/v1\s+true\s+Deployment$/m])
      expect(resources).toMatch(line);
  });

  test('get nodes, pods, deploy, rs, svc, endpointslices in every format', async () => {
    expect(await cluster.must('get', 'nodes', '-o', 'wide')).toMatch(/node-a\s+Ready\s+.*v1\.33/);
    expect(await cluster.must('get', 'pods', '-o', 'wide')).toMatch(
      /sleeper\s+1\/1\s+Running\s+0\s+\S+\s+10\.244\.0\.\d+\s+node-a/,
    );
    expect(await cluster.must('get', 'nodes,pods,deploy,rs,svc,endpointslices', '-o', 'yaml')).toContain('kind: List');
    expect(
      (await cluster.json<{ items: unknown[] }>('get', 'nodes,pods,svc,endpointslices')).items.length,
    ).toBeGreaterThan(3);
  });

  test('get -w shows what changes', async () => {
    const [program, args] = place.inside('kubectl', ['get', 'pods', '-w', '--no-headers']);
    const env = { ...process.env, HOME: place.dataDir, KUBECONFIG: cluster.ready.kubeconfig };
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    await eventually(
      async () => output,
      (text) => text.includes('sleeper'),
    );
    await cluster.apply(shellPod('watched', 'sleep 1000'));
    await eventually(
      async () => output,
      (text) => /watched\s+1\/1\s+Running/.test(text),
    );
    await cluster.must('delete', 'pod', 'watched', '--now');
    await eventually(
      async () => output,
      (text) => /watched\s+\d\/1\s+Terminating/.test(text),
    );
    child.kill();
  });

  test('apply creates, changes, and leaves unchanged', async () => {
    expect(await cluster.apply(configMap({ a: '1' }))).toBe('configmap/cm created\n');
    expect(await cluster.apply(configMap({ a: '2' }))).toBe('configmap/cm configured\n');
    expect(await cluster.apply(configMap({ a: '2' }))).toBe('configmap/cm unchanged\n');
    expect((await cluster.json<{ data: object }>('get', 'cm', 'cm')).data).toEqual({ a: '2' });
  });

  test('apply --server-side owns fields and says who else does', async () => {
    const manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ssa' }, data: { a: '1' } };
    expect(await cluster.apply(manifest, '--server-side')).toContain('serverside-applied');
    const input = JSON.stringify({ ...manifest, data: { a: '2' } });
    const other = await cluster.kubectlWith({ input }, 'apply', '--server-side', '--field-manager', 'other', '-f', '-');
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/conflict with "kubectl".*\.data\.a/s);
    expect(
      await cluster.mustWith(
        { input },
        'apply',
        '--server-side',
        '--field-manager',
        'other',
        '--force-conflicts',
        '-f',
        '-',
      ),
    ).toContain('serverside-applied');
  });

  test('create deployment, scale, rollout status, restart, undo', async () => {
    await cluster.must('create', 'deployment', 'web', `--image=${REDIS}`, '--replicas=2', '--port=6379');
    expect(await cluster.must('rollout', 'status', 'deployment/web', '--timeout=120s')).toContain(
      'successfully rolled out',
    );
    await cluster.must('scale', 'deployment/web', '--replicas=3');
    await cluster.must('rollout', 'status', 'deployment/web', '--timeout=120s');
    expect(await cluster.must('get', 'deploy', 'web')).toMatch(/web\s+3\/3\s+3\s+3/);
    await cluster.must('rollout', 'restart', 'deployment/web');
    await cluster.must('rollout', 'status', 'deployment/web', '--timeout=120s');
    expect((await cluster.must('get', 'rs', '-l', 'app=web', '--no-headers')).trim().split('\n')).toHaveLength(2);
    await cluster.must('set', 'env', 'deployment/web', 'COLOUR=blue');
    await cluster.must('rollout', 'undo', 'deployment/web');
    await cluster.must('rollout', 'status', 'deployment/web', '--timeout=120s');
    expect(await cluster.must('get', 'deploy', 'web', '-o', 'yaml')).not.toContain('COLOUR');
    expect(await cluster.must('rollout', 'history', 'deployment/web')).toMatch(/REVISION/);
    expect(await cluster.must('expose', 'deployment/web')).toContain('exposed');
    await eventually(
      () => cluster.must('get', 'endpointslices', '-l', 'kubernetes.io/service-name=web'),
      (out) => (out.match(/10\.244\.0\./g) ?? []).length === 3,
    );
    await cluster.must('delete', 'deployment,service', 'web');
    await eventually(
      () => cluster.must('get', 'pods', '-l', 'app=web'),
      (out) => out === '',
    );
  });

  test('describe pod tells the story with events', async () => {
    const out = await cluster.must('describe', 'pod', 'sleeper');
    for (const [field, value] of [
      ['Node', 'node-a/'],
      ['Status', 'Running'],
      ['IP', '10.244.0.'],
    ])
      expect(out).toMatch(new RegExp(`^${field}: +${value}`, 'm'));
    for (const reason of ['Scheduled', 'Pulled', 'Created', 'Started']) expect(out).toContain(reason);
  });

  test('logs and logs -f', async () => {
    expect(await cluster.must('logs', 'sleeper')).toBe('started\n');
    await cluster.apply(
      shellPod('talker', 'for i in 1 2 3; do echo line $i; sleep 0.3; done', { restartPolicy: 'Never' }),
    );
    await eventually(
      () => cluster.kubectl('logs', '-f', 'talker'),
      (ran: Ran) => ran.stdout === 'line 1\nline 2\nline 3\n',
    );
    expect(await cluster.must('logs', 'talker', '--tail=1')).toBe('line 3\n');
    await eventually(
      () => cluster.must('get', 'pod', 'talker'),
      (out) => /Completed/.test(out),
    );
  });

  test('exec, its exit code, and exec -it on a terminal', async () => {
    expect(await cluster.must('exec', 'sleeper', '--', 'cat', '/proc/1/comm')).toBe('sh\n');
    expect((await cluster.kubectl('exec', 'sleeper', '--', 'sh', '-c', 'echo oops >&2; exit 7')).code).toBe(7);
    expect(await cluster.mustWith({ input: 'from stdin' }, 'exec', '-i', 'sleeper', '--', 'cat')).toBe('from stdin');
    const command = `kubectl --kubeconfig ${cluster.ready.kubeconfig} exec -it sleeper -- sh -c 'tty; until stty size 2>/dev/null | busybox grep .; do sleep 0.1; done'`;
    const { stdout } = await place.run('script', ['-qec', `stty rows 33 cols 77; ${command}`, '/dev/null'], {
      env: { HOME: place.dataDir },
    });
    expect(stdout).toMatch(/\/dev\/pts\/\d+/);
    expect(stdout).toContain('33 77');
  });

  test('port-forward', async () => {
    const readinessProbe = { tcpSocket: { port: 6379 }, periodSeconds: 1, timeoutSeconds: 60 };
    await cluster.apply(shellPod('redis', 'redis-server --port 6379 --protected-mode no', {}, { readinessProbe }));
    await cluster.must('wait', 'pod/redis', '--for=condition=Ready', '--timeout=120s');
    const [program, args] = place.inside('kubectl', ['port-forward', 'pod/redis', '16379:6379']);
    const env = { ...process.env, HOME: place.dataDir, KUBECONFIG: cluster.ready.kubeconfig };
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    await eventually(
      async () => output,
      (text) => text.includes('Forwarding from 127.0.0.1:16379'),
    );
    expect((await place.run('redis-cli', ['-p', '16379', 'set', 'k', 'v'])).stdout).toBe('OK\n');
    expect((await place.run('redis-cli', ['-p', '16379', 'get', 'k'])).stdout).toBe('v\n');
    child.kill();
  });

  test('label, delete and wait', async () => {
    await cluster.must('label', 'pod', 'sleeper', 'tier=front');
    expect(await cluster.must('get', 'pods', '-l', 'tier=front', '-o', 'name')).toBe('pod/sleeper\n');
    await cluster.must('label', 'pod', 'sleeper', 'tier-');
    await cluster.apply(shellPod('short', 'sleep 1000'));
    const waiting = cluster.must('wait', 'pod/short', '--for=delete', '--timeout=120s');
    expect(await cluster.must('delete', 'pod', 'short')).toContain('pod "short" deleted');
    await waiting;
  });

  test('namespaces come with a service account and go with everything in them', async () => {
    await cluster.must('create', 'namespace', 'team');
    await eventually(
      () => cluster.kubectl('-n', 'team', 'get', 'sa', 'default'),
      (ran) => ran.code === 0,
    );
    await cluster.mustWith({ input: JSON.stringify(shellPod('p', 'sleep 1000')) }, '-n', 'team', 'apply', '-f', '-');
    await cluster.must('delete', 'namespace', 'team', '--timeout=120s');
    expect((await cluster.kubectl('get', 'namespace', 'team')).stderr).toContain('namespaces "team" not found');
  });

  test('custom resources: discovered at once, validated, pruned, defaulted, printed', async () => {
    const schema = {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          required: ['size'],
          properties: {
            size: { type: 'integer', minimum: 1 },
            colour: { type: 'string', default: 'red' },
            replicas: { type: 'integer' },
          },
        },
        status: { type: 'object', properties: { replicas: { type: 'integer' } } },
      },
    };
    await cluster.apply({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'widgets.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wd'] },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: schema },
            subresources: {
              status: {},
              scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
            },
            additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
          },
        ],
      },
    });
    await cluster.must('wait', 'crd/widgets.example.com', '--for=condition=Established', '--timeout=120s');
    const widget = {
      apiVersion: 'example.com/v1',
      kind: 'Widget',
      metadata: { name: 'w' },
      spec: { size: 3, replicas: 1 },
    };
    await cluster.apply(widget);
    expect(await cluster.must('get', 'wd')).toMatch(/NAME\s+SIZE[\s\S]*w\s+3/);
    expect((await cluster.json<{ spec: object }>('get', 'widget', 'w')).spec).toMatchObject({ size: 3, colour: 'red' });
    const bad = await cluster.kubectlWith(
      { input: JSON.stringify({ ...widget, spec: { size: 0 } }) },
      'apply',
      '-f',
      '-',
    );
    expect(bad.stderr).toContain('spec.size');
    await cluster.must('scale', 'widget/w', '--replicas=4');
    expect((await cluster.json<{ spec: object }>('get', 'widget', 'w')).spec).toMatchObject({ replicas: 4 });
    await cluster.must('delete', 'crd', 'widgets.example.com');
  });
});
