import { Cluster, eventually, Place } from '../e2e/cluster.js';

/**
 * Conformance tests of kubectl that need controllers and pods that say they run, under their own names: real kubectl, a whole
 * `trimtab up` in a network namespace of its own, three simulated nodes. Needs root and kubectl.
 */
const possible = process.getuid?.() === 0;
const suite = possible ? describe : describe.skip;

suite('[sig-cli] Kubectl client', () => {
  let place: Place;
  let cluster: Cluster;
  let count = 0;
  beforeAll(async () => {
    place = await new Place().make();
    cluster = await Cluster.start(place, '--no-node', '--simulated-nodes', '3');
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
  });

  /** kubectl in a new namespace. */
  async function inNamespace() {
    const namespace = `kubectl-${count++}`;
    await cluster.must('create', 'namespace', namespace);
    const kubectl = (...args: readonly string[]) => cluster.must('-n', namespace, ...args);
    const apply = (manifest: object) => cluster.apply(manifest, '-n', namespace);
    const names = async (selector: string) =>
      (await kubectl('get', 'pods', '-l', selector, '-o', 'template', '--template', NAMES)).split(' ').filter(Boolean);
    const running = (selector: string, wanted: number) =>
      eventually(
        () => kubectl('get', 'pods', '-l', selector, '-o', 'jsonpath={.items[*].status.phase}'),
        (phases) => phases.split(' ').filter((phase) => phase === 'Running').length === wanted,
      );
    return { namespace, kubectl, apply, names, running };
  }
  const NAMES = '{{range.items}}{{.metadata.name}} {{end}}';
  const controllerOf = (name: string, app: string, replicas = 1, image = 'agnhost:2') => ({
    apiVersion: 'v1',
    kind: 'ReplicationController',
    metadata: { name, labels: { app } },
    spec: {
      replicas,
      selector: { app },
      template: {
        metadata: { labels: { app } },
        spec: { containers: [{ name, image, ports: [{ containerPort: 80 }] }] },
      },
    },
  });

  test('[sig-cli] Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info [Conformance]', async () => {
    expect(await cluster.must('cluster-info')).toMatch(/Kubernetes control plane.* is running at .*https:\/\//);
  });

  test('[sig-cli] Kubectl client Kubectl run pod should create a pod from an image when restart is Never [Conformance]', async () => {
    const { kubectl } = await inNamespace();
    await kubectl('run', 'e2e-test-httpd-pod', '--restart=Never', '--pod-running-timeout=2m0s', '--image=httpd:2');
    const pod = JSON.parse(await kubectl('get', 'pod', 'e2e-test-httpd-pod', '-o', 'json'));
    expect(pod.spec).toMatchObject({ restartPolicy: 'Never', containers: [{ image: 'httpd:2' }] });
    await kubectl('delete', 'pods', 'e2e-test-httpd-pod');
  });

  test("[sig-cli] Kubectl client Kubectl replace should update a single-container pod's image [Conformance]", async () => {
    const { namespace, kubectl, running } = await inNamespace();
    const label = 'run=e2e-test-httpd-pod';
    await kubectl('run', 'e2e-test-httpd-pod', '--image=httpd:2', '--pod-running-timeout=2m0s', `--labels=${label}`);
    await running(label, 1);
    const input = (await kubectl('get', 'pod', 'e2e-test-httpd-pod', '-o', 'json')).replaceAll('httpd:2', 'busybox:1');
    await cluster.mustWith({ input }, '-n', namespace, 'replace', '-f', '-');
    const image = ['-o', 'jsonpath={.spec.containers[0].image}'];
    expect(await kubectl('get', 'pod', 'e2e-test-httpd-pod', ...image)).toBe('busybox:1');
    await kubectl('delete', 'pods', 'e2e-test-httpd-pod');
  });

  test('[sig-cli] Kubectl client Kubectl describe should check if kubectl describe prints relevant information for rc and pods [Conformance]', async () => {
    const { namespace, kubectl, apply, names, running } = await inNamespace();
    await apply(controllerOf('agnhost-primary', 'agnhost'));
    await apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'agnhost-primary', labels: { app: 'agnhost', role: 'primary' } },
      spec: { ports: [{ port: 6379, targetPort: 80 }], selector: { app: 'agnhost' } },
    });
    await running('app=agnhost', 1);
    const [pod] = await names('app=agnhost');
    const shown = await kubectl('describe', 'pod', pod!);
    for (const part of [
      /Name:\s+agnhost-primary-/,
      `Namespace:`,
      /Node:\s+simulated-/,
      /Labels:\s+app=agnhost/,
      /Status:\s+Running/,
      'IP:',
      /Controlled By:\s+ReplicationController\/agnhost-primary/,
      'Image:',
      /State:\s+Running/,
      'QoS Class:',
    ])
      expect(shown).toMatch(part);
    const rc = await kubectl('describe', 'rc', 'agnhost-primary');
    for (const part of [
      /Name:\s+agnhost-primary/,
      `Namespace:    ${namespace}`,
      /Selector:\s+app=agnhost/,
      /Replicas:\s+1 current \/ 1 desired/,
      /Pods Status:\s+1 Running \/ 0 Waiting \/ 0 Succeeded \/ 0 Failed/,
      'Pod Template:',
      'Events:',
    ])
      expect(rc).toMatch(part);
    const service = await kubectl('describe', 'service', 'agnhost-primary');
    for (const part of [
      /Name:\s+agnhost-primary/,
      /Selector:\s+app=agnhost/,
      /Type:\s+ClusterIP/,
      /IP:\s+\d/,
      /Port:\s+<unset>\s+6379\/TCP/,
      /Endpoints:\s+\d/,
      /Session Affinity:\s+None/,
    ])
      expect(service).toMatch(part);
    const node = await kubectl('get', 'pod', pod!, '-o', 'jsonpath={.spec.nodeName}');
    const described = await kubectl('describe', 'node', node);
    for (const part of ['Conditions:', 'Addresses:', 'Capacity:', 'Kubelet Version:', pod!])
      expect(described).toContain(part);
    expect(await kubectl('describe', 'namespace', namespace)).toMatch(/Name:\s+kubectl-\d+[\s\S]*Status:\s+Active/);
  });

  test('[sig-cli] Kubectl client Kubectl expose should create services for rc [Conformance]', async () => {
    const { kubectl, apply, running } = await inNamespace();
    await apply(controllerOf('agnhost-primary', 'agnhost'));
    await running('app=agnhost', 1);
    const published = async (name: string, port: number) => {
      const service = JSON.parse(await kubectl('get', 'service', name, '-o', 'json'));
      expect(service.spec.ports).toMatchObject([{ port, targetPort: 6379 }]);
      await eventually(
        () =>
          kubectl('get', 'endpoints', name, '-o', 'jsonpath={.subsets[*].ports[*].port} {.subsets[*].addresses[*].ip}'),
        (text) => /^6379 \d+\./.test(text),
      );
    };
    await kubectl('expose', 'rc', 'agnhost-primary', '--name=rm2', '--port=1234', '--target-port=6379');
    await published('rm2', 1234);
    await kubectl('expose', 'service', 'rm2', '--name=rm3', '--port=2345', '--target-port=6379');
    await published('rm3', 2345);
  });

  test('[sig-cli] Kubectl client Kubectl patch should add annotations for pods in rc [Conformance]', async () => {
    const { kubectl, apply, names, running } = await inNamespace();
    await apply(controllerOf('agnhost-primary', 'agnhost'));
    await running('app=agnhost', 1);
    for (const pod of await names('app=agnhost')) {
      await kubectl('patch', 'pod', pod, '-p', '{"metadata":{"annotations":{"x":"y"}}}');
      expect(await kubectl('get', 'pod', pod, '-o', 'jsonpath={.metadata.annotations.x}')).toBe('y');
    }
  });

  describe('Update Demo', () => {
    const demo = (replicas: number) => controllerOf('update-demo-nautilus', 'update-demo', replicas, 'nautilus:1.7');
    /** As the e2e test asks: by templates that look into each pod. */
    const valid = async (of: Awaited<ReturnType<typeof inNamespace>>, wanted: number) => {
      await of.running('app=update-demo', wanted);
      const pods = await eventually(
        () => of.names('app=update-demo'),
        (found) => found.length === wanted,
      );
      const running =
        '{{if (exists . "status" "containerStatuses")}}{{range .status.containerStatuses}}{{if (and (eq .name "update-demo-nautilus") (exists . "state" "running"))}}true{{end}}{{end}}{{end}}';
      const image =
        '{{if (exists . "spec" "containers")}}{{range .spec.containers}}{{if eq .name "update-demo-nautilus"}}{{.image}}{{end}}{{end}}{{end}}';
      for (const pod of pods) {
        await eventually(
          () => of.kubectl('get', 'pods', pod, '-o', 'template', `--template=${running}`),
          (text) => text === 'true',
        );
        expect(await of.kubectl('get', 'pods', pod, '-o', 'template', `--template=${image}`)).toBe('nautilus:1.7');
      }
    };

    test('[sig-cli] Kubectl client Update Demo should create and stop a replication controller [Conformance]', async () => {
      const of = await inNamespace();
      await of.apply(demo(2));
      await valid(of, 2);
      await of.kubectl('delete', '--grace-period=0', '--force', 'rc', 'update-demo-nautilus');
      await eventually(
        () => of.kubectl('get', 'rc,svc,pods', '-l', 'app=update-demo', '--no-headers'),
        (text) => text === '',
      );
    });

    test('[sig-cli] Kubectl client Update Demo should scale a replication controller [Conformance]', async () => {
      const of = await inNamespace();
      await of.apply(demo(2));
      await valid(of, 2);
      await of.kubectl('scale', 'rc', 'update-demo-nautilus', '--replicas=1', '--timeout=5m');
      await valid(of, 1);
      await of.kubectl('scale', 'rc', 'update-demo-nautilus', '--replicas=2', '--timeout=5m');
      await valid(of, 2);
    });
  });
});
