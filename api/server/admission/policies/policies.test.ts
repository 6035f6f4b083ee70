import { type KubeObject, type StatusError, silentLogger } from '@trimtab/machinery';
import {
  type cluster,
  container,
  cluster as makeCluster,
  message,
  podSpec,
  pods,
  type,
} from '../../bootstrap/testing.js';
import { admit } from '../../registry/admit.js';
import { builtinKinds } from '../../registry/builtin-kinds.js';
import { createRegistry } from '../../server.js';

const group = 'admissionregistration.k8s.io';
const policies = type(group, 'ValidatingAdmissionPolicy', 'validatingadmissionpolicies', false);
const bindings = type(group, 'ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings', false);
const mutatingPolicies = type(group, 'MutatingAdmissionPolicy', 'mutatingadmissionpolicies', false);
const mutatingBindings = type(group, 'MutatingAdmissionPolicyBinding', 'mutatingadmissionpolicybindings', false);
const maps = type('', 'ConfigMap', 'configmaps');
const namespaces = type('', 'Namespace', 'namespaces', false);
const deployments = type('apps', 'Deployment', 'deployments');
const scalers = type('autoscaling', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers', true, 'v2');

const closing: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});
async function setUp() {
  const made = await makeCluster();
  closing.push(() => made.security.close());
  return made;
}
type Cluster = Awaited<ReturnType<typeof cluster>>;

const rules = (resource: string, apiGroup = '', version = 'v1', operations = ['CREATE', 'UPDATE']) => ({
  resourceRules: [{ apiGroups: [apiGroup], apiVersions: [version], operations, resources: [resource] }],
});
/** A policy and a binding of the same name. */
async function bind({ make }: Cluster, name: string, spec: object, binding: object = {}) {
  await make(policies, name, { spec: { matchConstraints: rules('configmaps'), ...spec } });
  await make(bindings, name, { spec: { policyName: name, validationActions: ['Deny'], ...binding } });
}
async function bindMutating({ make }: Cluster, name: string, spec: object, binding: object = {}) {
  await make(mutatingPolicies, name, {
    spec: { matchConstraints: rules('configmaps'), reinvocationPolicy: 'Never', ...spec },
  });
  await make(mutatingBindings, name, { spec: { policyName: name, ...binding } });
}
const deployment = (replicas: number) => ({
  spec: { replicas, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, ...podSpec } },
});
const data = (values: Record<string, string>, labels?: Record<string, string>) => ({
  ...(labels ? { labels } : {}),
  data: values,
});
const map = (c: Cluster, name: string, values: Record<string, string> = {}, labels: Record<string, string> = {}) =>
  c.make(maps, name, { metadata: { name, namespace: 'default', labels }, ...data(values) });
const failureOf = async (run: Promise<unknown>): Promise<StatusError> =>
  (await run.then(
    () => ({ message: 'it succeeded' }),
    (error: unknown) => error,
  )) as StatusError;

