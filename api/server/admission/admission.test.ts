import { type StatusError, silentLogger } from '@trimtab/machinery';
import {
  accounts,
  cluster,
  container,
  limited,
  limits,
  message,
  namespaces,
  podSpec,
  pods,
  quotas,
  type,
} from '../bootstrap/testing.js';

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
