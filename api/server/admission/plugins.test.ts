import { execFileSync } from 'node:child_process';
import { type KubeObject, type StatusError, silentLogger } from '@trimtab/machinery';
import { mastersGroup } from '../authentication/groups.js';
import { cluster, container, limited, message, namespaces, podSpec, pods, quotas, type } from '../bootstrap/testing.js';
import type { AdmissionAttributes, AdmissionPlugin } from '../contracts.js';
import { admit } from '../registry/admit.js';
import { builtinKinds } from '../registry/builtin-kinds.js';
import { createRegistry } from '../server.js';
import {
  alwaysPullImages,
  extendedResourceToleration,
  ownerReferencesPermissionEnforcement,
} from './optional-plugins.js';

const group = 'certificates.k8s.io';
const requests = type(group, 'CertificateSigningRequest', 'certificatesigningrequests', false);
const claims = type('', 'PersistentVolumeClaim', 'persistentvolumeclaims');
const volumes = type('', 'PersistentVolume', 'persistentvolumes', false);
const services = type('', 'Service', 'services');
const clusterRoles = type('rbac.authorization.k8s.io', 'ClusterRole', 'clusterroles', false);
const clusterBindings = type('rbac.authorization.k8s.io', 'ClusterRoleBinding', 'clusterrolebindings', false);

test('the order of the plugins is Kubernetes’ own', async () => {
  const { security } = await cluster();
  // What this server checks by plugins where the original has it in its registries.
  const own = ['RBACEscalation', 'CertificateSigningRequests'];
  const names = security.admission.map(({ name }) => name).filter((name) => !own.includes(name));
  expect(names).toEqual([
    'NamespaceLifecycle',
    'LimitRanger',
    'ServiceAccount',
    'NodeRestriction',
    'TaintNodesByCondition',
    'PodSecurity',
    'Priority',
    'DefaultTolerationSeconds',
    'DefaultStorageClass',
    'StorageObjectInUseProtection',
    'PersistentVolumeClaimResize',
    'RuntimeClass',
    'CertificateApproval',
    'CertificateSigning',
    'ClusterTrustBundleAttest',
    'CertificateSubjectRestriction',
    'DefaultIngressClass',
    'MutatingAdmissionPolicy',
    'MutatingAdmissionWebhook',
    'ValidatingAdmissionPolicy',
    'ValidatingAdmissionWebhook',
    'ResourceQuota',
  ]);
});

describe('certificate requests', () => {
  const request = (subject: string) =>
    execFileSync(
      'openssl',
      [
        'req',
        '-new',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        '/dev/null',
        '-subj',
        subject,
      ],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    ).toString('base64');
  const spec = (signerName: string, subject = '/O=devs/CN=eve') => ({
    spec: { signerName, request: request(subject), usages: ['client auth'] },
  });

  test('are approved and signed only by those who may for their signer', async () => {
    const { make, as } = await cluster();
    await make(clusterRoles, 'signer', {
      rules: [
        {
          apiGroups: [group],
          resources: [
            'certificatesigningrequests',
            'certificatesigningrequests/approval',
            'certificatesigningrequests/status',
          ],
          verbs: ['*'],
        },
        { apiGroups: [group], resources: ['signers'], resourceNames: ['example.com/*'], verbs: ['approve', 'sign'] },
      ],
    });
    await make(clusterBindings, 'signer', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'signer' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'sam' }],
    });
    const sam = as({ name: 'sam', groups: ['system:authenticated'] });
    await make(requests, 'mine', spec('example.com/a'));
    await make(requests, 'theirs', spec('other.com/a'));
    const condition = { type: 'Approved', status: 'True', reason: 'r', message: 'm' };
    const approve = (name: string) =>
      message(
        sam.patch(
          requests,
          { name },
          { type: 'merge', body: { status: { conditions: [condition] } } },
          { subresource: 'approval' },
        ),
      );
    expect(await approve('mine')).toBe('');
    expect(await approve('theirs')).toBe(
      'certificatesigningrequests.certificates.k8s.io "theirs" is forbidden: user not permitted to approve requests with signerName "other.com/a"',
    );
    const failed = { type: 'Failed', status: 'True', reason: 'r', message: 'm' };
    const sign = (name: string) =>
      message(
        sam.patch(
          requests,
          { name },
          { type: 'merge', body: { status: { conditions: [failed] } } },
          { subresource: 'status' },
        ),
      );
    expect(await sign('theirs')).toContain('user not permitted to sign requests with signerName "other.com/a"');
  });

  test('for the API server’s client signer name no masters', async () => {
    const { make } = await cluster();
    const signer = 'kubernetes.io/kube-apiserver-client';
    expect(await message(make(requests, 'bad', spec(signer, `/O=${mastersGroup}/CN=eve`)))).toContain(
      `use of ${signer} signer with system:masters group is not allowed`,
    );
    expect(await message(make(requests, 'good', spec(signer)))).toBe('');
  });
});

