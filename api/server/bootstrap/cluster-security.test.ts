import { type KubeObject, silentLogger } from '@trimtab/machinery';
import { bootstrapCluster } from './bootstrap.js';
import { componentUsers } from './cluster-security.js';
import { publishKubernetesService } from './kubernetes-service.js';
import {
  accounts,
  cluster,
  clusterRoles,
  deployments,
  message,
  namespaces,
  nodes,
  podSpec,
  pods,
  roleBindings,
  services,
  type,
} from './testing.js';

describe('a new cluster', () => {
  test('has its namespaces, roles and classes; a second start changes nothing', async () => {
    const { store, security, root } = await cluster();
    const before = store.revision;
    await bootstrapCluster({ client: root, reader: security.reader });
    expect(store.revision).toBe(before);
    const names = (await root.list(namespaces)).items.map((n) => n.metadata.name);
    expect(names).toEqual(['default', 'kube-node-lease', 'kube-public', 'kube-system']);
    const admin = (await root.get(clusterRoles, { name: 'admin' })) as KubeObject & {
      rules: { apiGroups?: string[]; resources: string[] }[];
    };
    const resources = admin.rules.flatMap((r) => r.resources);
    expect(resources).toEqual(expect.arrayContaining(['pods', 'pods/exec', 'deployments', 'rolebindings', 'secrets']));
    // How much nodes use may be read; nodes may not.
    const ofNodes = admin.rules.filter((r) => r.resources?.includes('nodes'));
    expect(ofNodes.map((r) => r.apiGroups)).toEqual(ofNodes.map(() => ['metrics.k8s.io']));
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
