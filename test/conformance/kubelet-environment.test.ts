import type { Container, EnvVar, Pod } from '@trimtab/machinery';
import { ConfigMaps, Nodes, Pods, parseQuantity, quantityValue, Secrets, Services } from '@trimtab/machinery';
import { describeReal, IMAGE, useRealCluster } from './real-cluster.js';

/** Conformance tests of class R about a container's environment, under their own names. */

describeReal('real environments', () => {
  const c = useRealCluster();
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const fields = (map: Record<string, string>): EnvVar[] =>
    Object.entries(map).map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { fieldPath } } }));
  async function environment(container: Partial<Container>): Promise<string[]> {
    // Not through a shell, which drops names it does not like.
    await c.pod('p', '', { command: ['env'], ...container });
    return (await c.output('p')).split('\n');
  }

  describe('[sig-node] ConfigMap', () => {
    beforeEach(() =>
      c.create(ConfigMaps, { metadata: { name: 'settings' }, data: { 'data-1': 'value-1', DATA_2: 'value-2' } }),
    );

    test('should be consumable via environment variable [NodeConformance] [Conformance]', async () => {
      const env = [{ name: 'CONFIG_DATA_1', valueFrom: { configMapKeyRef: { name: 'settings', key: 'data-1' } } }];
      expect(await environment({ env })).toContain('CONFIG_DATA_1=value-1');
    });
    test('should be consumable via the environment [NodeConformance] [Conformance]', async () => {
      const envFrom = [{ configMapRef: { name: 'settings' } }, { prefix: 'p-', configMapRef: { name: 'settings' } }];
      expect(await environment({ envFrom })).toEqual(
        expect.arrayContaining(['data-1=value-1', 'DATA_2=value-2', 'p-data-1=value-1']),
      );
    });
    test('should be consumable as environment variable names with various prefixes [Conformance]', async () => {
      const envFrom = ['p-', '#_', '$_', '1-'].map((prefix) => ({ prefix, configMapRef: { name: 'settings' } }));
      expect(await environment({ envFrom })).toEqual(
        expect.arrayContaining(['p-data-1=value-1', '#_data-1=value-1', '$_data-1=value-1', '1-data-1=value-1']),
      );
    });
  });

  describe('[sig-node] Secrets', () => {
    beforeEach(() =>
      c.create(Secrets, {
        metadata: { name: 'keys' },
        data: { 'data-1': base64('value-1'), DATA_2: base64('value-2') },
      }),
    );

    test('should be consumable from pods in env vars [NodeConformance] [Conformance]', async () => {
      const env = [{ name: 'SECRET_DATA', valueFrom: { secretKeyRef: { name: 'keys', key: 'data-1' } } }];
      expect(await environment({ env })).toContain('SECRET_DATA=value-1');
    });
    test('should be consumable via the environment [NodeConformance] [Conformance]', async () => {
      expect(
        await environment({
          envFrom: [{ secretRef: { name: 'keys' } }, { prefix: 'p-', secretRef: { name: 'keys' } }],
        }),
      ).toEqual(expect.arrayContaining(['data-1=value-1', 'DATA_2=value-2', 'p-DATA_2=value-2']));
    });
    test('should be consumable as environment variable names variable names with various prefixes [Conformance]', async () => {
      const envFrom = ['#_', '$_', '1-'].map((prefix) => ({ prefix, secretRef: { name: 'keys' } }));
      expect(await environment({ envFrom })).toEqual(
        expect.arrayContaining(['#_data-1=value-1', '$_data-1=value-1', '1-data-1=value-1']),
      );
    });
  });

  describe('[sig-node] Downward API', () => {
    test('should provide pod name, namespace and IP address as env vars [NodeConformance] [Conformance]', async () => {
      const env = fields({ POD_NAME: 'metadata.name', POD_NAMESPACE: 'metadata.namespace', POD_IP: 'status.podIP' });
      const seen = await environment({ env });
      expect(seen).toEqual(expect.arrayContaining(['POD_NAME=p', `POD_NAMESPACE=${c.ns}`]));
      expect(seen.find((line) => line.startsWith('POD_IP='))).toMatch(/^POD_IP=(\d+\.){3}\d+$/);
    });
    test('should provide host IP as an env var [NodeConformance] [Conformance]', async () => {
      expect(await environment({ env: fields({ HOST_IP: 'status.hostIP' }) })).toContain('HOST_IP=127.0.0.1');
    });
    test('should provide hostIPs as an env var [NodeConformance] [Conformance]', async () => {
      expect(await environment({ env: fields({ HOST_IPS: 'status.hostIPs' }) })).toContain('HOST_IPS=127.0.0.1');
    });
    test('should provide pod UID as env vars [NodeConformance] [Conformance]', async () => {
      const seen = await environment({ env: fields({ POD_UID: 'metadata.uid' }) });
      const { metadata } = await c.client.get(Pods, { namespace: c.ns, name: 'p' });
      expect(seen).toContain(`POD_UID=${metadata.uid}`);
    });

    const amounts = ['limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory'].map((resource) => ({
      name: resource.replace('.', '_').toUpperCase(),
      valueFrom: { resourceFieldRef: { resource } },
    }));
    test("should provide container's limits.cpu/memory and requests.cpu/memory as env vars [NodeConformance] [Conformance]", async () => {
      const resources = { requests: { cpu: '250m', memory: '32Mi' }, limits: { cpu: '1250m', memory: '64Mi' } };
      expect(await environment({ env: amounts, resources })).toEqual(
        expect.arrayContaining([
          'LIMITS_CPU=2',
          'LIMITS_MEMORY=67108864',
          'REQUESTS_CPU=1',
          'REQUESTS_MEMORY=33554432',
        ]),
      );
    });
    test('should provide default limits.cpu/memory from node allocatable [NodeConformance] [Conformance]', async () => {
      const node = await c.client.get(Nodes, { name: 'node-a' });
      const { cpu = '', memory = '' } = node.status?.allocatable ?? {};
      expect(await environment({ env: amounts.slice(0, 2) })).toEqual(
        expect.arrayContaining([`LIMITS_CPU=${cpu}`, `LIMITS_MEMORY=${quantityValue(parseQuantity(memory))}`]),
      );
    });
  });

  describe('[sig-node] Variable Expansion', () => {
    const env = [
      { name: 'FOO', value: 'foo-value' },
      { name: 'BAR', value: 'bar-value' },
      { name: 'FOOBAR', value: '$(FOO);;$(BAR)' },
    ];
    test('should allow composing env vars into new env vars [NodeConformance] [Conformance]', async () => {
      expect(await environment({ env })).toContain('FOOBAR=foo-value;;bar-value');
    });
    test("should allow substituting values in a container's command [NodeConformance] [Conformance]", async () => {
      await c.pod('p', '', { env, command: ['sh', '-c', 'TEST_VAR=wrong echo "$(FOO)"'] });
      expect(await c.output('p')).toBe('foo-value\n');
    });
    test("should allow substituting values in a container's args [NodeConformance] [Conformance]", async () => {
      await c.pod('p', '', {
        env,
        command: ['sh', '-c'],
        args: ['TEST_VAR=wrong echo "$(FOO) $(NONE) $$(FOO)" | sed "s/x//"'],
      });
      expect(await c.output('p').catch((error: Error) => error.message)).toMatch(/foo-value/);
    });

    const expanded = (value: string, script: string, extra: Partial<Container> = {}): Promise<Pod> =>
      c.pod(
        'p',
        script,
        {
          env: [{ name: 'POD_NAME', value }],
          volumeMounts: [
            { name: 'workdir1', mountPath: '/subpath_mount', subPathExpr: '$(POD_NAME)' },
            { name: 'workdir1', mountPath: '/volume_mount' },
          ],
          ...extra,
        },
        { volumes: [{ name: 'workdir1', emptyDir: {} }] },
      );
    test('should allow substituting values in a volume subpath [Conformance]', async () => {
      await expanded('foo', 'test -d /volume_mount/foo; echo test-$?');
      expect(await c.output('p')).toBe('test-0\n');
    });
    test('should succeed in writing subpaths in container [Conformance]', async () => {
      await expanded('foo', 'touch /subpath_mount/test.log; ls /volume_mount/foo');
      expect(await c.output('p')).toBe('test.log\n');
    });
    test.each([
      ['backticks', '..'],
      ['absolute path', '/tmp'],
    ])('should fail substituting values in a volume subpath with %s [Conformance]', async (_what, value) => {
      await expanded(value, 'true');
      const waiting = (pod: Pod) => pod.status?.containerStatuses?.[0]?.state?.waiting;
      const pod = await c.until(Pods, 'p', (p) => waiting(p)?.reason === 'CreateContainerConfigError');
      expect(waiting(pod)?.message).toMatch(/must not (contain '\.\.'|be an absolute path)/);
    });
    test('should verify that a failing subpath expansion can be modified during the lifecycle of a container [Slow] [Conformance]', async () => {
      const env = [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['mysubpath']" } } }];
      await expanded('', 'sleep 1000', {
        env,
        volumeMounts: [{ name: 'workdir1', mountPath: '/subpath_mount', subPathExpr: '$(POD_NAME)/$(NONE)' }],
      });
      await c.until(
        Pods,
        'p',
        (p) => p.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
      );
      await c.gone(Pods, 'p', 0);
      await expanded('', 'sleep 1000', { env });
      await c.client.patch(
        Pods,
        { namespace: c.ns, name: 'p' },
        { type: 'merge', body: { metadata: { annotations: { mysubpath: 'mypath' } } } },
      );
      await c.running('p');
    });
  });

  test('[sig-node] Pods should contain environment variables for services [NodeConformance] [Conformance]', async () => {
    await c.create(Services, {
      metadata: { name: 'fooservice' },
      spec: { selector: { name: 'x' }, ports: [{ port: 8765, targetPort: 8080 }] },
    });
    // The kubelet hears of a service by a watch of its own.
    for (let i = 0; ; i++) {
      await c.pod(`p${i}`, 'env | grep FOOSERVICE || true', { image: IMAGE });
      const seen = await c.output(`p${i}`);
      if (seen === '' && i < 20) continue;
      for (const name of ['HOST', 'PORT']) expect(seen).toMatch(new RegExp(`^FOOSERVICE_SERVICE_${name}=`, 'm'));
      for (const name of ['', '_8765_TCP', '_8765_TCP_ADDR', '_8765_TCP_PORT', '_8765_TCP_PROTO'])
        expect(seen).toMatch(new RegExp(`^FOOSERVICE_PORT${name}=`, 'm'));
      break;
    }
  });

  test("what of a pod's DNS configuration is beyond the limits is left out, and told", async () => {
    const nameservers = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
    await c.pod('p', 'grep -c nameserver /etc/resolv.conf', {}, { dnsConfig: { nameservers } });
    expect(await c.output('p')).toBe('3\n');
    const { message, type } = await c.event('p', 'DNSConfigForming');
    expect(type).toBe('Warning');
    expect(message).toBe(
      'Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.96.0.10 10.0.0.1 10.0.0.2',
    );
  });
});
