import { Cluster, eventually, FRONTEND, guestbookImages, Place, REDIS, shellPod } from './cluster.js';

/** Crashes and bad input, as a user meets them. */
describe('when things go wrong', () => {
  let place: Place;
  let cluster: Cluster;

  beforeAll(async () => {
    place = await new Place().make();
    await guestbookImages(place);
    cluster = await Cluster.start(place);
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
  });

  const status = async (name: string) =>
    (
      await cluster.json<{
        status: {
          podIP: string;
          containerStatuses: {
            restartCount: number;
            ready: boolean;
            state: Record<string, { reason?: string; message?: string; startedAt?: string }>;
            lastState: Record<string, { exitCode: number }>;
          }[];
        };
      }>('get', 'pod', name)
    ).status;

  test('a killed container runs again at once, shows the restart and keeps its address', async () => {
    const seconds = 100_000 + process.pid;
    await cluster.apply(shellPod('victim', `exec sleep ${seconds}`));
    await cluster.must('wait', 'pod/victim', '--for=condition=Ready', '--timeout=120s');
    const { podIP } = await status('victim');
    const { stdout } = await eventually(
      () => place.run('pgrep', ['-xf', `sleep ${seconds}`]),
      ({ code }) => code === 0,
    );
    process.kill(Number(stdout), 'SIGKILL');
    const after = await eventually(
      () => status('victim'),
      (s) => s.containerStatuses[0]?.restartCount === 1 && s.containerStatuses[0].ready,
    );
    expect(after.podIP).toBe(podIP);
    expect(after.containerStatuses[0]!.lastState.terminated!.exitCode).toBe(137);
    expect(await cluster.must('get', 'pod', 'victim')).toMatch(/victim\s+1\/1\s+Running\s+1/);
  });

  test('an invalid manifest is refused with the path of the field, and nothing is stored', async () => {
    const pod = shellPod('bad', 'x', {}, { image: '', ports: [{ containerPort: 99999 }] });
    const ran = await cluster.kubectlWith({ input: JSON.stringify(pod) }, 'apply', '-f', '-');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/The Pod "bad" is invalid/);
    expect(ran.stderr).toContain('spec.containers[0].image: Required value');
    expect(ran.stderr).toContain(
      'spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive',
    );
    const unknown = await cluster.kubectlWith(
      { input: JSON.stringify(shellPod('bad', 'x', { contaners: [] })) },
      'apply',
      '-f',
      '-',
    );
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toMatch(/unknown field "(spec\.)?contaners"/);
    expect((await cluster.kubectl('get', 'pod', 'bad')).code).toBe(1);
  });

  test.each([
    ['Never', 'ErrImageNeverPull'],
    ['IfNotPresent', 'ErrImagePull|ImagePullBackOff'],
  ])('a missing image with pull policy %s gives %s with the reference', async (imagePullPolicy, reason) => {
    const name = `missing-${imagePullPolicy.toLowerCase()}`;
    await cluster.apply(shellPod(name, 'x', {}, { image: 'example.com/not/here:1', imagePullPolicy }));
    await eventually(
      () => cluster.must('get', 'pod', name),
      (out) => new RegExp(reason).test(out),
    );
    await eventually(
      () => cluster.must('describe', 'pod', name),
      (out) => /Warning\s+\S+.*example\.com\/not\/here:1/.test(out),
    );
  });

  test('a command that does not exist gives StartError with the path', async () => {
    await cluster.apply(shellPod('nocommand', 'x', { restartPolicy: 'Never' }, { command: ['/no/such/thing'] }));
    const out = await eventually(
      () => cluster.must('get', 'pod', 'nocommand', '-o', 'yaml'),
      (yaml) => yaml.includes('terminated'),
    );
    expect(out).toContain('reason: StartError');
    expect(out).toContain('exitCode: 128');
    expect(out).toContain('/no/such/thing');
  });

  test('a failing liveness probe restarts the container, a failing readiness probe only takes it out', async () => {
    const probe = (path: string) => ({
      exec: { command: ['sh', '-c', `test -e ${path}`] },
      periodSeconds: 1,
      timeoutSeconds: 60,
      failureThreshold: 1,
    });
    await cluster.apply(
      shellPod(
        'probed',
        'busybox touch /ready /live; sleep 1000',
        {},
        {
          startupProbe: { ...probe('/live'), failureThreshold: 100 },
          livenessProbe: probe('/live'),
          readinessProbe: probe('/ready'),
        },
      ),
    );
    await cluster.must('wait', 'pod/probed', '--for=condition=Ready', '--timeout=120s');
    await cluster.must('exec', 'probed', '--', 'sh', '-c', 'busybox rm /ready');
    await cluster.must('wait', 'pod/probed', '--for=condition=Ready=False', '--timeout=120s');
    expect((await status('probed')).containerStatuses[0]!.restartCount).toBe(0);
    await cluster.must('exec', 'probed', '--', 'busybox', 'rm', '/live');
    await eventually(
      () => status('probed'),
      (s) => s.containerStatuses[0]!.restartCount === 1 && s.containerStatuses[0]!.ready,
    );
  });

  test('a container that keeps failing backs off and says so', async () => {
    await cluster.apply(shellPod('failing', 'exit 3'));
    await eventually(
      () => cluster.must('get', 'pod', 'failing'),
      (out) => out.includes('CrashLoopBackOff'),
    );
    expect((await status('failing')).containerStatuses[0]!.lastState.terminated!.exitCode).toBe(3);
  });

  test('configuration reaches the container, and a missing config map is named', async () => {
    await cluster.must('create', 'configmap', 'settings', '--from-literal=colour=blue');
    await cluster.must('create', 'secret', 'generic', 'keys', '--from-literal=token=s3cret');
    const env = [
      { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } },
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    ];
    const volumes = [{ name: 'keys', secret: { secretName: 'keys' } }];
    const mounts = { env, volumeMounts: [{ name: 'keys', mountPath: '/keys' }] };
    await cluster.apply(
      shellPod(
        'configured',
        'echo $COLOUR $IP $(cat /keys/token); ls /var/run/secrets/kubernetes.io/serviceaccount; sleep 1000',
        { volumes },
        mounts,
      ),
    );
    const out = await eventually(
      () => cluster.kubectl('logs', 'configured'),
      (ran) => ran.stdout.includes('token\n'),
    );
    expect(out.stdout).toMatch(/^blue 10\.244\.0\.\d+ s3cret\n/);
    await cluster.apply(
      shellPod(
        'unconfigured',
        'x',
        {},
        { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'nowhere', key: 'a' } } }] },
      ),
    );
    await eventually(
      () => cluster.must('get', 'pod', 'unconfigured'),
      (text) => text.includes('CreateContainerConfigError'),
    );
    expect(await cluster.must('describe', 'pod', 'unconfigured')).toContain('configmap "nowhere" not found');
  });

  test("the API server answers inside a pod at its Service's name, with the pod's own token", async () => {
    const secrets = '/var/run/secrets/kubernetes.io/serviceaccount';
    const script = `
      const authorization = 'Bearer ' + require('fs').readFileSync('${secrets}/token', 'utf8');
      const get = async (path) => (await fetch('https://kubernetes.default.svc' + path, { headers: { authorization } })).json();
      const say = async () => console.log((await get('/version')).gitVersion, (await get('/api/v1/pods')).message);
      say().catch((error) => console.log('failed', error.cause));
      setInterval(() => {}, 1000);`;
    const env = [{ name: 'NODE_EXTRA_CA_CERTS', value: `${secrets}/ca.crt` }];
    await cluster.apply(
      shellPod('insider', '', {}, { image: FRONTEND, command: ['/usr/bin/node', '-e', script], env }),
    );
    const { stdout } = await eventually(
      () => cluster.kubectl('logs', 'insider'),
      (ran) => ran.stdout !== '',
    );
    expect(stdout).toMatch(
      /^v1\.33\S* pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods"/,
    );
  });

  test('a data directory in use is refused with the process that has it', async () => {
    await expect(Cluster.start(place)).rejects.toThrow(
      new RegExp(`data directory .* is in use by process ${cluster.pid}`),
    );
  });

  test('limits hold: memory over the limit is OOMKilled', async () => {
    const script = 'x=$(head -c 100000000 /dev/zero | tr "\\\\0" x); echo survived';
    await cluster.apply(
      shellPod(
        'hungry',
        `busybox sh -c '${script.replaceAll('head', 'busybox head').replaceAll('tr ', 'busybox tr ')}'`,
        { restartPolicy: 'Never' },
        { resources: { limits: { memory: '20Mi' } } },
      ),
    );
    const out = await eventually(
      () => cluster.must('get', 'pod', 'hungry', '-o', 'yaml'),
      (yaml) => yaml.includes('terminated'),
    );
    expect(out).toMatch(/reason: OOMKilled/);
  });

  test('who may not, may not: a service account sees no secrets, and the refusal says so', async () => {
    const ran = await cluster.kubectl('--as=system:serviceaccount:default:default', 'get', 'secrets');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(
      'secrets is forbidden: User "system:serviceaccount:default:default" cannot list resource "secrets" in API group "" in the namespace "default"',
    );
  });

  test('without credentials nothing but health is answered', async () => {
    const get = (path: string) =>
      place.run('curl', ['-sk', '-o', '/dev/null', '-w', '%{http_code}', `${cluster.ready.server}${path}`]);
    expect((await get('/readyz')).stdout).toBe('200');
    // Nobody in particular, who may do nothing in particular: as kube-apiserver answers.
    expect((await get('/api/v1/pods')).stdout).toBe('403');
  });
});

describe('trimtab up', () => {
  let place: Place;
  beforeEach(async () => {
    place = await new Place().make();
  });
  afterEach(() => place.remove());

  test('names a port that is taken, and who has it', async () => {
    const first = await Cluster.start(place, '--no-node', '--simulated-nodes', '1');
    const port = new URL(first.ready.server).port;
    const other = await place.trimtab('up', '--data-dir', `${place.dataDir}/other`, '--port', port, '--no-node');
    expect(other.code).toBe(1);
    expect(other.stderr).toContain(`port ${port}`);
    expect(other.stderr).toContain(String(first.pid));
    await first.stop();
  });

  test('runs without root what needs none: API server, controllers, simulated nodes', async () => {
    const cluster = await Cluster.start(place, '--no-node', '--simulated-nodes', '3');
    await cluster.must('create', 'deployment', 'web', `--image=${REDIS}`, '--replicas=6');
    expect(await cluster.must('rollout', 'status', 'deployment/web', '--timeout=120s')).toContain(
      'successfully rolled out',
    );
    expect((await cluster.must('get', 'nodes', '--no-headers')).trim().split('\n')).toHaveLength(3);
    await cluster.stop();
  });
});