describe('[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin]', () => {
  test('should validate against a Deployment [Conformance]', async () => {
    const c = await setUp();
    await bind(c, 'replicas', {
      matchConstraints: rules('deployments', 'apps'),
      validations: [
        {
          expression: 'object.spec.replicas > 1',
          messageExpression: "'wants replicas > 1, got ' + string(object.spec.replicas)",
        },
      ],
    });
    const refused = await failureOf(c.make(deployments, 'd', deployment(1)));
    expect(refused.status).toMatchObject({
      code: 422,
      reason: 'Invalid',
      message: `deployments.apps "d" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'replicas' denied request: wants replicas > 1, got 1`,
      details: { causes: [{ message: expect.stringContaining('denied request') }] },
    });
    expect(await message(c.root.get(deployments, { namespace: 'default', name: 'd' }))).toContain('not found');
    await c.make(deployments, 'd', deployment(2));
    const scale = (replicas: number) =>
      message(
        c.root.patch(deployments, { namespace: 'default', name: 'd' }, { type: 'merge', body: { spec: { replicas } } }),
      );
    expect(await scale(1)).toContain('got 1');
    expect(await scale(3)).toBe('');
  });

  test('should allow expressions to refer variables. [Conformance]', async () => {
    const c = await setUp();
    await bind(c, 'vars', {
      matchConstraints: rules('deployments', 'apps'),
      variables: [
        { name: 'replicas', expression: 'object.spec.replicas' },
        { name: 'oddReplicas', expression: 'variables.replicas % 2 == 1' },
        { name: 'never', expression: 'object.spec.nothing.there' },
      ],
      validations: [{ expression: 'variables.replicas > 1' }, { expression: 'variables.oddReplicas' }],
    });
    expect(await message(c.make(deployments, 'd', deployment(1)))).toContain(
      'denied request: failed expression: variables.replicas > 1',
    );
    expect(await message(c.make(deployments, 'd', deployment(2)))).toContain(
      'failed expression: variables.oddReplicas',
    );
    expect(await message(c.make(deployments, 'd', deployment(3)))).toBe('');
  });

  test('should support ValidatingAdmissionPolicy API operations [Conformance]', async () => {
    const c = await setUp();
    const spec = {
      matchConstraints: rules('deployments', 'apps'),
      validations: [{ expression: 'object.spec.replicas <= 100' }],
    };
    for (const name of ['a', 'b']) await c.make(policies, name, { metadata: { name, labels: { t: 'x' } }, spec });
    const [first] = (await c.root.list(policies, { labelSelector: 't=x' })).items;
    expect(first).toMatchObject({
      metadata: { generation: 1 },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {} },
      },
    });
    const patched = await c.root.patch(
      policies,
      { name: 'a' },
      { type: 'merge', body: { spec: { failurePolicy: 'Ignore' } } },
    );
    expect(patched.metadata.generation).toBe(2);
    const status = {
      status: {
        conditions: [
          { type: 'C', status: 'True', reason: 'R', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' },
        ],
      },
    };
    expect(
      await c.root.patch(policies, { name: 'a' }, { type: 'merge', body: status }, { subresource: 'status' }),
    ).toMatchObject(status);
    await c.root.deleteCollection(policies, { labelSelector: 't=x' });
    expect((await c.root.list(policies, {})).items).toEqual([]);
  });

  test('should support ValidatingAdmissionPolicyBinding API operations [Conformance]', async () => {
    const c = await setUp();
    await c.make(bindings, 'b', { spec: { policyName: 'p', validationActions: ['Deny'], paramRef: { name: 'x' } } });
    expect(await c.root.get(bindings, { name: 'b' })).toMatchObject({
      spec: { paramRef: { parameterNotFoundAction: 'Deny' } },
    });
    const change = (spec: object) => message(c.root.patch(bindings, { name: 'b' }, { type: 'merge', body: { spec } }));
    expect(await change({ validationActions: ['Deny', 'Warn'] })).toContain('must not contain both Deny and Warn');
    expect(await change({ validationActions: [] })).toContain('at least one validation action is required');
    expect(await change({ paramRef: { selector: {} } })).toContain('name and selector are mutually exclusive');
    expect(await change({ validationActions: ['Audit', 'Warn'] })).toBe('');
    await c.root.delete(bindings, { name: 'b' });
  });
});

