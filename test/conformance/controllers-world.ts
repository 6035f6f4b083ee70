import { generateKeyPairSync } from 'node:crypto';
import { startControllers } from '@trimtab/controllers';
import {
  type KubeObject,
  Leases,
  Namespaces,
  type Node,
  Nodes,
  type Pod,
  Pods,
  type PodTemplateSpec,
  type ResourceType,
  silentLogger,
} from '@trimtab/machinery';
import { bootstrapCluster, type ClusterSecurity, createClusterSecurity } from '@trimtab/server';
import { type World, world } from '@trimtab/testing';

/**
 * A cluster for the conformance tests of class C: the server's own code with all of its admission, every controller and the
 * scheduler, in virtual time; nodes whose kubelets do as they are told. Made once for a file; each test has a namespace.
 */
export interface Conformance {
  readonly w: World;
  /** Of the running test. */
  readonly ns: string;
}

export const IMAGE = 'registry.k8s.io/e2e-test-images/httpd:2.4';
const NODES = ['node-1', 'node-2', 'node-3'];

/** Within a `describe` or a file: makes the cluster before all tests and a namespace before each. */
export function useConformance(): Conformance {
  const made: { w?: World; ns: string; security?: ClusterSecurity } = { ns: '' };
  let tests = 0;
  beforeAll(async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const w = await world({
      trace: false,
      kubelet: { binds: false },
      admission: ({ store, clock, random }) => {
        made.security = createClusterSecurity({
          store,
          clock,
          random,
          serviceAccountKey: { privateKey, publicKey },
          serviceCIDR: '10.96.0.0/12',
          disabledAdmission: ['ServiceAccount'],
        });
        return made.security.admission;
      },
      parts: [{ name: 'controllers', start: (parts) => void startControllers({ ...parts, caCertificate: 'PEM' }) }],
    });
    made.w = w;
    const client = w.clientOf('apiserver');
    await bootstrapCluster({ client, reader: made.security!.reader });
    made.security!.keepWritten(client, silentLogger);
    for (const name of NODES) await addNode(w, name);
    await w.pass('2s');
  });
  afterAll(async () => {
    made.security?.close();
    await made.w?.close();
  });
  beforeEach(async () => {
    made.ns = `e2e-${++tests}`;
    await made.w!.create(Namespaces, { metadata: { name: made.ns } });
    await made.w!.pass('1s');
  });
  return {
    get w() {
      return made.w!;
    },
    get ns() {
      return made.ns;
    },
  };
}

/** A node that is heard of for ten years to come. */
export async function addNode(w: World, name: string, more: Partial<Node['spec']> = {}): Promise<void> {
  await w.create(Nodes, {
    metadata: {
      name,
      labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' },
    },
    spec: more,
    status: {
      capacity: { cpu: '8', memory: '16Gi', pods: '110', 'ephemeral-storage': '100Gi' },
      allocatable: { cpu: '8', memory: '16Gi', pods: '110', 'ephemeral-storage': '100Gi' },
      conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
    },
  });
  const spec = { holderIdentity: name, renewTime: '2036-01-01T00:00:00.000000Z' };
  await w.create(Leases, { metadata: { namespace: 'kube-node-lease', name }, spec });
}

export const labelled = (name: string): Readonly<Record<string, string>> => ({ name });

export const template = (name: string, more: object = {}): PodTemplateSpec => ({
  metadata: { labels: { ...labelled(name) } },
  spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'httpd', image: IMAGE }], ...more },
});

export const pod = (namespace: string, name: string, spec: object = {}, metadata: object = {}): Pod => ({
  metadata: { namespace, name, labels: { ...labelled(name) }, ...metadata },
  spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'httpd', image: IMAGE }], ...spec },
});

/** The pods of a namespace that are not going, by name. */
export async function podsOf(w: World, namespace: string): Promise<readonly Pod[]> {
  return (await w.list(Pods, namespace)).filter(({ metadata }) => !metadata.deletionTimestamp);
}

/** Writes a status as clients do: with what there is, changed. */
export async function writeStatus<T extends KubeObject>(
  w: World,
  type: ResourceType<T>,
  key: { readonly namespace?: string; readonly name: string },
  status: object,
): Promise<T> {
  return w.patch(type, key, { status }, { subresource: 'status' });
}

/** Resolves with the Status of what was refused. */
export async function refusal(asked: Promise<unknown>): Promise<{ readonly code?: number; readonly message?: string }> {
  return asked.then(
    () => {
      throw new Error('it should have been refused');
    },
    (error: { status: { code?: number; message?: string } }) => error.status,
  );
}

export const ready = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True') ?? false;
