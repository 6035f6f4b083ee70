import { spawn } from 'node:child_process';
import type { Node, Pod, Service } from '@trimtab/machinery';
import { Cluster, eventually, FRONTEND, guestbookImages, Place } from '../e2e/cluster.js';
import { ASK_UDP, FETCH, RESOLVE, SERVER } from './net-programs.js';

/**
 * Within a `describe`: a whole `trimtab up` in a network namespace of its own, with real pods and real kubectl, and a namespace for each
 * test. Needs root, kubectl and what the guestbook's images are made of.
 */
export function useNetCluster() {
  let place: Place;
  let cluster: Cluster;
  let ns = '';
  let count = 0;
  let nodeIP = '';

  beforeAll(async () => {
    place = await new Place().make();
    await guestbookImages(place);
    cluster = await Cluster.start(place);
    const { status } = await cluster.json<Node>('get', 'node', 'node-a');
    nodeIP = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
  });
  beforeEach(async () => {
    ns = `net-${count++}`;
    await cluster.must('create', 'namespace', ns);
    await eventually(
      () => cluster.kubectl('-n', ns, 'get', 'serviceaccount', 'default'),
      ({ code }) => code === 0,
    );
  });
  afterEach(() => cluster.must('delete', 'namespace', ns, '--wait=false'));

  const kubectl = (...args: readonly string[]) => cluster.must('-n', ns, ...args);
  const get = <T>(...args: readonly string[]) => cluster.json<T>('-n', ns, 'get', ...args);
  const apply = (...items: readonly object[]) =>
    cluster.apply({ apiVersion: 'v1', kind: 'List', items }, '-n', ns, '--force-conflicts', '--server-side');
  const node = (script: string, ...args: readonly string[]) => ['/usr/bin/node', '-e', script, ...args];
  const readinessProbe = { tcpSocket: { port: 8080 }, periodSeconds: 1, timeoutSeconds: 60 };
  const pod = (name: string, script: string, container: object = {}, spec: object = {}, labels: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { name, ...labels } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'c', image: FRONTEND, command: node(script), ...container }],
      ...spec,
    },
  });
  const server = (name: string, labels: object = { app: 'server' }, container: object = {}, spec: object = {}) =>
    pod(name, SERVER, { readinessProbe, ...container }, spec, labels);
  const service = (name: string, spec: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: 'server' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...spec },
  });
  const ready = (...names: readonly string[]) =>
    kubectl('wait', '--for=condition=Ready', '--timeout=120s', ...names.map((name) => `pod/${name}`));
  const inside = async (name: string, ...command: readonly string[]) =>
    (await kubectl('exec', name, '--', ...command)).trimEnd();
  const fetch = (from: string, url: string, times = 1) => inside(from, ...node(FETCH, url, String(times)));
  const udp = (from: string, host: string, port: number) => inside(from, ...node(ASK_UDP, host, String(port)));
  const resolve = async (from: string, kind: string, name: string) =>
    JSON.parse(await inside(from, ...node(RESOLVE, kind, name)));
  const answers = (ask: () => Promise<string>, wanted: string) => eventually(ask, (said) => said === wanted);
  const addressOf = async (name: string) => (await get<Service>('service', name)).spec?.clusterIP ?? '';
  const ipOf = async (name: string) => (await get<Pod>('pod', name)).status?.podIP ?? '';

  /** kubectl proxy while something is done through it; where is told what it is to listen on. */
  async function proxying<T>(where: readonly string[], use: (said: string) => Promise<T>): Promise<T> {
    const [program, words] = place.inside('kubectl', ['proxy', ...where]);
    const env = { ...process.env, HOME: place.dataDir, KUBECONFIG: cluster.ready.kubeconfig };
    const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (data) => (said += data));
    try {
      return await use(
        await eventually(
          async () => said,
          (text) => /Starting to serve on .+\n/.test(text),
        ),
      );
    } finally {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill();
      await ended;
    }
  }
  const curl = async (...args: readonly string[]) => (await place.run('curl', ['-sS', ...args])).stdout;

  return {
    get place() {
      return place;
    },
    get cluster() {
      return cluster;
    },
    get ns() {
      return ns;
    },
    get nodeIP() {
      return nodeIP;
    },
    kubectl,
    get,
    apply,
    pod,
    server,
    service,
    ready,
    inside,
    fetch,
    udp,
    resolve,
    answers,
    addressOf,
    ipOf,
    proxying,
    curl,
    readinessProbe,
  };
}