describe('a validating policy', () => {
  test('is refused with the places of all that does not compile', async () => {
    const c = await setUp();
    const text = await message(
      c.make(policies, 'bad', {
        spec: {
          matchConditions: [{ name: 'm', expression: 'object.' }],
          variables: [
            { name: 'a-b', expression: '1' },
            { name: 'ok', expression: 'unknown + 1' },
          ],
          validations: [
            { expression: '"text"', reason: 'Because' },
            { expression: 'params.x == 1' },
            { expression: 'true', messageExpression: '1' },
          ],
          auditAnnotations: [{ key: '', valueExpression: '1 == 1' }],
        },
      }),
    );
    for (const part of [
      'spec.matchConstraints: Required value',
      'spec.matchConditions[0].expression: Invalid value: "object.": compilation failed: ERROR: <input>:1:8',
      'spec.variables[0].name: Invalid value: "a-b": name is not a valid CEL identifier',
      'spec.variables[1].expression: Invalid value: "unknown + 1": compilation failed: ERROR: <input>:1:1: undeclared reference to \'unknown\'',
      'spec.validations[0].expression: Invalid value: "\\"text\\"": must evaluate to bool',
      'spec.validations[0].reason: Unsupported value: "Because"',
      'spec.validations[1].expression: Invalid value: "params.x == 1": compilation failed: ERROR: <input>:1:1: undeclared reference to \'params\'',
      'spec.validations[2].messageExpression: Invalid value: "1": must evaluate to string',
      'spec.auditAnnotations[0].key: Required value',
      'spec.auditAnnotations[0].valueExpression: Invalid value: "1 == 1": must evaluate to one of [string null]',
    ])
      expect(text).toContain(part);
  });

  test('warns and audits instead of denying where its binding says so', async () => {
    const c = await setUp();
    await bind(
      c,
      'soft',
      {
        validations: [{ expression: "has(object.data) && 'a' in object.data", message: 'a is missing' }],
        auditAnnotations: [
          { key: 'who', valueExpression: 'request.userInfo.username' },
          { key: 'none', valueExpression: 'null' },
        ],
      },
      { validationActions: ['Warn', 'Audit'] },
    );
    const warnings: string[] = [];
    const audit: Record<string, string> = {};
    const registry = createRegistry({
      store: c.store,
      kinds: [builtinKinds({ strategies: c.security.strategies })],
      admission: c.security.admission,
      clock: c.clock,
      random: { next: () => 0.5, bytes: (n) => new Uint8Array(n) },
      logger: silentLogger,
    });
    const kind = registry.kinds.find('', 'v1', 'configmaps')!;
    await admit(
      registry,
      {
        user: { name: 'me', groups: [] },
        fieldManager: 'x',
        warn: (text) => warnings.push(text),
        annotate: (key, value) => {
          audit[key] = value;
        },
      },
      { kind, namespace: 'default', name: 'm', subresource: '' },
      {
        operation: 'CREATE',
        dryRun: true,
        object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', namespace: 'default' } },
      },
    );
    expect(warnings).toEqual([
      `Validation failed for ValidatingAdmissionPolicy 'soft' with binding 'soft': a is missing`,
    ]);
    expect(audit['soft/who']).toBe('me');
    expect(audit).not.toHaveProperty('soft/none');
    expect(JSON.parse(audit['validation.policy.admission.k8s.io/validation_failure']!)).toEqual([
      {
        message: 'a is missing',
        policy: 'soft',
        binding: 'soft',
        expressionIndex: 0,
        validationActions: ['Warn', 'Audit'],
      },
    ]);
  });

  test('takes parameters by name and selector, and is closed or open without them', async () => {
    const c = await setUp();
    const paramKind = { apiVersion: 'v1', kind: 'ConfigMap' };
    const validations = [
      {
        expression: "object.metadata.name.startsWith('limit') || int(params.data.most) >= size(object.data)",
        messageExpression: "'most is ' + params.data.most",
      },
    ];
    await map(c, 'limit-1', { most: '1' }, { limit: 'yes' });
    await bind(
      c,
      'named',
      { paramKind, validations },
      { paramRef: { name: 'limit-1', parameterNotFoundAction: 'Deny' } },
    );
    expect(await message(map(c, 'm', { a: '1', b: '2' }))).toContain('denied request: most is 1');
    expect(await message(map(c, 'm', { a: '1' }))).toBe('');
    await c.root.patch(
      bindings,
      { name: 'named' },
      { type: 'merge', body: { spec: { paramRef: { name: null, selector: { matchLabels: { limit: 'yes' } } } } } },
    );
    expect(await message(map(c, 'n', { a: '1', b: '2' }))).toContain('denied request: most is 1');
    await c.root.delete(maps, { namespace: 'default', name: 'limit-1' });
    expect(await message(map(c, 'n', { a: '1', b: '2' }))).toContain(
      "'named' with binding 'named' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
    );
    await c.root.patch(
      bindings,
      { name: 'named' },
      { type: 'merge', body: { spec: { paramRef: { parameterNotFoundAction: 'Allow' } } } },
    );
    expect(await message(map(c, 'n', { a: '1', b: '2' }))).toBe('');
  });

  test('sees request, namespace and authorizer, and falls under match conditions and selectors', async () => {
    const c = await setUp();
    await c.make(namespaces, 'shop', { metadata: { name: 'shop', labels: { tier: 'gold' } } });
    await bind(
      c,
      'see',
      {
        matchConditions: [{ name: 'not-skipped', expression: "object.metadata.name != 'skip'" }],
        validations: [
          { expression: "namespaceObject.metadata.labels.tier == 'gold'", reason: 'Forbidden' },
          {
            expression:
              "request.operation == 'CREATE' && request.resource.resource == 'configmaps' && oldObject == null",
          },
          { expression: "authorizer.group('').resource('pods').namespace('shop').check('create').allowed()" },
          { expression: 'authorizer.requestResource.check("create").allowed()' },
          { expression: "object.kind == 'ConfigMap' && request.kind.version == 'v1' && request.dryRun == false" },
          { expression: "object.data.broken == 'x'" },
        ],
      },
      { matchResources: { objectSelector: { matchLabels: { watched: 'yes' } } } },
    );
    expect(await message(map(c, 'm'))).toBe('');
    const watched = (name: string, namespace: string) =>
      failureOf(
        c.make(maps, name, { metadata: { name, namespace, labels: { watched: 'yes' } }, data: { a: '1' } }, namespace),
      );
    expect(await watched('skip', 'default')).toMatchObject({ message: 'it succeeded' });
    expect((await watched('n', 'default')).message).toContain('resulted in error: no such key: tier');
    expect((await watched('n', 'shop')).message).toContain(
      "expression 'object.data.broken == 'x'' resulted in error: no such key: broken",
    );
    await c.root.patch(
      namespaces,
      { name: 'shop' },
      { type: 'merge', body: { metadata: { labels: { tier: 'tin' } } } },
    );
    expect(await watched('n', 'shop')).toMatchObject({ status: { code: 403, reason: 'Forbidden' } });
    await c.root.patch(policies, { name: 'see' }, { type: 'merge', body: { spec: { failurePolicy: 'Ignore' } } });
    await c.root.patch(
      namespaces,
      { name: 'shop' },
      { type: 'merge', body: { metadata: { labels: { tier: 'gold' } } } },
    );
    expect(await watched('n', 'shop')).toMatchObject({ message: 'it succeeded' });
  });

  test('is never subject to policies, and costs no more than its budget', async () => {
    const c = await setUp();
    await bind(c, 'all', { matchConstraints: rules('*', '*', '*', ['*']), validations: [{ expression: 'false' }] });
    expect(await message(map(c, 'm'))).toContain("ValidatingAdmissionPolicy 'all'");
    expect(await message(c.root.delete(policies, { name: 'all' }))).toBe('');
    const nested = 'range.all(a, range.all(b, range.all(c, a + b + c >= 0)))'.replaceAll('range', 'variables.range');
    await bind(c, 'dear', {
      variables: [{ name: 'range', expression: `[${Array.from({ length: 200 }, (_, i) => i).join(', ')}]` }],
      validations: [{ expression: nested }],
    });
    expect(await message(map(c, 'm'))).toContain('cost limit exceeded');
  });
});

