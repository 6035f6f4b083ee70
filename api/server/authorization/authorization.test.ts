import { type KubeObject, StatusError } from '@trimtab/machinery';
import type { AccessAttributes, AdmissionAttributes, HandlerContext, ObjectReader, UserInfo } from '../contracts.js';
import { escalationCheck } from './escalation.js';
import { nodeAuthorizer } from './node-authorizer.js';
import { NodeReferences } from './node-references.js';
import { mastersAuthorizer, rbacAuthorizer, unionAuthorizer } from './rbac-authorizer.js';
import { RbacIndex } from './rbac-index.js';
import { refusal } from './refusal.js';
import { accessReviewHandlers } from './reviews.js';

const group = 'rbac.authorization.k8s.io';
const kinds: Record<string, string> = {
  Role: 'roles',
  ClusterRole: 'clusterroles',
  RoleBinding: 'rolebindings',
  ClusterRoleBinding: 'clusterrolebindings',
};

function world() {
  const index = new RbacIndex();
  const write = (kind: string, name: string, rest: object, namespace = '', labels: Record<string, string> = {}) =>
    index.apply({
      resource: `${group}/${kinds[kind]}`,
      key: `${namespace}/${name}`,
      object: { kind, metadata: { name, labels, ...(namespace ? { namespace } : {}) }, ...rest } as KubeObject,
    });
  const remove = (kind: string, name: string, namespace = '') =>
    index.apply({ resource: `${group}/${kinds[kind]}`, key: `${namespace}/${name}` });
  const authorizer = unionAuthorizer([mastersAuthorizer, rbacAuthorizer(index)]);
  return { index, write, remove, authorizer };
}

const jane: UserInfo = { name: 'jane', groups: ['dev', 'system:authenticated'] };
const on = (user: UserInfo, verb: string, what: string, namespace = '', name = '', apiGroup = ''): AccessAttributes => {
  const [resource = '', subresource = ''] = what.split('/');
  return { user, verb, resource: { group: apiGroup, version: 'v1', resource, subresource, namespace, name } };
};
const bindTo = (kind: string, name: string, ...subjects: object[]) => ({
  roleRef: { apiGroup: group, kind, name },
  subjects,
});
const user = (name: string) => ({ kind: 'User', apiGroup: group, name });

