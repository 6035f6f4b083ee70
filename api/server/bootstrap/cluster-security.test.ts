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
import { publishKubernetesService } from './kubernetes-service.js';

const type = (group: string, kind: string, resource: string, namespaced = true, version = 'v1'): ResourceType => ({
  group,
  version,
  kind,
  resource,
  namespaced,
});
const rbac = 'rbac.authorization.k8s.io';
const pods = type('', 'Pod', 'pods');
const services = type('', 'Service', 'services');
const namespaces = type('', 'Namespace', 'namespaces', false);
const accounts = type('', 'ServiceAccount', 'serviceaccounts');
const deployments = type('apps', 'Deployment', 'deployments');
const clusterRoles = type(rbac, 'ClusterRole', 'clusterroles', false);
const roleBindings = type(rbac, 'RoleBinding', 'rolebindings');
const quotas = type('', 'ResourceQuota', 'resourcequotas');
const limits = type('', 'LimitRange', 'limitranges');
const nodes = type('', 'Node', 'nodes', false);
const key = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

async function cluster() {
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

const message = async (run: Promise<unknown>): Promise<string> => {
  try {
    await run;
    return '';
  } catch (error) {
    return error instanceof StatusError ? error.message : String(error);
  }
};
const container = { name: 'c', image: 'nginx:1' };
const podSpec = { spec: { containers: [container] } };
const limited = (cpu: string, memory: string) => ({
  spec: { containers: [{ ...container, resources: { requests: { cpu, memory }, limits: { cpu, memory } } }] },
});

describe('a new cluster', () => {
  test('has its namespaces, roles and classes; a second start changes nothing', async () => {
    const { store, security, root } = await cluster();
    const before = store.revision;
    await bootstrapCluster({ client: root, reader: security.reader });
    expect(store.revision).toBe(before);
    const names = (await root.list(namespaces)).items.map((n) => n.metadata.name);
    expect(names).toEqual(['default', 'kube-node-lease', 'kube-public', 'kube-system']);
    const admin = (await root.get(clusterRoles, { name: 'admin' })) as KubeObject & {
      rules: { resources: string[] }[];
    };
    const resources = admin.rules.flatMap((r) => r.resources);
    expect(resources).toEqual(expect.arrayContaining(['pods', 'pods/exec', 'deployments', 'rolebindings', 'secrets']));
    expect(resources).not.toContain('nodes');
  });

  test('gives back what a bootstrap role has lost, and leaves alone what is not to be updated', async () => {
    const { security, root } = await cluster();
    const discovery = (await root.get(clusterRoles, { name: 'system:discovery' })) as KubeObject & { rules: object[] };
    await root.update(clusterRoles, { ...discovery, rules: [] } as KubeObject);
    const view = (await root.get(clusterRoles, { name: 'system:basic-user' })) as KubeObject;
    const annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' };
    await root.update(clusterRoles, { ...view, rules: [], metadata: { ...view.metadata, annotations } } as KubeObject);
    await bootstrapCluster({ client: root, reader: security.reader });
    const rules = async (name: string) =>
      ((await root.get(clusterRoles, { name })) as KubeObject & { rules?: object[] }).rules ?? [];
    expect((await rules('system:discovery')).length).toBeGreaterThan(0);
    expect(await rules('system:basic-user')).toEqual([]);
  });

  test('a role made for aggregation counts at once, through every level, and is written down', async () => {
    const { make, root, security, clock } = await cluster();
    security.keepWritten(root, silentLogger);
    await make(roleBindings, 'jane', {
      roleRef: { kind: 'ClusterRole', name: 'admin' },
      subjects: [{ kind: 'User', name: 'jane' }],
    });
    const attributes = {
      user: { name: 'jane', groups: [] },
      verb: 'get',
      resource: {
        group: 'acme.com',
        version: 'v1',
        resource: 'widgets',
        subresource: '',
        namespace: 'default',
        name: 'w',
      },
    };
    expect(security.authorizer.authorize(attributes).allowed).toBe(false);
    await root.create(clusterRoles, {
      metadata: { name: 'widgets', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
      rules: [{ apiGroups: ['acme.com'], resources: ['widgets'], verbs: ['get'] }],
    } as KubeObject);
    expect(security.authorizer.authorize(attributes).allowed).toBe(true);
    await clock.advance(200);
    for (const name of ['view', 'edit', 'admin'])
      expect(JSON.stringify(await root.get(clusterRoles, { name }))).toContain('widgets');
    security.close();
  });

  test('people get what their role says, in their namespace', async () => {
    const { as, make } = await cluster();
    const jane = as({ name: 'jane', groups: ['system:authenticated'] });
    expect(await message(jane.list(pods, { namespace: 'default' }))).toBe(
      'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
    );
    await make(roleBindings, 'jane', {
      roleRef: { kind: 'ClusterRole', name: 'edit' },
      subjects: [{ kind: 'User', name: 'jane' }],
    });
    expect(await message(jane.list(pods, { namespace: 'default' }))).toBe('');
    expect(
      await message(jane.create(pods, { metadata: { name: 'p', namespace: 'default' }, ...podSpec } as KubeObject)),
    ).toBe('');
    expect(await message(jane.list(pods, { namespace: 'kube-system' }))).toContain('is forbidden');
    expect(
      await message(
        jane.create(roleBindings, {
          metadata: { name: 'x', namespace: 'default' },
          roleRef: { kind: 'ClusterRole', name: 'edit' },
        } as unknown as KubeObject),
      ),
    ).toContain('cannot create resource "rolebindings"');
  });

  test('controllers, scheduler and kubelets can do their work', async () => {
    const { as, make, root } = await cluster();
    const manager = as(componentUsers.controllerManager);
    const deployment = await make(deployments, 'd', {
      spec: { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, ...podSpec } },
    });
    expect(
      await message(
        manager.update(deployments, { ...deployment, status: { replicas: 1 } } as KubeObject, {
          subresource: 'status',
        }),
      ),
    ).toBe('');
    expect(
      await message(manager.create(pods, { metadata: { name: 'p', namespace: 'default' }, ...podSpec } as KubeObject)),
    ).toBe('');
    const kubelet = as(componentUsers.node('n1'));
    expect(await message(kubelet.create(nodes, { metadata: { name: 'n1' } }))).toBe('');
    expect(((await root.get(nodes, { name: 'n1' })) as unknown as { spec: object }).spec).toMatchObject({
      taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }],
    });
    expect(await message(kubelet.create(nodes, { metadata: { name: 'n2' } }))).toContain(
      'node "n1" is not allowed to modify node "n2"',
    );
    const scheduler = as(componentUsers.scheduler);
    const binding = { metadata: { name: 'p', namespace: 'default' }, target: { kind: 'Node', name: 'n1' } };
    expect(
      await message(scheduler.subresource(pods, { namespace: 'default', name: 'p' }, 'binding', 'create', binding)),
    ).toBe('');
    const mine = (await kubelet.get(pods, { namespace: 'default', name: 'p' })) as KubeObject;
    expect(
      await message(
        kubelet.update(pods, { ...mine, status: { phase: 'Running' } } as KubeObject, { subresource: 'status' }),
      ),
    ).toBe('');
    const other = as(componentUsers.node('n2'));
    expect(await message(other.get(pods, { namespace: 'default', name: 'p' }))).toContain('no relationship found');
    expect(
      await message(
        other.update(
          pods,
          { ...mine, metadata: { name: 'p', namespace: 'default' }, status: { phase: 'Failed' } } as KubeObject,
          { subresource: 'status' },
        ),
      ),
    ).toContain('can only act on pods');
    const token = (await kubelet.subresource(accounts, { namespace: 'default', name: 'default' }, 'token', 'create', {
      spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: mine.metadata.uid } },
    })) as { status: { token: string } };
    expect(token.status.token.split('.')).toHaveLength(3);
    expect(
      await message(
        kubelet.subresource(accounts, { namespace: 'default', name: 'default' }, 'token', 'create', { spec: {} }),
      ),
    ).toContain('not bound to a pod');
  });

  test('pods reach the API server by the Service kubernetes, which follows a move', async () => {
    const { root, security } = await cluster();
    const publish = (address: string, port: number) =>
      publishKubernetesService({
        client: root,
        serviceAddress: security.services.firstAddress,
        addresses: [address],
        port,
      });
    await publish('192.0.2.1', 6443);
    await publish('192.0.2.2', 7443);
    expect(await root.get(services, { namespace: 'default', name: 'kubernetes' })).toMatchObject({
      spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443, targetPort: 7443 }] },
    });
    const slices = type('discovery.k8s.io', 'EndpointSlice', 'endpointslices');
    expect(await root.get(slices, { namespace: 'default', name: 'kubernetes' })).toMatchObject({
      endpoints: [{ addresses: ['192.0.2.2'] }],
      ports: [{ port: 7443 }],
    });
  });
});