test('volumes and claims are protected from the start', async () => {
  const { make } = await cluster();
  const claim = await make(claims, 'c', {
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
  expect(claim.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
  const volume = await make(volumes, 'v', {
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } },
  });
  expect(volume.metadata.finalizers).toEqual(['kubernetes.io/pv-protection']);
});

test('an account may hold its pods to the secrets it names', async () => {
  const { make } = await cluster();
  await make(type('', 'ServiceAccount', 'serviceaccounts'), 'strict', {
    metadata: {
      name: 'strict',
      namespace: 'default',
      annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true' },
    },
    secrets: [{ name: 'mine' }],
  });
  const reading = (secretName: string) => ({
    spec: { ...podSpec.spec, serviceAccountName: 'strict', volumes: [{ name: 'v', secret: { secretName } }] },
  });
  expect(await message(make(pods, 'a', reading('mine')))).toBe('');
  expect(await message(make(pods, 'b', reading('theirs')))).toBe(
    'pods "b" is forbidden: volume with secret.secretName="theirs" is not allowed because service account strict does not reference that secret',
  );
  const env = [{ name: 'X', valueFrom: { secretKeyRef: { name: 'theirs', key: 'k' } } }];
  const spec = { serviceAccountName: 'strict', containers: [{ ...container, env }] };
  expect(await message(make(pods, 'c', { spec }))).toContain(
    'is not allowed because secret is not referenced by service account strict',
  );
});

test('a runtime class decides the overhead of its pods, and gives each toleration once', async () => {
  const { make } = await cluster();
  const toleration = { key: 'vm', operator: 'Exists', effect: 'NoSchedule' };
  await make(type('node.k8s.io', 'RuntimeClass', 'runtimeclasses', false), 'vm', {
    handler: 'vm',
    overhead: { podFixed: { cpu: '100m' } },
    scheduling: { tolerations: [toleration] },
  });
  const spec = (more: object) => ({ spec: { ...podSpec.spec, runtimeClassName: 'vm', ...more } });
  expect(await message(make(pods, 'a', spec({ overhead: { cpu: '1' } })))).toContain(
    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
  );
  const pod = await make(pods, 'b', spec({ overhead: { cpu: '100m' }, tolerations: [toleration] }));
  expect(pod.spec.tolerations).toHaveLength(3);
});

test('an update of a pod that does not repeat its priority keeps it', async () => {
  const { make, root } = await cluster();
  const pod = await make(pods, 'p', { spec: { ...podSpec.spec, priorityClassName: 'system-node-critical' } });
  const { priority: _, preemptionPolicy: __, ...spec } = pod.spec;
  const labelled = { ...pod, metadata: { ...pod.metadata, labels: { a: 'b' } }, spec } as unknown as KubeObject;
  expect(await root.update(pods, labelled)).toMatchObject({
    spec: { priority: 2_000_001_000 },
    metadata: { labels: { a: 'b' } },
  });
});

describe('pod security', () => {
  const label = (mode: string, level: string, version?: string) => ({
    [`pod-security.kubernetes.io/${mode}`]: level,
    ...(version ? { [`pod-security.kubernetes.io/${mode}-version`]: version } : {}),
  });

  /** Runs admission of a write and gives what it warned of and noted down. */
  async function asked(
    labels: object,
    operation: 'CREATE' | 'UPDATE',
    object: object,
    kind: string,
    oldObject?: object,
  ) {
    const { security, store, clock, make } = await cluster();
    await make(namespaces, 'n', { metadata: { name: 'n', labels } });
    await make(type('', 'ServiceAccount', 'serviceaccounts'), 'default', {}, 'n');
    for (const name of ['a', 'b']) await make(pods, name, podSpec, 'n').catch(() => {});
    const registry = createRegistry({
      ...security,
      store,
      kinds: [builtinKinds({ strategies: security.strategies })],
      clock,
      random: { next: () => 0.5, bytes: (n) => new Uint8Array(n) },
      logger: silentLogger,
    });
    const warnings: string[] = [];
    const audit: Record<string, string> = {};
    const context = {
      user: { name: 'me', groups: [] },
      fieldManager: 'x',
      warn: (text: string) => warnings.push(text),
      annotate: (key: string, value: string) => {
        audit[key] = value;
      },
    };
    const served = registry.kinds.find('', 'v1', kind)!;
    const name = (object as KubeObject).metadata.name!;
    const target = { kind: served, namespace: 'n', name, subresource: '' };
    const error = await admit(registry, context, target, {
      operation,
      object: object as KubeObject,
      oldObject: oldObject as KubeObject,
      dryRun: true,
    }).then(
      () => '',
      (e: StatusError) => e.message,
    );
    return { warnings, audit, error };
  }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n' },
    spec: { containers: [container] },
  };

  test('audits, warns and enforces each at its own level and version', async () => {
    const { warnings, audit, error } = await asked(
      {
        ...label('enforce', 'baseline'),
        ...label('audit', 'restricted', 'v1.7'),
        ...label('warn', 'restricted', 'v1.18'),
      },
      'CREATE',
      pod,
      'pods',
    );
    expect(error).toBe('');
    expect(audit).toEqual({
      'pod-security.kubernetes.io/enforce-policy': 'baseline:latest',
      'pod-security.kubernetes.io/audit-violations':
        'would violate PodSecurity "restricted:v1.7": runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
    });
    expect(warnings).toEqual([
      'would violate PodSecurity "restricted:v1.18": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
    ]);
    const refused = await asked(label('enforce', 'restricted', 'v1.8'), 'CREATE', pod, 'pods');
    expect(refused.error).toContain('violates PodSecurity "restricted:v1.8": allowPrivilegeEscalation != false');
    expect(refused.error).not.toContain('seccompProfile');
  });

  test('a stricter namespace names the pods that would not be let in any more', async () => {
    const space = (labels: object) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n', labels } });
    const strict = label('enforce', 'restricted');
    const { warnings } = await asked({}, 'UPDATE', space(strict), 'namespaces', space({}));
    expect(warnings).toEqual([
      'existing pods in namespace "n" violate the new PodSecurity enforce level "restricted:latest"',
      'a (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile',
    ]);
    const looser = await asked(strict, 'UPDATE', space(label('enforce', 'baseline')), 'namespaces', space(strict));
    expect(looser.warnings).toEqual([]);
  });
});