describe('RBAC', () => {
  test('a role counts in its namespace, a cluster role bound there too, one bound cluster-wide everywhere', () => {
    const { write, remove, authorizer } = world();
    const may = (a: AccessAttributes) => authorizer.authorize(a).allowed;
    write('Role', 'reader', { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }] }, 'shop');
    write('RoleBinding', 'b', bindTo('Role', 'reader', user('jane')), 'shop');
    expect(may(on(jane, 'list', 'pods', 'shop'))).toBe(true);
    expect(may(on(jane, 'list', 'pods', 'other'))).toBe(false);
    expect(may(on(jane, 'list', 'pods'))).toBe(false);
    expect(may(on(jane, 'delete', 'pods', 'shop'))).toBe(false);

    write('ClusterRole', 'apps', { rules: [{ apiGroups: ['apps'], resources: ['*'], verbs: ['*'] }] });
    write('RoleBinding', 'c', bindTo('ClusterRole', 'apps', { kind: 'Group', name: 'dev' }), 'shop');
    expect(may(on(jane, 'delete', 'deployments/scale', 'shop', 'web', 'apps'))).toBe(true);
    expect(may(on(jane, 'get', 'deployments', 'x', 'web', 'apps'))).toBe(false);
    write('ClusterRoleBinding', 'd', bindTo('ClusterRole', 'apps', { kind: 'Group', name: 'dev' }));
    expect(may(on(jane, 'get', 'deployments', 'x', 'web', 'apps'))).toBe(true);
    expect(may(on(jane, 'list', 'deployments', '', '', 'apps'))).toBe(true);

    remove('ClusterRoleBinding', 'd');
    remove('RoleBinding', 'c', 'shop');
    expect(may(on(jane, 'get', 'deployments', 'shop', 'web', 'apps'))).toBe(false);
    write('RoleBinding', 'b', bindTo('Role', 'reader', { kind: 'ServiceAccount', name: 'web' }), 'shop');
    expect(may(on(jane, 'list', 'pods', 'shop'))).toBe(false);
    const account = { name: 'system:serviceaccount:shop:web', groups: [] };
    expect(may(on(account, 'list', 'pods', 'shop'))).toBe(true);
  });

  test('subresources, names and paths are matched as Kubernetes matches them', () => {
    const { write, authorizer } = world();
    write('ClusterRole', 'mixed', {
      rules: [
        { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
        { apiGroups: ['*'], resources: ['*/scale'], verbs: ['update'] },
        { apiGroups: [''], resources: ['secrets'], resourceNames: ['one'], verbs: ['get', 'list'] },
        { nonResourceURLs: ['/healthz', '/metrics/*'], verbs: ['get'] },
      ],
    });
    write('ClusterRoleBinding', 'b', bindTo('ClusterRole', 'mixed', user('jane')));
    const may = (a: AccessAttributes) => authorizer.authorize(a).allowed;
    expect(may(on(jane, 'get', 'pods/log', 'shop', 'p'))).toBe(true);
    expect(may(on(jane, 'get', 'pods', 'shop', 'p'))).toBe(false);
    expect(may(on(jane, 'update', 'deployments/scale', 'shop', 'd', 'apps'))).toBe(true);
    expect(may(on(jane, 'update', 'deployments', 'shop', 'd', 'apps'))).toBe(false);
    write('ClusterRole', 'plain', { rules: [{ apiGroups: [''], resources: ['services'], verbs: ['*'] }] });
    write('ClusterRoleBinding', 'p', bindTo('ClusterRole', 'plain', user('jane')));
    expect(may(on(jane, 'get', 'services', 'shop', 's'))).toBe(true);
    expect(may(on(jane, 'get', 'services/proxy', 'shop', 's'))).toBe(false);
    expect(may(on(jane, 'get', 'secrets', 'shop', 'one'))).toBe(true);
    expect(may(on(jane, 'get', 'secrets', 'shop', 'two'))).toBe(false);
    expect(may(on(jane, 'list', 'secrets', 'shop'))).toBe(false);
    const path = (p: string, verb = 'get') => may({ user: jane, verb, path: p });
    expect([path('/healthz'), path('/healthz/x'), path('/metrics/a/b'), path('/healthz', 'post')]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test('aggregated roles follow the roles they select', () => {
    const { write, remove, authorizer } = world();
    const selector = { clusterRoleSelectors: [{ matchLabels: { edit: 'yes' } }] };
    write('ClusterRole', 'edit', { rules: null, aggregationRule: selector });
    write('ClusterRoleBinding', 'b', bindTo('ClusterRole', 'edit', user('jane')));
    const may = () => authorizer.authorize(on(jane, 'get', 'widgets', 'x', 'w', 'acme.com')).allowed;
    expect(may()).toBe(false);
    const rules = [{ apiGroups: ['acme.com'], resources: ['widgets'], verbs: ['*'] }];
    write('ClusterRole', 'widgets', { rules }, '', { edit: 'yes' });
    expect(may()).toBe(true);
    remove('ClusterRole', 'widgets');
    expect(may()).toBe(false);
  });

  test('a refusal has the words of Kubernetes and names the nearest rule', () => {
    const { write, authorizer } = world();
    const refuse = (a: AccessAttributes) => refusal(a, authorizer.authorize(a));
    expect(refuse(on(jane, 'list', 'pods', 'shop')).status).toMatchObject({
      code: 403,
      message: 'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "shop"',
      details: { kind: 'pods' },
    });
    expect(refuse(on(jane, 'get', 'nodes', '', 'n1')).message).toBe(
      'nodes "n1" is forbidden: User "jane" cannot get resource "nodes" in API group "" at the cluster scope',
    );
    expect(refuse({ user: jane, verb: 'get', path: '/metrics' }).message).toBe(
      'forbidden: User "jane" cannot get path "/metrics"',
    );
    write('Role', 'reader', { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }] }, 'shop');
    write('RoleBinding', 'b', bindTo('Role', 'reader', user('jane')), 'shop');
    expect(refuse(on(jane, 'delete', 'pods', 'shop', 'p')).message).toBe(
      'pods "p" is forbidden: User "jane" cannot delete resource "pods" in API group "" in the namespace "shop": the nearest rule, of Role "reader", allows get, list on pods',
    );
  });

  test('masters pass without any rule', () => {
    const { authorizer } = world();
    const root = { name: 'root', groups: ['system:masters'] };
    expect(authorizer.authorize(on(root, 'delete', 'nodes', '', 'n')).allowed).toBe(true);
    expect(authorizer.authorize({ user: root, verb: 'get', path: '/metrics' }).allowed).toBe(true);
  });
});

