import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster, eventually, Place } from './cluster.js';
import { ME_SECRET, Registry, whyNoImageTools } from './registry.js';

/** Images as pods see them: built here, pulled from registries open and closed, kept while somebody stands on them. */

const whyNot = whyNoImageTools('docker-registry', 'busybox', 'kubectl');
if (whyNot) console.warn(`pods' images are not tested: ${whyNot}`);
const here = whyNot ? describe.skip : describe;

const OPEN = '127.0.0.1:5000';
const CLOSED = '127.0.0.1:5001';
/** Closed as well, but for who asks the node's credential helper. */
const HELPED = '127.0.0.1:5002';

interface PodStatus {
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly {
      readonly imageID: string;
      readonly image: string;
      readonly state: { readonly waiting?: { readonly reason: string; readonly message: string } };
    }[];
  };
}

here('images of pods', () => {
  let place: Place;
  let cluster: Cluster;
  const registries: Registry[] = [];

  const trimtab = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await place.trimtab(...args, '--data-dir', place.dataDir);
    if (code !== 0) throw new Error(`trimtab ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  const pod = (name: string, image: string, imagePullPolicy: string, spec: object = {}): Promise<string> =>
    cluster.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: 'main', image, imagePullPolicy }],
        ...spec,
      },
    });
  const statusOf = (name: string): Promise<PodStatus> => cluster.json<PodStatus>('get', 'pod', name);
  const running = (name: string): Promise<PodStatus> =>
    eventually(
      () => statusOf(name),
      ({ status }) => status.phase === 'Running',
    );
  const waiting = async (name: string, reason: string): Promise<string> => {
    const { status } = await eventually(
      () => statusOf(name),
      (p) => p.status.containerStatuses?.[0]?.state.waiting?.reason === reason,
    );
    return status.containerStatuses![0]!.state.waiting!.message;
  };
  const eventsNow = async (name: string): Promise<readonly string[]> => {
    const { items } = await cluster.json<{ items: { reason: string; message: string }[] }>(
      'get',
      'events',
      `--field-selector=involvedObject.name=${name}`,
    );
    return items.map(({ reason, message }) => `${reason}: ${message}`);
  };
  /** Events are written beside what they tell of: each is there in the end. */
  const told = (name: string, ...wanted: readonly (string | RegExp)[]) =>
    eventually(
      () => eventsNow(name),
      (events) =>
        wanted.every((one) => events.some((event) => (typeof one === 'string' ? event === one : one.test(event)))),
    );

  beforeAll(async () => {
    place = await new Place().make();
    const context = join(place.dataDir, 'context');
    await mkdir(context);
    await copyFile('/bin/busybox', join(context, 'busybox'));
    await writeFile(
      join(context, 'Dockerfile'),
      `FROM scratch AS base
COPY busybox /bin/sh
FROM base
RUN echo built > /message
ENTRYPOINT ["/bin/sh", "-c", "cat /message; sleep 600"]
`,
    );
    registries.push(await Registry.start(place, 5000));
    for (const port of [5001, 5002]) registries.push(await Registry.start(place, port, ME_SECRET));
    await trimtab('build', context, '-t', 'built:1', '--network', 'none');
    await trimtab('image', 'push', 'built:1', `${OPEN}/app:1`);
    for (const closed of [CLOSED, HELPED])
      await trimtab('image', 'push', 'built:1', `${closed}/app:1`, '--creds', 'me:secret');
    const programs = join(place.dataDir, 'programs');
    await mkdir(programs);
    const helper = '#!/bin/sh\ncat > "$0.asked"\necho \'{"Username":"me","Secret":"secret"}\'\n';
    await writeFile(join(programs, 'docker-credential-mine'), helper, { mode: 0o755 });
    await writeFile(join(place.dataDir, 'config.json'), JSON.stringify({ credHelpers: { [HELPED]: 'mine' } }));
    cluster = await Cluster.startAs(['env', `PATH=${programs}:${process.env.PATH}`], place);
  });

  afterAll(async () => {
    await cluster?.stop();
    for (const registry of registries) await registry.stop();
    await place?.remove();
  });

  test('what was built runs at once, without a registry; the node shows it', async () => {
    await pod('built', 'built:1', 'Never');
    const { status } = await running('built');
    await eventually(
      () => cluster.must('logs', 'built'),
      (log) => log === 'built\n',
    );
    expect(status.containerStatuses![0]!.imageID).toMatch(/sha256:[0-9a-f]{64}$/);
    const node = await eventually(
      () => cluster.json<{ status: { images: { names: string[]; sizeBytes: number }[] } }>('get', 'node', 'node-a'),
      (n) => n.status.images.length > 0,
    );
    expect(node.status.images.flatMap((i) => i.names)).toContain('docker.io/library/built:1');
  });

  test('a pull is told in events, and the pod names the image by the digest of its repository', async () => {
    await trimtab('image', 'rm', 'built:1').catch(() => {});
    await pod('pulled', `${OPEN}/app:1`, 'Always');
    const { status } = await running('pulled');
    expect(status.containerStatuses![0]!.imageID).toMatch(/^127\.0\.0\.1:5000\/app@sha256:[0-9a-f]{64}$/);
    await told(
      'pulled',
      `Pulling: Pulling image "${OPEN}/app:1"`,
      /^Pulled: Successfully pulled image ".*" in \d+.*m?s \(.* including waiting\)\. Image size: \d+ bytes\.$/,
    );
  });

  test('a closed registry is refused in words, and opened by the pull secret of a service account', async () => {
    await pod('refused', `${CLOSED}/app:1`, 'Always');
    expect(await waiting('refused', 'ImagePullBackOff')).toMatch(
      /^Back-off pulling image "127\.0\.0\.1:5001\/app:1": ErrImagePull: .*pull access denied, repository does not exist or may require authorization/,
    );
    await told(
      'refused',
      'Failed: Error: ErrImagePull',
      'Failed: Error: ImagePullBackOff',
      `BackOff: Back-off pulling image "${CLOSED}/app:1"`,
    );
    await cluster.must(
      'create',
      'secret',
      'docker-registry',
      'me',
      `--docker-server=${CLOSED}`,
      '--docker-username=me',
      '--docker-password=secret',
    );
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'puller' },
      imagePullSecrets: [{ name: 'me' }],
    });
    await pod('allowed', `${CLOSED}/app:1`, 'Always', { serviceAccountName: 'puller' });
    await running('allowed');
    await pod('mistaken', `${CLOSED}/app:1`, 'Always', { imagePullSecrets: [{ name: 'not-there' }] });
    await waiting('mistaken', 'ImagePullBackOff');
    await told(
      'mistaken',
      'FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (not-there); attempting to pull the image may not succeed.',
    );
  });

  test('a closed registry is opened by the credential helper that the node has for it', async () => {
    await pod('helped', `${HELPED}/app:1`, 'Always');
    await running('helped');
    expect(await readFile(join(place.dataDir, 'programs/docker-credential-mine.asked'), 'utf8')).toBe(HELPED);
  });

  test('what cannot be is told as what it is', async () => {
    await pod('never', 'not-here:1', 'Never');
    expect(await waiting('never', 'ErrImageNeverPull')).toBe(
      'Container image "not-here:1" is not present with pull policy of Never',
    );
    await pod('nonsense', 'UPPER/case', 'IfNotPresent');
    expect(await waiting('nonsense', 'InvalidImageName')).toMatch(
      /couldn't parse image name: invalid reference format/,
    );
    await pod('none', `${OPEN}/none:1`, 'IfNotPresent');
    expect(await waiting('none', 'ImagePullBackOff')).toMatch(/127\.0\.0\.1:5000\/none:1: not found/);
  });

  test('layers outlive their image while a container stands on them, and no longer', async () => {
    await cluster.must('delete', 'pod', '--all', '--wait=true');
    await trimtab('image', 'pull', `${OPEN}/app:1`);
    await pod('stands', `${OPEN}/app:1`, 'IfNotPresent');
    await running('stands');
    await trimtab('image', 'prune', '--all');
    for (const name of [OPEN, CLOSED, HELPED].map((registry) => `${registry}/app:1`))
      await trimtab('image', 'rm', name).catch(() => {});
    expect(await trimtab('image', 'ls')).not.toContain('app');
    expect(
      await cluster.must('exec', 'stands', '--', '/bin/sh', '-c', 'exec sh -c "echo alive" 2>/dev/null || echo alive'),
    ).toContain('alive');
    expect((await readdir(join(place.dataDir, 'images/layers'))).length).toBeGreaterThan(0);
    await cluster.must('delete', 'pod', 'stands', '--wait=true');
    await eventually(
      async () => {
        await trimtab('image', 'prune', '--all');
        return readdir(join(place.dataDir, 'images/layers'));
      },
      (left) => left.length === 0,
    );
  });
});