describe('quota', () => {
  test('counts sidecars and overhead, scopes, storage classes and node ports, and charges no dry run', async () => {
    const { make, root } = await cluster();
    await make(type('node.k8s.io', 'RuntimeClass', 'runtimeclasses', false), 'vm', {
      handler: 'vm',
      overhead: { podFixed: { cpu: '100m' } },
    });
    await make(quotas, 'cpu', { spec: { hard: { 'requests.cpu': '1' }, scopes: ['NotTerminating'] } });
    const resources = (cpu: string) => ({ resources: { requests: { cpu } } });
    const spec = {
      runtimeClassName: 'vm',
      containers: [{ ...container, ...resources('300m') }],
      initContainers: [
        { ...container, name: 'side', restartPolicy: 'Always', ...resources('200m') },
        { ...container, name: 'init', ...resources('900m') },
      ],
    };
    expect(await message(make(pods, 'p', { spec }))).toContain(
      'exceeded quota: cpu, requested: requests.cpu=1200m, used: requests.cpu=0, limited: requests.cpu=1',
    );
    expect(await message(make(pods, 'p', { spec: { ...spec, activeDeadlineSeconds: 5 } }))).toBe('');
    const unsaid = { ...spec, initContainers: [{ ...container, name: 'init' }] };
    expect(await message(make(pods, 'q', { spec: unsaid }))).toContain(
      'failed quota: cpu: must specify requests.cpu for: init',
    );

    await make(quotas, 'things', {
      spec: {
        hard: {
          'services.nodeports': '1',
          'fast.storageclass.storage.k8s.io/requests.storage': '1Gi',
          'count/secrets': '1',
        },
      },
    });
    const service = (type: string) => ({ spec: { type, selector: { a: 'b' }, ports: [{ port: 80 }] } });
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'default' } };
    for (let i = 0; i < 3; i++) await root.create(type('', 'Secret', 'secrets'), secret, { dryRun: true });
    expect(await message(root.create(type('', 'Secret', 'secrets'), secret))).toBe('');
    expect(await message(make(services, 'one', service('NodePort')))).toBe('');
    const plain = await make(services, 'two', service('ClusterIP'));
    expect(
      await message(root.update(services, { ...plain, spec: { ...plain.spec, type: 'NodePort' } } as KubeObject)),
    ).toContain(
      'exceeded quota: things, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1',
    );
    const claim = {
      spec: { storageClassName: 'fast', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } } },
    };
    expect(await message(make(claims, 'c', claim))).toContain('fast.storageclass.storage.k8s.io/requests.storage=2Gi');
  });

  test('set up later does not hold up updates of pods that say nothing of what they need', async () => {
    const { make, root } = await cluster();
    const pod = await make(pods, 'p', podSpec);
    await make(quotas, 'q', { spec: { hard: { 'requests.cpu': '1' } } });
    const labelled = { ...pod, metadata: { ...pod.metadata, labels: { a: 'b' } } } as KubeObject;
    expect(await message(root.update(pods, labelled))).toBe('');
    expect(await message(make(pods, 'q', limited('1', '1Mi')))).toBe('');
  });
});