describe('escalation', () => {
  const attributes = (kind: string, object: object, more: Partial<AdmissionAttributes> = {}): AdmissionAttributes => ({
    operation: 'CREATE',
    type: { group, version: 'v1', kind, resource: kinds[kind]!, namespaced: !kind.startsWith('Cluster') },
    subresource: '',
    namespace: kind.startsWith('Cluster') ? '' : 'shop',
    name: 'new',
    user: jane,
    dryRun: false,
    object: { metadata: { name: 'new' }, ...object } as KubeObject,
    warn: () => {},
    ...more,
  });
  const setup = () => {
    const w = world();
    w.write('ClusterRole', 'own', {
      rules: [
        { apiGroups: [''], resources: ['pods', 'pods/log'], verbs: ['get', 'list'] },
        { apiGroups: [group], resources: ['roles', 'rolebindings'], verbs: ['create', 'update'] },
      ],
    });
    w.write('RoleBinding', 'own', bindTo('ClusterRole', 'own', user('jane')), 'shop');
    w.write('ClusterRole', 'cluster-admin', { rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] });
    const plugin = escalationCheck(w.index, w.authorizer);
    const refused = (a: AdmissionAttributes): string => {
      try {
        plugin.validate!(a);
        return '';
      } catch (error) {
        return error instanceof StatusError ? error.message : String(error);
      }
    };
    return { ...w, refused };
  };

  test('a role may grant what its writer holds, and no more', () => {
    const { refused, write } = setup();
    const rules = (verbs: string[], resources: string[]) => ({ rules: [{ apiGroups: [''], resources, verbs }] });
    expect(refused(attributes('Role', rules(['get'], ['pods/log'])))).toBe('');
    expect(refused(attributes('Role', rules(['get'], ['secrets'])))).toBe(
      'roles.rbac.authorization.k8s.io "new" is forbidden: user "jane" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}',
    );
    expect(
      refused(attributes('Role', rules(['*'], ['secrets']), { user: { name: 'r', groups: ['system:masters'] } })),
    ).toBe('');
    write('ClusterRole', 'escalator', { rules: [{ apiGroups: [group], resources: ['roles'], verbs: ['escalate'] }] });
    write('ClusterRoleBinding', 'e', bindTo('ClusterRole', 'escalator', user('jane')));
    expect(refused(attributes('Role', rules(['get'], ['secrets'])))).toBe('');
  });

  test('a binding needs the rules of its role; unchanged subjects may be rewritten', () => {
    const { refused } = setup();
    const grand = bindTo('ClusterRole', 'cluster-admin', user('mallory'));
    expect(refused(attributes('RoleBinding', grand))).toContain('not currently held');
    expect(refused(attributes('RoleBinding', bindTo('ClusterRole', 'nothing', user('x'))))).toContain('does not exist');
    const old = { metadata: { name: 'new' }, ...grand } as KubeObject;
    expect(refused(attributes('RoleBinding', grand, { operation: 'UPDATE', oldObject: old }))).toBe('');
    expect(refused(attributes('RoleBinding', bindTo('Role', 'own', user('x'))))).toContain('does not exist');
  });
});