describe('admission', () => {
  test('a pod is given account, token, tolerations and priority', async () => {
    const { make } = await cluster();
    const pod = await make(pods, 'p', podSpec);
    expect(pod.spec).toMatchObject({
      serviceAccountName: 'default',
      serviceAccount: 'default',
      priority: 0,
      preemptionPolicy: 'PreemptLowerPriority',
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
      volumes: [
        {
          name: expect.stringMatching(/^kube-api-access-[a-z0-9]{5}$/),
          projected: {
            defaultMode: 420,
            sources: [
              { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
              { configMap: { name: 'kube-root-ca.crt' } },
              { downwardAPI: {} },
            ],
          },
        },
      ],
      containers: [{ volumeMounts: [{ mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true }] }],
    });
    const critical = await make(pods, 'q', {
      spec: { ...podSpec.spec, priorityClassName: 'system-node-critical', automountServiceAccountToken: false },
    });
    expect(critical.spec).toMatchObject({ priority: 2_000_001_000 });
    expect(critical.spec.volumes).toBeUndefined();
    expect(await message(make(pods, 'r', { spec: { ...podSpec.spec, priorityClassName: 'nope' } }))).toBe(
      'pods "r" is forbidden: no PriorityClass with name nope was found',
    );
    expect(await message(make(pods, 'r', { spec: { ...podSpec.spec, serviceAccountName: 'nope' } }))).toBe(
      'pods "r" is forbidden: error looking up service account default/nope: serviceaccount "nope" not found',
    );
  });

  test('the default account of a new namespace is waited for', async () => {
    const { make, clock } = await cluster();
    await make(namespaces, 'shop');
    const creating = make(pods, 'p', podSpec, 'shop');
    await clock.advance(250);
    await make(accounts, 'default', {}, 'shop');
    await clock.advance(150);
    expect((await creating).metadata.name).toBe('p');
    await make(namespaces, 'empty');
    const failing = message(make(pods, 'p', podSpec, 'empty'));
    await clock.advance(2000);
    expect(await failing).toContain('serviceaccount "default" not found');
  });

  test('namespaces that are missing or going away take nothing; system ones stay', async () => {
    const { make, root } = await cluster();
    expect(await message(make(pods, 'p', podSpec, 'nowhere'))).toBe('namespaces "nowhere" not found');
    await make(namespaces, 'shop');
    await root.delete(namespaces, { name: 'shop' });
    const refused = await make(pods, 'p', podSpec, 'shop').catch((error: StatusError) => error);
    expect((refused as StatusError).status).toMatchObject({
      code: 403,
      message: 'pods "p" is forbidden: unable to create new content in namespace shop because it is being terminated',
      details: { causes: [{ reason: 'NamespaceTerminating', field: 'metadata.namespace' }] },
    });
    expect(await message(root.delete(namespaces, { name: 'default' }))).toBe(
      'namespaces "default" is forbidden: this namespace may not be deleted',
    );
  });

  test('LimitRange gives defaults and keeps bounds', async () => {
    const { make } = await cluster();
    await make(limits, 'l', {
      spec: {
        limits: [
          {
            type: 'Container',
            default: { cpu: '500m' },
            defaultRequest: { cpu: '100m' },
            max: { cpu: '1' },
            min: { cpu: '50m' },
          },
        ],
      },
    });
    expect(await make(pods, 'p', podSpec)).toMatchObject({
      metadata: {
        annotations: {
          'kubernetes.io/limit-ranger':
            'LimitRanger plugin set: cpu request for container c; cpu limit for container c',
        },
      },
      spec: { containers: [{ resources: { limits: { cpu: '500m' }, requests: { cpu: '100m' } } }] },
    });
    expect(await message(make(pods, 'q', limited('2', '1Gi')))).toBe(
      'pods "q" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, maximum cpu usage per Container is 1, but request is 2]',
    );
  });

  test('ResourceQuota is kept also by creations that race', async () => {
    const { make, root, security, clock } = await cluster();
    security.keepWritten(root, silentLogger);
    await make(quotas, 'q', { spec: { hard: { pods: '2', 'requests.cpu': '1', 'count/configmaps': '1' } } });
    const results = await Promise.all(['a', 'b', 'c'].map((name) => message(make(pods, name, limited('300m', '1Mi')))));
    expect(results.filter((r) => r === '')).toHaveLength(2);
    expect(results.find((r) => r !== '')).toMatch(
      /^pods "[abc]" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2$/,
    );
    const [taken] = (await root.list(pods, { namespace: 'default' })).items;
    await root.delete(pods, { namespace: 'default', name: taken!.metadata.name! }, { gracePeriodSeconds: 0 });
    expect(await message(make(pods, 'd', limited('800m', '1Mi')))).toBe(
      'pods "d" is forbidden: exceeded quota: q, requested: requests.cpu=800m, used: requests.cpu=300m, limited: requests.cpu=1',
    );
    expect(await message(make(pods, 'd', limited('700m', '1Mi')))).toBe('');
    expect(await message(make(pods, 'e', podSpec))).toBe(
      'pods "e" is forbidden: failed quota: q: must specify requests.cpu for: c',
    );
    const maps = type('', 'ConfigMap', 'configmaps');
    expect(await message(make(maps, 'one'))).toBe('');
    await clock.advance(500);
    expect(await root.get(quotas, { namespace: 'default', name: 'q' })).toMatchObject({
      status: { hard: { pods: '2' }, used: { pods: '2', 'requests.cpu': '1', 'count/configmaps': '1' } },
    });
    expect(await message(make(maps, 'two'))).toContain(
      'exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=1',
    );
  });

  test('PodSecurity holds a namespace to its level', async () => {
    const { make, root } = await cluster();
    const labelled = (level: string) => ({
      metadata: { name: level, labels: { 'pod-security.kubernetes.io/enforce': level } },
    });
    for (const level of ['baseline', 'restricted']) {
      await root.create(namespaces, labelled(level));
      await make(accounts, 'default', {}, level);
    }
    expect(await message(root.create(namespaces, labelled('strict')))).toContain(
      'must be one of privileged, baseline, restricted',
    );
    const risky = {
      spec: {
        hostNetwork: true,
        containers: [{ ...container, securityContext: { privileged: true, capabilities: { add: ['SYS_ADMIN'] } } }],
        volumes: [{ name: 'root', hostPath: { path: '/' } }],
      },
    };
    expect(await message(make(pods, 'p', risky))).toBe('');
    expect(await message(make(pods, 'p', risky, 'baseline'))).toBe(
      'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true), privileged (container "c" must not set securityContext.privileged=true), non-default capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add), hostPath volumes (volume "root")',
    );
    expect(await message(make(pods, 'p', podSpec, 'baseline'))).toBe('');
    expect(await message(make(pods, 'p', podSpec, 'restricted'))).toBe(
      'pods "p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
    const careful = {
      spec: {
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          { ...container, securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
        ],
      },
    };
    expect(await message(make(pods, 'p', careful, 'restricted'))).toBe('');
    const [strict] = careful.spec.containers;
    const keeping = { ...strict, securityContext: { ...strict!.securityContext, capabilities: { drop: ['NET_RAW'] } } };
    expect(
      await message(make(pods, 'k', { spec: { ...careful.spec, containers: [keeping] } }, 'restricted')),
    ).toContain('unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])');
    expect(await message(root.create(namespaces, labelled('constructor')))).toContain('must be one of');
  });

  test('claims and pods take the cluster defaults that others have set', async () => {
    const { make } = await cluster();
    await make(type('storage.k8s.io', 'StorageClass', 'storageclasses', false), 'fast', {
      metadata: { name: 'fast', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'x',
    });
    const claims = type('', 'PersistentVolumeClaim', 'persistentvolumeclaims');
    const claim = { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } };
    expect((await make(claims, 'a', claim)).spec.storageClassName).toBe('fast');
    expect((await make(claims, 'b', { spec: { ...claim.spec, storageClassName: '' } })).spec.storageClassName).toBe('');
    await make(type('node.k8s.io', 'RuntimeClass', 'runtimeclasses', false), 'vm', {
      handler: 'vm',
      overhead: { podFixed: { cpu: '250m' } },
      scheduling: { nodeSelector: { vm: 'yes' } },
    });
    expect((await make(pods, 'p', { spec: { ...podSpec.spec, runtimeClassName: 'vm' } })).spec).toMatchObject({
      overhead: { cpu: '250m' },
      nodeSelector: { vm: 'yes' },
    });
    expect(await message(make(pods, 'q', { spec: { ...podSpec.spec, runtimeClassName: 'no' } }))).toContain(
      'RuntimeClass "no" not found',
    );
  });
});
