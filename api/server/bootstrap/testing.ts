import { generateKeyPairSync } from 'node:crypto';
import type { Client } from '@trimtab/client';
import {
  type KubeObject,
  type ResourceType,
  StatusError,
  seededRandom,
  silentLogger,
  VirtualClock,
} from '@trimtab/machinery';
import { memoryEngine, openStore } from '@trimtab/store';
import type { UserInfo } from '../contracts.js';
import { builtinKinds } from '../registry/builtin-kinds.js';
import { createRegistry, localClientOf } from '../server.js';
import { bootstrapCluster } from './bootstrap.js';
import { type ClusterSecurity, componentUsers, createClusterSecurity } from './cluster-security.js';

/** What the tests of security share: a whole API server in memory and virtual time, without its port. */

export const type = (
  group: string,
  kind: string,
  resource: string,
  namespaced = true,
  version = 'v1',
): ResourceType => ({
  group,
  version,
  kind,
  resource,
  namespaced,
});
export const rbac = 'rbac.authorization.k8s.io';
export const pods = type('', 'Pod', 'pods');
export const services = type('', 'Service', 'services');
export const namespaces = type('', 'Namespace', 'namespaces', false);
export const accounts = type('', 'ServiceAccount', 'serviceaccounts');
export const deployments = type('apps', 'Deployment', 'deployments');
export const clusterRoles = type(rbac, 'ClusterRole', 'clusterroles', false);
export const roleBindings = type(rbac, 'RoleBinding', 'rolebindings');
export const quotas = type('', 'ResourceQuota', 'resourcequotas');
export const limits = type('', 'LimitRange', 'limitranges');
export const nodes = type('', 'Node', 'nodes', false);
const key = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

export async function cluster() {
  const clock = new VirtualClock();
  const random = seededRandom(7);
  const store = await openStore({ engine: memoryEngine(), clock });
  const security: ClusterSecurity = createClusterSecurity({
    store,
    clock,
    random,
    serviceAccountKey: key,
    serviceCIDR: '10.96.0.0/16',
  });
  const registry = createRegistry({
    store,
    kinds: [builtinKinds({ strategies: security.strategies })],
    admission: security.admission,
    handlers: security.handlers,
    clock,
    random,
    logger: silentLogger,
  });
  const as = (user: UserInfo): Client => localClientOf(registry, security.authorizer, user);
  const root = as(componentUsers.apiServer);
  await bootstrapCluster({ client: root, reader: security.reader });
  const make = (t: ResourceType, name: string, rest: object = {}, namespace = t.namespaced ? 'default' : undefined) =>
    root.create(t, {
      apiVersion: t.group ? `${t.group}/${t.version}` : t.version,
      kind: t.kind,
      metadata: { name, namespace },
      ...rest,
    } as KubeObject) as Promise<KubeObject & { spec: Record<string, unknown>; status: Record<string, unknown> }>;
  await make(accounts, 'default');
  return { store, security, as, root, make, clock };
}

export const message = async (run: Promise<unknown>): Promise<string> => {
  try {
    await run;
    return '';
  } catch (error) {
    return error instanceof StatusError ? error.message : String(error);
  }
};
export const container = { name: 'c', image: 'nginx:1' };
export const podSpec = { spec: { containers: [container] } };
export const limited = (cpu: string, memory: string) => ({
  spec: { containers: [{ ...container, resources: { requests: { cpu, memory }, limits: { cpu, memory } } }] },
});