describe('kubelets', () => {
  test('read what their pods need, and nothing else', () => {
    const references = new NodeReferences();
    const volumes = new Map<string, KubeObject>();
    const reader: ObjectReader = { get: (_r, _ns, name) => volumes.get(name), list: () => [] };
    const authorizer = nodeAuthorizer(references, reader);
    const kubelet = (n: string): UserInfo => ({ name: `system:node:${n}`, groups: ['system:nodes'] });
    const may = (n: string, verb: string, what: string, name: string, ns = 'shop') =>
      authorizer.authorize(on(kubelet(n), verb, what, ns, name)).allowed;
    const pod = {
      metadata: { namespace: 'shop', name: 'p' },
      spec: {
        nodeName: 'n1',
        serviceAccountName: 'web',
        volumes: [
          { name: 'a', secret: { secretName: 's1' } },
          { name: 'b', projected: { sources: [{ configMap: { name: 'kube-root-ca.crt' } }] } },
          { name: 'c', persistentVolumeClaim: { claimName: 'data' } },
          { name: 'd', csi: { driver: 'x', nodePublishSecretRef: { name: 's3' } } },
        ],
        containers: [
          { envFrom: [{ secretRef: { name: 's2' } }], env: [{ valueFrom: { configMapKeyRef: { name: 'c1' } } }] },
        ],
      },
    } as unknown as KubeObject;
    expect(may('n1', 'get', 'secrets', 's1')).toBe(false);
    references.apply({ resource: '/pods', key: 'shop/p', object: pod });
    for (const [what, name] of [
      ['secrets', 's1'],
      ['secrets', 's2'],
      ['secrets', 's3'],
      ['configmaps', 'c1'],
      ['configmaps', 'kube-root-ca.crt'],
      ['persistentvolumeclaims', 'data'],
      ['pods', 'p'],
    ] as const) {
      expect([name, may('n1', 'get', what, name)]).toEqual([name, true]);
      expect([name, may('n2', 'get', what, name)]).toEqual([name, false]);
    }
    expect(may('n1', 'create', 'serviceaccounts/token', 'web')).toBe(true);
    expect(may('n1', 'create', 'serviceaccounts/token', 'admin')).toBe(false);
    expect(may('n1', 'list', 'secrets', '')).toBe(false);
    expect(may('n1', 'delete', 'secrets', 's1')).toBe(false);
    volumes.set('pv', {
      metadata: {},
      spec: { claimRef: { namespace: 'shop', name: 'data' } },
    } as unknown as KubeObject);
    expect([may('n1', 'get', 'persistentvolumes', 'pv', ''), may('n2', 'get', 'persistentvolumes', 'pv', '')]).toEqual([
      true,
      false,
    ]);
    expect(authorizer.authorize(on(kubelet('n2'), 'get', 'secrets', 'shop', 's1')).reason).toContain(
      'no relationship found between node "n2"',
    );
    references.apply({ resource: '/pods', key: 'shop/p' });
    expect(may('n1', 'get', 'secrets', 's1')).toBe(false);
    expect(authorizer.authorize(on({ name: 'system:node:n1', groups: [] }, 'list', 'pods')).allowed).toBe(false);
  });
});

describe('access reviews', () => {
  const context = (more: Partial<HandlerContext> = {}): HandlerContext => ({
    user: jane,
    namespace: '',
    name: '',
    dryRun: false,
    warn: () => {},
    ...more,
  });
  test('answer what a request would be answered', async () => {
    const { write, authorizer } = world();
    write('Role', 'reader', { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] }, 'shop');
    write('RoleBinding', 'b', bindTo('Role', 'reader', user('jane')), 'shop');
    const handlers = accessReviewHandlers(authorizer);
    const ask = async (kind: string, spec: object, more: Partial<HandlerContext> = {}) =>
      (
        (await handlers[`authorization.k8s.io/${kind}`]!.create(
          { metadata: {}, spec } as KubeObject,
          context(more),
        )) as unknown as {
          status: Record<string, unknown>;
        }
      ).status;
    const resourceAttributes = { namespace: 'shop', verb: 'get', resource: 'pods' };
    expect((await ask('selfsubjectaccessreviews', { resourceAttributes })).allowed).toBe(true);
    expect((await ask('subjectaccessreviews', { resourceAttributes, user: 'kim' })).allowed).toBe(false);
    expect((await ask('subjectaccessreviews', { resourceAttributes, user: 'jane' })).allowed).toBe(true);
    expect(
      (await ask('localsubjectaccessreviews', { resourceAttributes, user: 'jane' }, { namespace: 'shop' })).allowed,
    ).toBe(true);
    await expect(
      ask('localsubjectaccessreviews', { resourceAttributes, user: 'jane' }, { namespace: 'x' }),
    ).rejects.toThrow('must match');
    await expect(ask('subjectaccessreviews', { user: 'jane' })).rejects.toThrow('exactly one of');
    expect(await ask('selfsubjectrulesreviews', { namespace: 'shop' })).toEqual({
      resourceRules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }],
      nonResourceRules: [],
      incomplete: false,
    });
  });
});
