import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Deployment, Pod, ReplicaSet } from '@trimtab/machinery';
import { keepClusterFile, readClusterFile } from '../cluster-file.js';
import { pathsOf } from '../paths.js';
import { portHolder } from '../port-holder.js';
import { parseSet } from './install-chart.js';
import { checkOptions, type RawUpOptions } from './options.js';
import { isRolledOut, rolloutTree } from './rollout-tree.js';
import { watchUntil } from './watch-until.js';

describe('options', () => {
  const raw: RawUpOptions = {
    dataDir: '/data',
    port: 6443,
    bind: '0.0.0.0',
    nodeName: 'Node-A',
    podCidr: '10.244.0.0/24',
    serviceCidr: '10.96.0.0/16',
    dnsDomain: 'cluster.local',
    node: true,
    simulatedNodes: 0,
    set: [],
    logLevel: 'warn',
    output: 'text',
  };

  test('are spelled out: addresses of the API Service, of DNS and of the gateway, and a name Kubernetes takes', () => {
    expect(checkOptions(raw, true)).toMatchObject({
      nodeName: 'node-a',
      kubernetesIP: '10.96.0.1',
      dnsIP: '10.96.0.10',
      podGateway: '10.244.0.1',
      kubeconfig: '/data/kubeconfig',
    });
    expect(checkOptions({ ...raw, serviceCidr: '172.20.255.240/28' }, true).dnsIP).toBe('172.20.255.250');
  });

  test.each<[string, Partial<RawUpOptions>]>([
    ['--node-name under_score', { nodeName: 'under_score' }],
    ['--pod-cidr 10.244.0.0', { podCidr: '10.244.0.0' }],
    ['--pod-cidr 10.300.0.0/24', { podCidr: '10.300.0.0/24' }],
    ['--pod-cidr 10.244.0.0/30', { podCidr: '10.244.0.0/30' }],
    ['--service-cidr 10.96.0.0/29', { serviceCidr: '10.96.0.0/29' }],
    ['--service-cidr 10.244.0.0/16 and --pod-cidr 10.244.0.0/24 overlap', { serviceCidr: '10.244.0.0/16' }],
    ['--dns-domain -x', { dnsDomain: '-x' }],
    ['--bind nowhere', { bind: 'nowhere' }],
  ])('%s is refused by its name', (message, change) => {
    expect(() => checkOptions({ ...raw, ...change }, true)).toThrow(message);
  });

  test('without root say what cannot work and what still does', () => {
    expect(() => checkOptions(raw, false)).toThrow(/needs root[\s\S]*trimtab up --no-node --simulated-nodes 1/);
    expect(checkOptions({ ...raw, node: false }, false).node).toBe(false);
  });
});

test('a cluster keeps its ranges: a start with others is refused, naming the option', () => {
  const data = mkdtempSync(join(tmpdir(), 'trimtab-cli-'));
  const paths = pathsOf(data);
  const ranges = { podCidr: '10.1.0.0/24', serviceCidr: '10.2.0.0/16', dnsDomain: 'a.b' };
  expect(readClusterFile(paths)).toBeUndefined();
  keepClusterFile(paths, ranges);
  keepClusterFile(paths, ranges);
  expect(readClusterFile(paths)).toEqual(ranges);
  expect(() => keepClusterFile(paths, { ...ranges, podCidr: '10.3.0.0/24' })).toThrow(
    `--pod-cidr 10.3.0.0/24: the cluster in ${data} was made with 10.1.0.0/24`,
  );
  expect(() => keepClusterFile(pathsOf('/proc/nowhere/deep'), ranges)).toThrow('/proc/nowhere/deep cannot be written');
  expect(() => keepClusterFile(pathsOf(join(data, 'cluster.json', 'in-a-file')), ranges)).toThrow(
    /data directory .*in-a-file cannot be written .*ENOTDIR.*choose another with --data-dir/,
  );
  rmSync(data, { recursive: true });
});

test('whoever listens on a port is found', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  expect(portHolder(port)?.pid).toBe(process.pid);
  await new Promise((resolve) => server.close(resolve));
  expect(portHolder(port)).toBeUndefined();
});

