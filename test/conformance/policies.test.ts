import type { KubeObject } from '@trimtab/machinery';
import { type ApiCluster, apiCluster } from '../api-cluster.js';
import { namespaceFor, typeOf, wholeLife } from './lifecycle.js';

/** Conformance tests of policies in CEL, under their own names. They need an API server and nothing else. */

let api: ApiCluster;
beforeAll(async () => {
  api = await apiCluster();
});
afterAll(() => api.close());

const admission = 'admissionregistration.k8s.io';
const prefix = '[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin]';

/** A policy for the Deployments of one namespace, bound to it; resolves once it decides. */
async function enforce(name: string, namespace: string, spec: object): Promise<void> {
  const { client } = api;
  const head = (kind: string) => ({ apiVersion: `${admission}/v1`, kind, metadata: { name } });
  const rules = [
    { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['deployments'] },
  ];
  await client.create(typeOf(api, admission, 'v1', 'validatingadmissionpolicies'), {
    ...head('ValidatingAdmissionPolicy'),
    ...{ spec: { matchConstraints: { resourceRules: rules }, ...spec } },
  } as KubeObject);
  const matchLabels = { 'kubernetes.io/metadata.name': namespace };
  await client.create(typeOf(api, admission, 'v1', 'validatingadmissionpolicybindings'), {
    ...head('ValidatingAdmissionPolicyBinding'),
    ...{
      spec: { policyName: name, validationActions: ['Deny'], matchResources: { namespaceSelector: { matchLabels } } },
    },
  } as KubeObject);
}

const deployment = (namespace: string, name: string, replicas: number): KubeObject =>
  ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  }) as KubeObject;

async function judged(policy: string, namespace: string, refusal: string): Promise<void> {
  const type = typeOf(api, 'apps', 'v1', 'deployments');
  await expect(api.client.create(type, deployment(namespace, 'few', 1))).rejects.toMatchObject({
    code: 422,
    message: `deployments.apps "few" is forbidden: ValidatingAdmissionPolicy '${policy}' with binding '${policy}' denied request: ${refusal}`,
  });
  const made = await api.client.create(type, deployment(namespace, 'many', 2));
  await expect(
    api.client.patch(type, { namespace, name: 'many' }, { type: 'merge', body: { spec: { replicas: 1 } } }),
  ).rejects.toMatchObject({ code: 422 });
  expect((await api.client.get(type, { namespace, name: 'many' })).metadata.generation).toBe(made.metadata.generation);
}

test(`${prefix} should validate against a Deployment [Conformance]`, async () => {
  const namespace = await namespaceFor(api);
  await enforce('replicas', namespace, {
    validations: [
      {
        expression: 'object.spec.replicas > 1',
        messageExpression: "'wants replicas > 1, got ' + string(object.spec.replicas)",
      },
    ],
  });
  await judged('replicas', namespace, 'wants replicas > 1, got 1');
});

test(`${prefix} should allow expressions to refer variables. [Conformance]`, async () => {
  const namespace = await namespaceFor(api);
  await enforce('variables', namespace, {
    variables: [
      { name: 'replicas', expression: 'object.spec.replicas' },
      { name: 'oddReplicas', expression: 'variables.replicas % 2 == 1' },
    ],
    validations: [{ expression: 'variables.replicas > 1' }, { expression: '!variables.oddReplicas' }],
  });
  await judged('variables', namespace, 'failed expression: variables.replicas > 1');
  const type = typeOf(api, 'apps', 'v1', 'deployments');
  await expect(api.client.create(type, deployment(namespace, 'odd', 3))).rejects.toMatchObject({
    message: expect.stringContaining('failed expression: !variables.oddReplicas'),
  });
});

const subjects = [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] }];

test(`${prefix} should support ValidatingAdmissionPolicy API operations [Conformance]`, () =>
  wholeLife(api, {
    group: admission,
    version: 'v1',
    resource: 'validatingadmissionpolicies',
    body: () => ({
      spec: { matchConstraints: { resourceRules: subjects }, validations: [{ expression: 'true' }] },
    }),
    status: {
      conditions: [
        {
          type: 'PatchStatus',
          status: 'True',
          reason: 'E2E',
          message: 'Set by an e2e test',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    },
  }));

test(`${prefix} should support ValidatingAdmissionPolicyBinding API operations [Conformance]`, () =>
  wholeLife(api, {
    group: admission,
    version: 'v1',
    resource: 'validatingadmissionpolicybindings',
    body: () => ({ spec: { policyName: 'replicalimit.example.com', validationActions: ['Deny'] } }),
  }));

test('[sig-node] Node Lifecycle should run through the lifecycle of a node [Conformance]', () =>
  wholeLife(api, {
    group: '',
    version: 'v1',
    resource: 'nodes',
    body: () => ({ spec: { unschedulable: true } }),
    status: { phase: 'Running' },
  }));