test('a variable is evaluated once, however many expressions read it', async () => {
  const c = await setUp();
  // A look at the authorizer is a thirtieth of what one evaluation of a policy may cost in all.
  await bind(c, 'once', {
    variables: [{ name: 'may', expression: "authorizer.group('').resource('pods').check('get').allowed()" }],
    validations: Array.from({ length: 60 }, () => ({ expression: 'variables.may' })),
  });
  expect(await message(map(c, 'm'))).toBe('');
});

describe('a mutating policy', () => {
  test('lays an apply configuration over the object and patches it, with defaults after it', async () => {
    const c = await setUp();
    await bindMutating(c, 'sidecar', {
      matchConstraints: rules('pods'),
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression: `Object{ spec: Object.spec{ initContainers: [Object.spec.initContainers{ name: "mesh", image: "mesh:1", restartPolicy: "Always" }] } }`,
          },
        },
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression: `[JSONPatch{ op: "add", path: "/metadata/labels", value: Object.metadata.labels{ n: string(size(object.spec.initContainers)) } }, JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("a/b"), value: "c"}]`,
          },
        },
      ],
    });
    const pod = await c.make(pods, 'p', {
      metadata: { name: 'p', namespace: 'default', annotations: { x: 'y' } },
      ...podSpec,
    });
    expect(pod).toMatchObject({
      metadata: { labels: { n: '1' }, annotations: { 'a/b': 'c', x: 'y' } },
      spec: { containers: [{ name: 'c' }], initContainers: [{ name: 'mesh', imagePullPolicy: 'IfNotPresent' }] },
    });
    // As in the original: what admission adds is nobody's.
    expect(JSON.stringify(pod.metadata.managedFields)).not.toContain('mesh');
  });

  test('runs again when it asked for that and another has changed the object, and only then', async () => {
    const c = await setUp();
    const count = (name: string, reinvocationPolicy: string, ...more: object[]) => ({
      reinvocationPolicy,
      mutations: [
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression: `[JSONPatch{op: "add", path: "/data/${name}", value: string((has(object.data.${name}) ? int(object.data.${name}) : 0) + 1)}]`,
          },
        },
        ...more,
      ],
    });
    await bindMutating(c, 'a', count('a', 'IfNeeded'));
    await bindMutating(c, 'b', count('b', 'Never'));
    expect(await map(c, 'm', { x: '' })).toMatchObject({ data: { a: '2', b: '1' } });
  });

  test('takes the version it names, closes or opens by its failure policy, and may not reach into what is atomic', async () => {
    const c = await setUp();
    await bindMutating(c, 'cpu', {
      matchConstraints: rules('horizontalpodautoscalers', 'autoscaling', 'v1'),
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: { expression: 'Object{spec: Object.spec{targetCPUUtilizationPercentage: 70}}' },
        },
      ],
    });
    const spec = { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' }, maxReplicas: 3 };
    expect(await c.make(scalers, 's', { spec })).toMatchObject({
      spec: { metrics: [{ resource: { target: { averageUtilization: 70 } } }] },
    });
    await bindMutating(c, 'breaks', {
      matchConstraints: rules('pods'),
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression:
              'Object{spec: Object.spec{tolerations: [Object.spec.tolerations{key: "k", operator: "Exists"}]}}',
          },
        },
      ],
    });
    expect(await message(c.make(pods, 'p', podSpec))).toBe(
      `pods "p" is forbidden: policy 'breaks' with binding 'breaks' denied request: error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.tolerations`,
    );
    await c.root.patch(
      mutatingPolicies,
      { name: 'breaks' },
      { type: 'merge', body: { spec: { failurePolicy: 'Ignore' } } },
    );
    expect(await message(c.make(pods, 'p', { spec: { containers: [container] } }))).toBe('');
    const wrong = await message(
      c.make(mutatingPolicies, 'wrong', {
        spec: {
          matchConstraints: rules('pods'),
          reinvocationPolicy: 'Often',
          mutations: [
            { patchType: 'JSONPatch', jsonPatch: { expression: '["x"]' } },
            {
              patchType: 'ApplyConfiguration',
              applyConfiguration: { expression: '1' },
              jsonPatch: { expression: '[]' },
            },
          ],
        },
      }),
    );
    for (const part of [
      'spec.mutations[0].jsonPatch.expression: Invalid value: "[\\"x\\"]": must evaluate to list(JSONPatch)',
      'spec.mutations[1].applyConfiguration.expression: Invalid value: "1": must evaluate to Object',
      'spec.mutations[1].jsonPatch: Forbidden',
      'spec.reinvocationPolicy: Unsupported value: "Often"',
    ])
      expect(wrong).toContain(part);
  });
});