test('--set makes nested values of the type they look like', () => {
  expect(parseSet(['a.b=1', 'a.c=true', 'd=x=y', 'e=null', 'f=007', 'a.g=1.5'])).toEqual({
    a: { b: 1, c: true, g: 1.5 },
    d: 'x=y',
    e: null,
    f: '007',
  });
});

describe('the progress tree', () => {
  const owner = (uid: string) => ({ ownerReferences: [{ uid, apiVersion: 'apps/v1', kind: 'X', name: 'x' }] });
  const deployment = (name: string, available: number, observedGeneration = 1): Deployment => ({
    metadata: { name, uid: name, generation: 1 },
    spec: { replicas: 2, selector: {}, template: {} },
    status: { observedGeneration, replicas: 2, updatedReplicas: 2, availableReplicas: available },
  });
  const set: ReplicaSet = { metadata: { name: 'rs', uid: 'rs', ...owner('web') }, spec: { selector: {} } };
  const pod = (name: string, status: Pod['status'], nodeName?: string): Pod => ({
    metadata: { name, ...owner('rs') },
    spec: { containers: [], ...(nodeName ? { nodeName } : {}) },
    status,
  });
  const ready: Pod['status'] = { conditions: [{ type: 'Ready', status: 'True' }] };

  test('shows what each pod that is missing waits for, and nothing more once all are there', () => {
    const pods = [
      pod('a', { conditions: [{ type: 'PodScheduled', status: 'False', message: 'no room' }] }),
      pod('b', ready, 'n'),
    ];
    expect(rolloutTree({ deployments: [deployment('web', 1)], replicaSets: [set], pods }, false)).toEqual([
      '… web 1/2',
      '    a waits for a node: no room',
    ]);
    expect(rolloutTree({ deployments: [deployment('web', 2)], replicaSets: [set], pods }, false)).toEqual([
      '✔ web 2/2',
    ]);
  });

  test('a status of an older spec is not believed', () => {
    expect(isRolledOut(deployment('web', 2, 0))).toBe(false);
  });

  test.each<[string, Pod]>([
    ['waits for a node', pod('p', {})],
    ['is being started', pod('p', {}, 'n')],
    [
      'is being deleted',
      { ...pod('p', {}, 'n'), metadata: { name: 'p', ...owner('rs'), deletionTimestamp: '2026-01-01T00:00:00Z' } },
    ],
    [
      'container c waits: ErrImagePull (no such image)',
      pod('p', { containerStatuses: [status({ waiting: { reason: 'ErrImagePull', message: 'no such image' } })] }, 'n'),
    ],
    [
      'container c exited with code 3',
      pod(
        'p',
        { containerStatuses: [status({ terminated: { exitCode: 3, finishedAt: '2026-01-01T00:00:00Z' } })] },
        'n',
      ),
    ],
    ['container c runs and is not ready', pod('p', { containerStatuses: [status({ running: {} })] }, 'n')],
    ['has ended', pod('p', { phase: 'Succeeded' }, 'n')],
  ])('%s', (text, waiting) =>
    expect(rolloutTree({ deployments: [deployment('web', 1)], replicaSets: [set], pods: [waiting] }, false)[1]).toBe(
      `    p ${text}`,
    ),
  );
});

function status(state: object): NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number] {
  return { name: 'c', image: 'i', imageID: '', ready: false, restartCount: 0, state };
}

describe('watchUntil', () => {
  function source() {
    const handlers = new Set<() => void>();
    return {
      handlers,
      addHandler(handler: () => void) {
        handlers.add(handler);
        handler();
        return { hasSynced: () => true, remove: () => void handlers.delete(handler) };
      },
    };
  }

  test('looks again at every change and lets go of all caches when done', async () => {
    const [a, b] = [source(), source()];
    let count = 0;
    const waiting = watchUntil([a, b], () => ++count > 4);
    for (const handler of a.handlers) handler();
    for (const handler of b.handlers) handler();
    await waiting;
    expect([a.handlers.size, b.handlers.size]).toEqual([0, 0]);
  });

  test('is content with a handler that is called while it is being added, and with an abort', async () => {
    const one = source();
    let count = 0;
    await watchUntil([one, source()], () => ++count === 2);
    expect(one.handlers.size).toBe(0);
    const abort = new AbortController();
    const waiting = watchUntil([one], () => false, abort.signal);
    abort.abort();
    await waiting;
    expect(one.handlers.size).toBe(0);
  });
});