describe('plugins that are off by default', () => {
  const attributes = (more: Partial<AdmissionAttributes>): AdmissionAttributes => ({
    operation: 'CREATE',
    type: pods,
    subresource: '',
    namespace: 'default',
    name: 'p',
    user: { name: 'me', groups: [] },
    dryRun: false,
    warn: () => {},
    ...more,
  });
  const mutated = (plugin: AdmissionPlugin, spec: object) =>
    plugin.mutate!(attributes({ object: { metadata: { name: 'p' }, spec } as unknown as KubeObject })) as unknown as {
      readonly spec: object;
    };

  test('tolerate the taints of special resources, and pull images always', () => {
    const spec = { containers: [{ ...container, resources: { requests: { 'example.com/gpu': '1', cpu: '1' } } }] };
    expect(mutated(extendedResourceToleration, spec).spec).toMatchObject({
      tolerations: [{ key: 'example.com/gpu', operator: 'Exists' }],
    });
    expect(mutated(alwaysPullImages, spec).spec).toMatchObject({ containers: [{ imagePullPolicy: 'Always' }] });
  });

  test('let nobody block a deletion he has no say in', () => {
    const verdict = (allowed: boolean) => {
      const plugin = ownerReferencesPermissionEnforcement({ authorize: () => ({ allowed, reason: '' }) });
      const owner = { apiVersion: 'v1', kind: 'Pod', name: 'o', uid: 'u', blockOwnerDeletion: true };
      const kinds = { findKind: () => pods } as never;
      const object = { metadata: { name: 'p', ownerReferences: [owner] } } as KubeObject;
      return () => plugin.validate!(attributes({ object, request: { kinds } as never }));
    };
    expect(verdict(true)).not.toThrow();
    expect(verdict(false)).toThrow(
      "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on",
    );
  });
});