test('the status of a policy tells what its expressions get wrong for the kinds it names, and for which generation', async () => {
  const c = await setUp();
  c.security.keepWritten(c.root, silentLogger);
  await c.make(policies, 'typed', {
    spec: {
      matchConstraints: rules('deployments', 'apps'),
      variables: [{ name: 'replicas', expression: 'object.spec.replicas' }],
      validations: [
        { expression: 'object.spec.foo < 5' },
        { expression: 'variables.replicas == "text"' },
        { expression: 'variables.replicas > 1', messageExpression: "'is ' + object.metadata.nam" },
        {
          expression:
            "object.spec.template.spec.containers.all(c, c.image.startsWith('x')) && has(object.metadata.labels.app)",
        },
      ],
    },
  });
  const read = () =>
    c.root.get(policies, { name: 'typed' }) as Promise<KubeObject & { status?: { observedGeneration?: number } }>;
  const settled = async (generation: number) => {
    while ((await read()).status?.observedGeneration !== generation) await c.clock.advance(10);
  };
  await settled(1);
  const { status } = await read();
  expect(status).toEqual({
    observedGeneration: 1,
    typeChecking: {
      expressionWarnings: [
        {
          fieldRef: 'spec.validations[0].expression',
          warning: expect.stringMatching(/^apps\/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'foo'/),
        },
        {
          fieldRef: 'spec.validations[1].expression',
          warning: expect.stringContaining("found no matching overload for '_==_' applied to '(int, string)'"),
        },
        {
          fieldRef: 'spec.validations[2].messageExpression',
          warning: expect.stringContaining("undefined field 'nam'"),
        },
      ],
    },
  });
  await c.root.patch(
    policies,
    { name: 'typed' },
    { type: 'merge', body: { spec: { validations: [{ expression: 'true' }] } } },
  );
  await settled(2);
  expect((await read()).status).toEqual({ observedGeneration: 2, typeChecking: {} });
});
