import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster, eventually, guestbookImages, Place, REDIS, shellPod } from './cluster.js';
import { installedVersions, Kubectl } from './kubectl-program.js';

const versions = await installedVersions();
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

const sleeper = (name: string, extra: object = {}) =>
  shellPod(name, 'echo started; trap "exit 0" TERM; while :; do busybox sleep 0.2; done', extra);
const configMap = (name: string, data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});

for (const { version, program } of versions) {
  if (program === undefined) test.skip(`kubectl ${version} (kubectl.${version} does not lie beside kubectl)`, () => {});
  else describe(`kubectl ${version}`, () => everyCommand(version, program));
}

/** The commands of one version, in a namespace of its own; later ones use what earlier ones made. */
function everyCommand(version: string, program: string): void {
  const namespace = `v${version.replace(/[^0-9]+/g, '-')}`;
  let kubectl: Kubectl;

  beforeAll(async () => {
    kubectl = new Kubectl(cluster, program, namespace);
    await kubectl.ok('create', 'namespace', namespace);
    await eventually(
      () => kubectl.run({}, 'get', 'serviceaccount', 'default'),
      (ran) => ran.code === 0,
    );
    await kubectl.apply(sleeper('sleeper'));
    await kubectl.ok('wait', 'pod/sleeper', '--for=condition=Ready', '--timeout=120s');
  });
  afterAll(() => kubectl?.ok('delete', 'namespace', namespace, '--timeout=120s'));

  test('version, cluster-info, api-resources, api-versions, explain', async () => {
    expect(await kubectl.ok('version')).toMatch(/Server Version: .*v1\.33/);
    expect(await kubectl.ok('cluster-info')).toContain('Kubernetes control plane');
    expect(await kubectl.ok('api-resources')).toMatch(/^deployments\s+deploy\s+apps\/v1\s+true\s+Deployment$/m);
    expect(await kubectl.ok('api-versions')).toContain('networking.k8s.io/v1\n');
    const explained = await kubectl.ok('explain', 'pod.spec.containers');
    expect(explained).toMatch(/FIELDS?: containers <\[\]Container>/);
    expect(explained).toMatch(/^\s+image\s+<string>/m);
    expect(await kubectl.ok('explain', 'deployment.spec.strategy', '--recursive')).toContain('maxUnavailable');
  });

  test('get as table, wide, yaml, json, names, columns; sorted and selected', async () => {
    expect(await kubectl.ok('get', 'pods')).toMatch(
      /^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\nsleeper\s+1\/1\s+Running/,
    );
    expect(await kubectl.ok('get', 'po', '-o', 'wide')).toMatch(/sleeper.*10\.244\.0\.\d+\s+node-a/);
    expect(await kubectl.ok('get', 'pod', 'sleeper', '-o', 'yaml')).toMatch(/^apiVersion: v1\nkind: Pod\n/);
    expect(JSON.parse(await kubectl.ok('get', 'pod', 'sleeper', '-o', 'json'))).toMatchObject({
      status: { phase: 'Running' },
    });
    expect(await kubectl.ok('get', 'pods', '-A', '--sort-by=.metadata.creationTimestamp')).toContain('sleeper');
    expect(await kubectl.ok('get', 'pods', '--field-selector=status.phase=Running', '-o', 'name')).toBe(
      'pod/sleeper\n',
    );
    expect(await kubectl.ok('get', 'pods', '-o', 'custom-columns=N:.metadata.name,P:.status.phase')).toMatch(
      /sleeper\s+Running/,
    );
    expect(await kubectl.ok('get', 'pod', 'sleeper', '-o', 'jsonpath={.spec.nodeName}')).toBe('node-a');
    expect(await kubectl.ok('get', '--raw', '/readyz')).toBe('ok');
    expect(await kubectl.ok('get', 'all')).toContain('pod/sleeper');
    expect(await kubectl.fails('get', 'pod', 'nobody')).toBe('Error from server (NotFound): pods "nobody" not found\n');
  });

  test('get -w shows what comes and goes', async () => {
    const watch = kubectl.start('get', 'pods', '-w', '--no-headers');
    const says = (pattern: RegExp) =>
      eventually(
        async () => watch.output(),
        (text) => pattern.test(text),
      );
    await says(/sleeper/);
    await kubectl.apply(sleeper('watched'));
    await says(/watched\s+1\/1\s+Running/);
    await kubectl.ok('delete', 'pod', 'watched', '--now');
    await says(/watched\s+\d\/1\s+Terminating/);
    await watch.stop();
  });

  test('apply creates, configures, leaves unchanged; diff shows it first', async () => {
    expect(await kubectl.apply(configMap('cm', { a: '1' }))).toBe('configmap/cm created\n');
    const input = JSON.stringify(configMap('cm', { a: '2' }));
    const diff = await kubectl.run({ input }, 'diff', '-f', '-');
    expect(diff.stderr).toBe('');
    expect([diff.code, diff.stdout]).toEqual([1, expect.stringMatching(/-\s+a: "1"\n\+\s+a: "2"/)]);
    expect(await kubectl.okWith({ input }, 'apply', '-f', '-')).toBe('configmap/cm configured\n');
    expect(await kubectl.okWith({ input }, 'apply', '-f', '-')).toBe('configmap/cm unchanged\n');
    expect((await kubectl.run({ input }, 'diff', '-f', '-')).code).toBe(0);
    expect(await kubectl.okWith({ input }, 'apply', '--dry-run=server', '-f', '-')).toContain('(server dry run)');
    expect(await kubectl.ok('apply', 'view-last-applied', 'configmap/cm')).toContain('a: "2"');
    expect(await kubectl.okWith({ input }, 'replace', '-f', '-')).toBe('configmap/cm replaced\n');
  });

  test('apply --server-side, and a conflict that says who owns what', async () => {
    const say = (value: string, ...args: string[]) =>
      kubectl.run(
        { input: JSON.stringify(configMap('ssa', { a: value })) },
        'apply',
        '--server-side',
        '-f',
        '-',
        ...args,
      );
    expect((await say('1')).stdout).toBe('configmap/ssa serverside-applied\n');
    const conflict = await say('2', '--field-manager=other');
    expect([conflict.code, conflict.stderr]).toEqual([1, expect.stringMatching(/conflict with "kubectl".*\.data\.a/s)]);
    expect((await say('2', '--field-manager=other', '--force-conflicts')).code).toBe(0);
    expect(await kubectl.ok('get', 'cm', 'ssa', '-o', 'yaml', '--show-managed-fields')).toContain('manager: other');
  });

  test('create everything create can', async () => {
    await kubectl.ok('create', 'configmap', 'made', '--from-literal=colour=blue');
    await kubectl.ok('create', 'secret', 'generic', 'keys', '--from-literal=token=s3cret');
    expect(await kubectl.ok('get', 'secret', 'keys', '-o', 'jsonpath={.data.token}')).toBe('czNjcmV0');
    await kubectl.ok('create', 'serviceaccount', 'robot');
    const token = await kubectl.ok('create', 'token', 'robot', '--duration=10m');
    const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
    expect(claims.sub).toBe(`system:serviceaccount:${namespace}:robot`);
    await kubectl.ok('create', 'role', 'reader', '--verb=get,list', '--resource=pods');
    await kubectl.ok('create', 'rolebinding', 'robot-reads', '--role=reader', `--serviceaccount=${namespace}:robot`);
    await kubectl.ok('create', 'quota', 'few', '--hard=configmaps=50');
    await kubectl.ok('create', 'service', 'clusterip', 'plain', '--tcp=80:8080');
    await kubectl.ok('create', 'ingress', 'in', '--rule=a.example/*=plain:80');
    await kubectl.ok('create', 'job', 'once', `--image=${REDIS}`, '--', 'sh', '-c', 'true');
    await kubectl.ok(
      'create',
      'cronjob',
      'daily',
      `--image=${REDIS}`,
      '--schedule=0 3 * * *',
      '--',
      'sh',
      '-c',
      'true',
    );
    await kubectl.ok('create', 'poddisruptionbudget', 'some', '--selector=app=nothing', '--min-available=1');
    await kubectl.ok('create', 'priorityclass', `high-${namespace}`, '--value=1000');
    await kubectl.ok('delete', 'priorityclass', `high-${namespace}`);
    const list = await kubectl.ok('get', 'sa,role,rolebinding,quota,svc,ing,job,cronjob,pdb', '-o', 'name');
    for (const name of ['robot', 'reader', 'robot-reads', 'few', 'plain', 'in', 'once', 'daily', 'some'])
      expect(list).toContain(`/${name}\n`);
  });

  test('auth can-i and whoami', async () => {
    expect(await kubectl.ok('auth', 'can-i', 'create', 'pods')).toBe('yes\n');
    const robot = `--as=system:serviceaccount:${namespace}:robot`;
    expect(await kubectl.ok('auth', 'can-i', 'list', 'pods', robot)).toBe('yes\n');
    expect(await kubectl.fails('auth', 'can-i', 'delete', 'pods', robot)).toMatch(/^no\b/);
    expect(await kubectl.ok('auth', 'can-i', '--list', robot)).toMatch(/pods\s+\[\]\s+\[\]\s+\[get list\]/);
    // 1.27 asks a beta version that servers of 1.33 no longer have.
    if (version === '1.27')
      expect(await kubectl.fails('auth', 'whoami')).toContain('selfsubjectreviews API is not enabled');
    else expect(await kubectl.ok('auth', 'whoami')).toMatch(/Groups\s+\[system:masters system:authenticated\]/);
  });

  test('create deployment, set image, scale, rollout, undo, autoscale, expose', async () => {
    // A first process that has not yet said what to do on SIGTERM ignores it, for the whole grace period: so a shell is it.
    const serve = 'trap "exit 0" TERM; redis-server --protected-mode no & wait';
    await kubectl.ok(
      ...['create', 'deployment', 'web', `--image=${REDIS}`, '--replicas=1', '--port=6379', '--', 'sh', '-c', serve],
    );
    const rolledOut = async () =>
      expect(await kubectl.ok('rollout', 'status', 'deployment/web', '--timeout=120s')).toContain(
        'successfully rolled',
      );
    await rolledOut();
    await kubectl.ok('set', 'env', 'deployment/web', 'COLOUR=blue');
    await rolledOut();
    await kubectl.ok('scale', 'deployment/web', '--replicas=2');
    await rolledOut();
    expect(await kubectl.ok('set', 'image', 'deployment/web', `guestbook-redis=${REDIS}`)).toBe('');
    await kubectl.ok('set', 'resources', 'deployment/web', '--requests=cpu=10m', '--limits=memory=64Mi');
    await kubectl.ok('rollout', 'pause', 'deployment/web');
    await kubectl.ok('rollout', 'resume', 'deployment/web');
    await kubectl.ok('rollout', 'restart', 'deployment/web');
    await rolledOut();
    expect((await kubectl.ok('rollout', 'history', 'deployment/web')).trim().split('\n').length).toBeGreaterThan(3);
    expect(await kubectl.ok('rollout', 'history', 'deployment/web', '--revision=1')).toContain('Pod Template');
    await kubectl.ok('rollout', 'undo', 'deployment/web', '--to-revision=1');
    await rolledOut();
    expect(await kubectl.ok('get', 'deploy', 'web', '-o', 'yaml')).not.toContain('COLOUR');
    expect(await kubectl.ok('set', 'image', 'deployment/web', 'guestbook-redis=example.com/other:2')).toContain(
      'image updated',
    );
    await kubectl.ok('rollout', 'undo', 'deployment/web');
    await rolledOut();
    await kubectl.ok('autoscale', 'deployment/web', '--min=1', '--max=3', '--cpu-percent=80');
    expect(await kubectl.ok('get', 'hpa', 'web')).toMatch(/web\s+Deployment\/web\s+.*80%\s+1\s+3/);
    await kubectl.ok('expose', 'deployment/web', '--port=6379');
    const ready = 'jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}';
    await eventually(
      () => kubectl.ok('get', 'endpointslices', '-l', 'kubernetes.io/service-name=web', '-o', ready),
      (out) => out.split(' ').length === 2,
    );
  });

  test('label, annotate, patch three ways, edit, taint', async () => {
    await kubectl.ok('label', 'pod', 'sleeper', 'tier=front');
    expect(await kubectl.ok('get', 'pods', '-l', 'tier in (front,back)', '-L', 'tier')).toMatch(/sleeper.*front/);
    expect(await kubectl.fails('label', 'pod', 'sleeper', 'tier=back')).toContain('--overwrite is false');
    await kubectl.ok('label', 'pod', 'sleeper', 'tier-');
    await kubectl.ok('annotate', 'pod', 'sleeper', 'note=well done');
    const image = (patch: object | object[], type: string) =>
      kubectl.ok('patch', 'deployment', 'web', `--type=${type}`, '-p', JSON.stringify(patch));
    const readinessProbe = { tcpSocket: { port: 6379 }, periodSeconds: 1, timeoutSeconds: 60 };
    await image(
      { spec: { template: { spec: { containers: [{ name: 'guestbook-redis', tty: true, readinessProbe }] } } } },
      'strategic',
    );
    await image([{ op: 'add', path: '/metadata/labels/json', value: 'yes' }], 'json');
    await image({ metadata: { labels: { merge: 'yes', json: null } } }, 'merge');
    expect(JSON.parse(await kubectl.ok('get', 'deployment', 'web', '-o', 'json'))).toMatchObject({
      metadata: { labels: { app: 'web', merge: 'yes' } },
      spec: { template: { spec: { containers: [{ image: REDIS, tty: true }] } } },
    });
    const edit = (script: string, ...what: string[]) =>
      kubectl.okWith({ env: { EDITOR: `sed -i ${script}` } }, 'edit', ...what);
    expect(await edit('s/colour:.*/colour:\\ green/', 'configmap', 'made')).toBe('configmap/made edited\n');
    expect(await kubectl.ok('get', 'cm', 'made', '-o', 'jsonpath={.data.colour}')).toBe('green');
    await kubectl.ok('taint', 'node', 'node-a', `${namespace}=x:PreferNoSchedule`);
    await kubectl.ok('taint', 'node', 'node-a', `${namespace}-`);
  });

  test('describe pod, deployment, node, service; events', async () => {
    const pod = await kubectl.ok('describe', 'pod', 'sleeper');
    for (const word of ['Node:             node-a/', 'Status:           Running', 'Scheduled', 'Pulled', 'Started'])
      expect(pod).toContain(word);
    expect(await kubectl.ok('describe', 'deployment', 'web')).toMatch(/Replicas:\s+2 desired/);
    expect(await kubectl.ok('describe', 'svc', 'web')).toMatch(/Endpoints:\s+10\.244\.0\.\d+:6379/);
    const node = await kubectl.ok('describe', 'node', 'node-a');
    expect(node).toMatch(/Ready\s+True/);
    expect(node).toMatch(/Allocated resources:/);
    for (const what of [
      'configmap/made',
      'secret/keys',
      'hpa/web',
      'ingress/in',
      'quota/few',
      'job/once',
      'cronjob/daily',
    ])
      expect(await kubectl.ok('describe', what)).toMatch(/^Name:/);
    expect(await kubectl.ok('events', '--for=pod/sleeper')).toMatch(/Normal\s+Scheduled\s+Pod\/sleeper/);
    expect(await kubectl.ok('get', 'events', '--field-selector=reason=Started')).toContain('pod/sleeper');
  });

  test('logs, logs -f, of a selector and with times', async () => {
    expect(await kubectl.ok('logs', 'sleeper')).toBe('started\n');
    expect(await kubectl.ok('logs', '-l', 'app=sleeper', '--prefix')).toBe('[pod/sleeper/main] started\n');
    expect(await kubectl.ok('logs', 'sleeper', '--timestamps')).toMatch(/^\d{4}-\d\d-\d\dT\S+Z started\n$/);
    await kubectl.apply(
      shellPod('talker', 'for i in 1 2 3; do echo line $i; busybox sleep 0.3; done', { restartPolicy: 'Never' }),
    );
    await eventually(
      () => kubectl.run({}, 'logs', '-f', 'talker'),
      (ran) => ran.stdout === 'line 1\nline 2\nline 3\n',
    );
    expect(await kubectl.ok('logs', 'talker', '--tail=1')).toBe('line 3\n');
  });

  test('exec and its exit code, cp both ways, attach, run -i --rm, port-forward', async () => {
    expect(await kubectl.ok('exec', 'sleeper', '--', 'cat', '/proc/1/comm')).toBe('sh\n');
    expect((await kubectl.run({}, 'exec', 'sleeper', '--', 'sh', '-c', 'exit 7')).code).toBe(7);
    expect(await kubectl.okWith({ input: 'from stdin' }, 'exec', '-i', 'sleeper', '--', 'cat')).toBe('from stdin');
    await kubectl.ok('exec', 'sleeper', '--', 'busybox', 'ln', '-s', 'busybox', '/bin/tar');
    const here = join(place.dataDir, `copied-${namespace}`);
    await mkdir(here);
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) & 255));
    await writeFile(join(here, 'there'), bytes);
    await kubectl.ok('cp', join(here, 'there'), 'sleeper:/tmp-there');
    await kubectl.ok('cp', 'sleeper:/tmp-there', join(here, 'back'));
    expect((await readFile(join(here, 'back'))).equals(bytes)).toBe(true);

    await kubectl.apply(shellPod('echo', 'cat', { restartPolicy: 'Never' }, { stdin: true, stdinOnce: true }));
    await kubectl.ok('wait', 'pod/echo', '--for=condition=Ready', '--timeout=120s');
    expect(await kubectl.okWith({ input: 'attached\n' }, 'attach', '-i', 'echo')).toContain('attached\n');
    expect(
      await kubectl.okWith(
        { input: 'run and gone\n' },
        ...[
          'run',
          'quick',
          `--image=${REDIS}`,
          '--rm',
          '-i',
          '--restart=Never',
          '--quiet',
          '--command',
          '--',
          'sh',
          '-c',
          'cat',
        ],
      ),
    ).toContain('run and gone\n');
    expect(await kubectl.fails('get', 'pod', 'quick')).toContain('not found');

    await kubectl.ok('rollout', 'status', 'deployment/web', '--timeout=120s');
    const forward = kubectl.start('port-forward', 'deployment/web', ':6379');
    const said = await eventually(
      async () => /127\.0\.0\.1:(\d+) -> 6379/.exec(forward.output()),
      (match) => match !== null,
    );
    expect((await place.run('redis-cli', ['-p', said![1]!, 'ping'])).stdout).toBe('PONG\n');
    await forward.stop();
  });

  test('cordon, drain with an eviction, uncordon; top', async () => {
    await kubectl.apply(sleeper('evictee'));
    await kubectl.ok('wait', 'pod/evictee', '--for=condition=Ready', '--timeout=120s');
    await kubectl.ok('cordon', 'node-a');
    expect(await kubectl.ok('get', 'node', 'node-a')).toContain('Ready,SchedulingDisabled');
    const drained = await kubectl.ok('drain', 'node-a', '--pod-selector=app=evictee', '--force', '--timeout=120s');
    expect(drained).toMatch(/evicting pod \S+\/evictee|pod\/evictee evicted/);
    expect(await kubectl.fails('get', 'pod', 'evictee')).toContain('not found');
    await kubectl.ok('uncordon', 'node-a');
    expect(await kubectl.ok('top', 'nodes')).toMatch(/^node-a +\d+m +\d+% +\d+Mi +\d+%/m);
    expect(await kubectl.ok('top', 'pods')).toMatch(/^sleeper +\d+m +\d+Mi/m);
  });

  test('wait and delete', async () => {
    await kubectl.ok('wait', 'pod/talker', '--for=jsonpath={.status.phase}=Succeeded', '--timeout=120s');
    const gone = kubectl.start('wait', 'pod/sleeper', '--for=delete', '--timeout=120s');
    expect(await kubectl.ok('delete', 'pod', 'sleeper')).toContain('pod "sleeper" deleted');
    expect(await gone.done).toBe(0);
    expect(await kubectl.ok('delete', 'deployment,service,hpa', 'web')).toContain('"web" deleted');
    expect(await kubectl.ok('delete', 'configmap', '--all')).toContain('configmap "cm" deleted');
    expect(await kubectl.ok('delete', 'pod', 'nobody', '--ignore-not-found')).toBe('');
    expect(await kubectl.fails('delete', 'pod', 'nobody')).toContain('pods "nobody" not found');
  });
}
