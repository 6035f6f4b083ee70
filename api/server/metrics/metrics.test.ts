import type { NodeStreams, NodeUsage } from '@trimtab/client';
import { Nodes, Pods } from '@trimtab/machinery';
import { type TestServer, testServer } from '../http/testing.js';
import { builtinKinds } from '../registry/builtin-kinds.js';
import { createBuiltinStrategies } from '../registry/strategies/index.js';
import { pod } from '../registry/testing.js';
import { metricsKinds } from './metrics-kinds.js';

const at = Date.parse('2026-01-01T00:00:00Z');
const usage = { at, windowMs: 15_000, cpuNanoCores: 250_000_000, memoryBytes: 64 * 2 ** 20 };
const root = '/apis/metrics.k8s.io/v1beta1';

let api: TestServer;
let asked: { readonly node: boolean; readonly pods: readonly string[] }[];
let answer: (of: { readonly node: boolean; readonly pods: readonly string[] }) => Promise<NodeUsage>;

beforeEach(async () => {
  asked = [];
  answer = async ({ node, pods }) => ({
    ...(node ? { node: usage } : {}),
    pods: pods.map((uid) => ({ uid, containers: [{ name: 'main', ...usage }] })),
  });
  const streams = {
    usage: (of: { readonly node: boolean; readonly pods: readonly string[] }) => {
      asked.push(of);
      return answer(of);
    },
  } as unknown as NodeStreams;
  const nodeStreams = (name: string) => (name === 'n1' ? streams : undefined);
  api = await testServer({
    nodeStreams,
    kinds: [builtinKinds({ strategies: createBuiltinStrategies() }), metricsKinds(nodeStreams)],
  });
  await api.admin.create(Nodes, { metadata: { name: 'n1', labels: { zone: 'a' } } });
  await api.admin.create(Nodes, { metadata: { name: 'silent' } });
});
afterEach(() => api.close());

async function running(name: string, labels: Record<string, string> = {}, nodeName = 'n1'): Promise<string> {
  const made = await api.admin.create(Pods, {
    ...pod(name, { spec: { nodeName } }),
    metadata: { name, namespace: 'default', labels },
  });
  await api.admin.update(Pods, { ...made, status: { ...made.status, phase: 'Running' } }, { subresource: 'status' });
  return made.metadata.uid!;
}

const read = async (path: string, headers = {}) => {
  const { status, body } = await api.request('GET', `${root}${path}`, { headers });
  return { status, value: JSON.parse(body.toString()) };
};

test('pods as metrics-server tells of them, and only those that are asked for are measured', async () => {
  const uid = await running('web', { app: 'web' });
  await running('other');
  await running('far', { app: 'web' }, 'silent');
  await api.admin.create(Pods, pod('waiting', { spec: {} }));
  const { value } = await read('/namespaces/default/pods?labelSelector=app%3Dweb');
  expect(value).toEqual({
    kind: 'PodMetricsList',
    apiVersion: 'metrics.k8s.io/v1beta1',
    metadata: { resourceVersion: '' },
    items: [
      {
        kind: 'PodMetrics',
        apiVersion: 'metrics.k8s.io/v1beta1',
        metadata: {
          name: 'web',
          namespace: 'default',
          labels: { app: 'web' },
          creationTimestamp: '2026-01-01T00:00:00Z',
        },
        timestamp: '2026-01-01T00:00:00Z',
        window: '15s',
        containers: [{ name: 'main', usage: { cpu: '250000000n', memory: '65536Ki' } }],
      },
    ],
  });
  expect(asked).toEqual([{ node: false, pods: [uid] }]);
  expect((await read('/pods')).value.items.map((p: { metadata: { name: string } }) => p.metadata.name)).toEqual([
    'other',
    'web',
  ]);
  expect((await read('/namespaces/default/pods/web')).value.containers).toHaveLength(1);
  expect((await read('/namespaces/default/pods/far')).status).toBe(404);
  expect((await read('/namespaces/default/pods/nobody')).value.message).toBe('pods.metrics.k8s.io "nobody" not found');
});

test('nodes; one that fails or does not measure is left out', async () => {
  expect((await read('/nodes')).value.items).toMatchObject([
    {
      kind: 'NodeMetrics',
      metadata: { name: 'n1', labels: { zone: 'a' } },
      window: '15s',
      usage: { cpu: '250000000n' },
    },
  ]);
  expect((await read('/nodes?labelSelector=zone%3Db')).value.items).toEqual([]);
  const table = await read('/nodes', { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
  expect(table.value.rows[0].cells).toEqual(['n1', '250000000n', '65536Ki', '15s']);
  answer = () => Promise.reject(new Error('gone'));
  expect((await read('/nodes')).value.items).toEqual([]);
});

test('is read only, and stands in discovery', async () => {
  const { resources } = (await read('')).value;
  expect(resources.map(({ name, verbs }: { name: string; verbs: string[] }) => [name, verbs])).toEqual([
    ['nodes', ['get', 'list']],
    ['pods', ['get', 'list']],
  ]);
  const { status } = await api.request('DELETE', `${root}/nodes/n1`);
  expect(status).toBe(405);
  expect((await api.request('GET', `${root}/nodes?watch=true`)).status).toBe(405);
});
