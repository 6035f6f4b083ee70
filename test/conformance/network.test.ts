import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Endpoints, Node, Pod, Service } from '@trimtab/machinery';
import { parse } from 'yaml';
import { Cluster, eventually, FRONTEND, guestbookImages, Place, root, run } from '../e2e/cluster.js';
import { ASK_UDP, DISCOVER, FETCH, IDLE, RESOLVE, SERVER } from './net-programs.js';

/**
 * Conformance tests of class N, under their own names: pods, Services, names and proxies as clients meet them, in a whole
 * `trimtab up` in a network namespace of its own, with real pods and real kubectl. Needs root, kubectl and the guestbook's image.
 */
(process.getuid?.() === 0 ? describe : describe.skip)('a cluster with its network', () => {
  let place: Place;
  let cluster: Cluster;
  let ns = '';
  let count = 0;
  let nodeIP = '';

  beforeAll(async () => {
    place = await new Place().make();
    await guestbookImages(place);
    cluster = await Cluster.start(place);
    const { status } = await cluster.json<Node>('get', 'node', 'node-a');
    nodeIP = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
  });
  beforeEach(async () => {
    ns = `net-${count++}`;
    await cluster.must('create', 'namespace', ns);
    await eventually(
      () => cluster.kubectl('-n', ns, 'get', 'serviceaccount', 'default'),
      ({ code }) => code === 0,
    );
  });
  afterEach(() => cluster.must('delete', 'namespace', ns, '--wait=false'));

  const kubectl = (...args: readonly string[]) => cluster.must('-n', ns, ...args);
  const get = <T>(...args: readonly string[]) => cluster.json<T>('-n', ns, 'get', ...args);
  const apply = (...items: readonly object[]) =>
    cluster.apply({ apiVersion: 'v1', kind: 'List', items }, '-n', ns, '--force-conflicts', '--server-side');
  const node = (script: string, ...args: readonly string[]) => ['/usr/bin/node', '-e', script, ...args];
  const readinessProbe = { tcpSocket: { port: 8080 }, periodSeconds: 1, timeoutSeconds: 60 };
  const pod = (name: string, script: string, container: object = {}, spec: object = {}, labels: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { name, ...labels } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'c', image: FRONTEND, command: node(script), ...container }],
      ...spec,
    },
  });
  const server = (name: string, labels: object = { app: 'server' }, container: object = {}, spec: object = {}) =>
    pod(name, SERVER, { readinessProbe, ...container }, spec, labels);
  const service = (name: string, spec: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: 'server' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...spec },
  });
  const ready = (...names: readonly string[]) =>
    kubectl('wait', '--for=condition=Ready', '--timeout=120s', ...names.map((name) => `pod/${name}`));
  const inside = async (name: string, ...command: readonly string[]) =>
    (await kubectl('exec', name, '--', ...command)).trimEnd();
  const fetch = (from: string, url: string, times = 1) => inside(from, ...node(FETCH, url, String(times)));
  const udp = (from: string, host: string, port: number) => inside(from, ...node(ASK_UDP, host, String(port)));
  const resolve = async (from: string, kind: string, name: string) =>
    JSON.parse(await inside(from, ...node(RESOLVE, kind, name)));
  const answers = (ask: () => Promise<string>, wanted: string) => eventually(ask, (said) => said === wanted);
  const addressOf = async (name: string) => (await get<Service>('service', name)).spec?.clusterIP ?? '';
  const ipOf = async (name: string) => (await get<Pod>('pod', name)).status?.podIP ?? '';

  describe('[sig-network] DNS', () => {
    const client = async (more: object = {}) => {
      await apply(pod('client', IDLE, {}, more));
      await ready('client');
    };

    test('should provide DNS for the cluster [Conformance]', async () => {
      await client();
      for (const name of ['kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'])
        expect(await resolve('client', 'any', name)).toEqual(['10.96.0.1']);
      expect(await resolve('client', 'TCP', 'kubernetes.default.svc.cluster.local')).toEqual(['10.96.0.1']);
    });

    test('should provide /etc/hosts entries for the cluster [Conformance]', async () => {
      await client({ hostname: 'dns-querier-1', subdomain: 'dns-test-service' });
      const ip = await ipOf('client');
      const names = ['dns-querier-1', `dns-querier-1.dns-test-service.${ns}.svc.cluster.local`];
      for (const name of names) expect(await resolve('client', 'any', name)).toEqual([ip]);
      expect(await inside('client', 'cat', '/etc/hosts')).toContain(`${ip}\t${names[1]}\t${names[0]}`);
    });

    test('should provide DNS for services [Conformance]', async () => {
      await apply(service('headless', { clusterIP: 'None' }), service('regular'), server('one'), pod('client', IDLE));
      await ready('one', 'client');
      const [podIP, clusterIP] = [await ipOf('one'), await addressOf('regular')];
      for (const [name, ip] of [
        ['headless', podIP],
        ['regular', clusterIP],
      ] as const) {
        for (const suffix of ['', `.${ns}`, `.${ns}.svc`, `.${ns}.svc.cluster.local`])
          await eventually(
            () => resolve('client', 'any', name + suffix),
            (found) => JSON.stringify(found) === JSON.stringify([ip]),
          );
        const full = `${name}.${ns}.svc.cluster.local`;
        expect(await resolve('client', 'A', full)).toEqual([ip]);
        expect(await resolve('client', 'TCP', full)).toEqual([ip]);
        const [[target, port]] = await resolve('client', 'SRV', `_http._tcp.${full}`);
        expect([target.endsWith(full), port]).toEqual([true, name === 'headless' ? 8080 : 80]);
        expect(await resolve('client', 'A', target)).toEqual([ip]);
      }
      expect(await resolve('client', 'PTR', clusterIP)).toEqual([`regular.${ns}.svc.cluster.local`]);
    });

    test('should resolve DNS of partial qualified names for services [LinuxOnly] [Conformance]', async () => {
      await apply(service('dns-test-service'), pod('client', IDLE));
      await ready('client');
      const ip = await addressOf('dns-test-service');
      for (const name of ['dns-test-service', `dns-test-service.${ns}`, `dns-test-service.${ns}.svc`])
        expect(await resolve('client', 'any', name)).toEqual([ip]);
    });

    const named = async (service: string, hostname: string) => {
      await apply({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: service },
        spec: { clusterIP: 'None', selector: { name: 'client' }, ports: [{ name: 'http', port: 80 }] },
      });
      await client({ hostname, subdomain: service });
      const full = `${hostname}.${service}.${ns}.svc.cluster.local`;
      const ip = await ipOf('client');
      await eventually(
        () => resolve('client', 'A', full),
        (found) => JSON.stringify(found) === JSON.stringify([ip]),
      );
      expect(await resolve('client', 'TCP', full)).toEqual([ip]);
      return { full, ip };
    };
    test('should provide DNS for pods for Hostname [Conformance]', async () => {
      const { full, ip } = await named('dns-test-service-2', 'dns-querier-2');
      expect(await resolve('client', 'any', full)).toEqual([ip]);
    });
    test('should provide DNS for pods for Subdomain [Conformance]', async () => {
      const { ip } = await named('dns-test-service-3', 'dns-querier-3');
      expect(await resolve('client', 'A', `dns-test-service-3.${ns}.svc.cluster.local`)).toEqual([ip]);
      expect(await inside('client', 'cat', '/etc/hosts')).toContain(`${ip}\tdns-querier-3.dns-test-service-3.${ns}`);
    });

    test('should provide DNS for ExternalName services [Conformance]', async () => {
      await client();
      const name = `outside.${ns}.svc.cluster.local`;
      const external = (externalName: string) => ({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'outside' },
        spec: { type: 'ExternalName', externalName },
      });
      for (const target of ['foo.example.com', 'bar.example.com']) {
        await apply(external(target));
        await eventually(
          () => resolve('client', 'CNAME', name),
          (found) => JSON.stringify(found) === JSON.stringify([target]),
        );
      }
      const spec = { type: 'ClusterIP', externalName: null, ports: [{ name: 'http', port: 80, protocol: 'TCP' }] };
      await kubectl('patch', 'service', 'outside', '--type=merge', '-p', JSON.stringify({ spec }));
      const ip = await addressOf('outside');
      await eventually(
        () => resolve('client', 'A', name),
        (found) => JSON.stringify(found) === JSON.stringify([ip]),
      );
    });

    test('should support configurable pod DNS nameservers [Conformance]', async () => {
      await client({
        dnsPolicy: 'None',
        dnsConfig: { nameservers: ['1.1.1.1'], searches: ['resolv.conf.local'] },
      });
      expect((await inside('client', 'cat', '/etc/resolv.conf')).split('\n').sort()).toEqual([
        'nameserver 1.1.1.1',
        'search resolv.conf.local',
      ]);
    });
  });

  describe('[sig-network] Networking Granular Checks: Pods', () => {
    const netservers = ['netserver-0', 'netserver-1'];
    const setUp = async (hostNetwork: boolean) => {
      await apply(...netservers.map((name) => server(name)), pod('client', IDLE, {}, { hostNetwork }));
      await ready(...netservers, 'client');
    };
    test.each([
      ['intra-pod communication: http [NodeConformance]', false],
      ['node-pod communication: http [LinuxOnly] [NodeConformance]', true],
    ])('should function for %s [Conformance]', async (_, hostNetwork) => {
      await setUp(hostNetwork);
      for (const name of netservers)
        expect(await fetch('client', `http://${await ipOf(name)}:8080/hostname`)).toBe(name);
    });
    test.each([
      ['intra-pod communication: udp [NodeConformance]', false],
      ['node-pod communication: udp [LinuxOnly] [NodeConformance]', true],
    ])('should function for %s [Conformance]', async (_, hostNetwork) => {
      await setUp(hostNetwork);
      for (const name of netservers) expect(await udp('client', await ipOf(name), 8081)).toBe(name);
    });
  });

  test('[sig-network] HostPort validates that there is no conflict between pods with same hostPort but different hostIP and protocol [LinuxOnly] [Conformance]', async () => {
    const hostPort = 54323;
    const holder = (name: string, hostIP: string, protocol = 'TCP') =>
      server(name, {}, { ports: [{ hostPort, hostIP, protocol, containerPort: protocol === 'TCP' ? 8080 : 8081 }] });
    await apply(
      holder('pod1', '127.0.0.1'),
      holder('pod2', nodeIP),
      holder('pod3', nodeIP, 'UDP'),
      pod('client', IDLE, {}, { hostNetwork: true }),
    );
    await ready('pod1', 'pod2', 'pod3', 'client');
    expect(await fetch('client', `http://127.0.0.1:${hostPort}/hostname`)).toBe('pod1');
    expect(await fetch('client', `http://${nodeIP}:${hostPort}/hostname`)).toBe('pod2');
    expect(await udp('client', nodeIP, hostPort)).toBe('pod3');
  });

  describe('[sig-network] Services', () => {
    const external = { type: 'ExternalName', externalName: 'example.com', selector: null, ports: null };
    const patch = (name: string, spec: object) =>
      kubectl('patch', 'service', name, '--type=merge', '-p', JSON.stringify({ spec }));
    const toCluster = { externalName: null, selector: { app: 'server' }, ports: [{ port: 80, targetPort: 8080 }] };

    test.each(['ClusterIP', 'NodePort'])(
      'should be able to change the type from %s to ExternalName [Conformance]',
      async (type) => {
        await apply(service('s', { type }), pod('client', IDLE));
        await ready('client');
        expect(await addressOf('s')).toMatch(/^10\.96\./);
        await patch('s', {
          type: 'ExternalName',
          externalName: 'elsewhere.example.com',
          clusterIP: null,
          clusterIPs: null,
        });
        const changed = await get<Service>('service', 's');
        expect([changed.spec?.type, changed.spec?.clusterIP ?? '', changed.spec?.ports?.[0]?.nodePort]).toEqual([
          'ExternalName',
          '',
          undefined,
        ]);
        await eventually(
          () => resolve('client', 'CNAME', `s.${ns}.svc.cluster.local`),
          (found) => JSON.stringify(found) === '["elsewhere.example.com"]',
        );
      },
    );
    test.each(['ClusterIP', 'NodePort'])(
      'should be able to change the type from ExternalName to %s [Conformance]',
      async (type) => {
        await apply(service('s', external), server('one'), pod('client', IDLE));
        expect((await get<Service>('service', 's')).spec?.clusterIP ?? '').toBe('');
        await ready('one', 'client');
        await patch('s', { type, ...toCluster });
        const { spec } = await get<Service>('service', 's');
        await answers(() => fetch('client', 'http://s/hostname'), 'one');
        await answers(() => fetch('client', `http://${spec?.clusterIP}/hostname`), 'one');
        if (type === 'NodePort')
          await answers(() => fetch('client', `http://${nodeIP}:${spec?.ports?.[0]?.nodePort}/hostname`), 'one');
      },
    );

    test('should be able to create a functioning NodePort service [Conformance]', async () => {
      await apply(service('s', { type: 'NodePort' }), server('one'), server('two'), pod('client', IDLE));
      await ready('one', 'two', 'client');
      const { spec } = await get<Service>('service', 's');
      for (const at of ['s', String(spec?.clusterIP), `${nodeIP}:${spec?.ports?.[0]?.nodePort}`]) {
        const seen = async () => [...new Set((await fetch('client', `http://${at}/hostname`, 20)).split('\n'))].sort();
        await eventually(seen, (names) => names.join() === 'one,two');
      }
    });

    /** Names of who answered, of twenty connections. */
    const who = async (url: string) => [...new Set((await fetch('client', `${url}/hostname`, 20)).split('\n'))];
    const three = async (spec: object) => {
      const names = ['one', 'two', 'three'];
      await apply(service('s', spec), ...names.map((name) => server(name)), pod('client', IDLE));
      await ready(...names, 'client');
      const { spec: made } = await get<Service>('service', 's');
      const nodePort = made?.ports?.[0]?.nodePort;
      const urls = [`http://${made?.clusterIP}`, ...(nodePort ? [`http://${nodeIP}:${nodePort}`] : [])];
      await eventually(
        () => get<Endpoints>('endpoints', 's'),
        ({ subsets }) => subsets?.[0]?.addresses?.length === 3,
      );
      return urls;
    };
    const sticks = (url: string) =>
      eventually(
        () => who(url),
        (names) => names.length === 1 && names[0]!.length < 6,
      );
    const spreads = (url: string) =>
      eventually(
        () => who(url),
        (names) => names.length === 3,
      );

    test.each([
      ['NodePort service', 'NodePort'],
      ['service with type clusterIP', 'ClusterIP'],
    ])('should have session affinity work for %s [LinuxOnly] [Conformance]', async (_, type) => {
      for (const url of await three({ type, sessionAffinity: 'ClientIP' })) {
        const first = await sticks(url);
        for (let n = 0; n < 3; n++) expect(await who(url)).toEqual(first);
      }
    });
    test.each([
      ['NodePort service', 'NodePort'],
      ['service with type clusterIP', 'ClusterIP'],
    ])('should be able to switch session affinity for %s [LinuxOnly] [Conformance]', async (_, type) => {
      const urls = await three({ type, sessionAffinity: 'ClientIP' });
      for (const url of urls) await sticks(url);
      await patch('s', { sessionAffinity: 'None' });
      for (const url of urls) await spreads(url);
      await patch('s', { sessionAffinity: 'ClientIP' });
      for (const url of urls) await sticks(url);
    });

    const endpointsAre = (wanted: Readonly<Record<string, readonly number[]>>) =>
      eventually(
        async () => {
          const { subsets = [] } = await get<Endpoints>('endpoints', 's');
          const { items } = await get<{ items: Pod[] }>('pods');
          const nameOf = (ip: string) => items.find(({ status }) => status?.podIP === ip)?.metadata.name ?? ip;
          const found: Record<string, number[]> = {};
          for (const { addresses = [], ports = [] } of subsets)
            for (const name of addresses.map(({ ip }) => nameOf(ip)))
              found[name] = [...(found[name] ?? []), ...ports.map(({ port }) => port)];
          return JSON.stringify(Object.entries(found).sort());
        },
        (found) => found === JSON.stringify(Object.entries(wanted).sort()),
      );

    test('should serve a basic endpoint from pods [Conformance]', async () => {
      await apply(service('s'), pod('client', IDLE));
      await endpointsAre({});
      await ready('client');
      await apply(server('one'));
      await endpointsAre({ one: [8080] });
      await answers(() => fetch('client', 'http://s/hostname'), 'one');
      await apply(server('two'));
      await endpointsAre({ one: [8080], two: [8080] });
      await kubectl('delete', 'pod', 'one');
      await endpointsAre({ two: [8080] });
      await answers(() => fetch('client', 'http://s/hostname'), 'two');
      await kubectl('delete', 'pod', 'two');
      await endpointsAre({});
      await answers(() => fetch('client', 'http://s/hostname'), 'ECONNREFUSED');
    });

    test('should serve multiport endpoints from pods [Conformance]', async () => {
      const ports = [
        { name: 'portname1', port: 80, targetPort: 'portname1' },
        { name: 'portname2', port: 81, targetPort: 'portname2' },
      ];
      const at = (name: string, port: string, containerPort: number) =>
        server(
          name,
          { app: 'server' },
          {
            env: [{ name: 'PORTS', value: String(containerPort) }],
            ports: [{ name: port, containerPort }],
            readinessProbe: { ...readinessProbe, tcpSocket: { port: containerPort } },
          },
        );
      await apply(service('s', { ports }), pod('client', IDLE));
      await endpointsAre({});
      await apply(at('pod1', 'portname1', 100));
      await endpointsAre({ pod1: [100] });
      await apply(at('pod2', 'portname2', 101));
      await endpointsAre({ pod1: [100], pod2: [101] });
      await ready('client');
      await answers(() => fetch('client', 'http://s:80/hostname'), 'pod1');
      await answers(() => fetch('client', 'http://s:81/hostname'), 'pod2');
      await kubectl('delete', 'pod', 'pod1');
      await endpointsAre({ pod2: [101] });
      await kubectl('delete', 'pod', 'pod2');
      await endpointsAre({});
    });

    test('should serve endpoints on same port and different protocols [Conformance]', async () => {
      const ports = {
        TCP: { name: 'tcp-port', port: 80, targetPort: 8080, protocol: 'TCP' },
        UDP: { name: 'udp-port', port: 80, targetPort: 8081, protocol: 'UDP' },
      };
      await apply(service('s', { ports: [ports.TCP, ports.UDP] }), server('one'), pod('client', IDLE));
      await ready('one', 'client');
      const ip = await addressOf('s');
      const http = () => fetch('client', `http://${ip}/hostname`);
      const datagram = () => udp('client', ip, 80);
      await answers(http, 'one');
      await answers(datagram, 'one');
      await patch('s', { ports: [ports.TCP] });
      await answers(datagram, 'ECONNREFUSED');
      await answers(http, 'one');
      await patch('s', { ports: [ports.UDP] });
      await answers(http, 'ECONNREFUSED');
      await answers(datagram, 'one');
    });
  });

  /** kubectl proxy while something is done through it; where is told what it is to listen on. */
  async function proxying<T>(where: readonly string[], use: (said: string) => Promise<T>): Promise<T> {
    const [program, words] = place.inside('kubectl', ['proxy', ...where]);
    const env = { ...process.env, HOME: place.dataDir, KUBECONFIG: cluster.ready.kubeconfig };
    const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (data) => (said += data));
    try {
      return await use(
        await eventually(
          async () => said,
          (text) => /Starting to serve on .+\n/.test(text),
        ),
      );
    } finally {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill();
      await ended;
    }
  }
  const curl = async (...args: readonly string[]) => (await place.run('curl', ['-sS', ...args])).stdout;

  describe('[sig-network] Proxy version v1', () => {
    const certified = async () => {
      const [key, cert] = [join(place.dataDir, 'proxied.key'), join(place.dataDir, 'proxied.crt')];
      const made = await run('openssl', [
        ...[
          'req',
          '-x509',
          '-newkey',
          'rsa:2048',
          '-nodes',
          '-days',
          '2',
          '-subj',
          '/CN=proxied',
          '-out',
          cert,
          '-keyout',
          key,
        ],
      ]);
      if (made.code !== 0) throw new Error(made.stderr);
      return Promise.all([key, cert].map((file) => readFile(file, 'utf8')));
    };

    test('should proxy through a service and a pod [Conformance]', async () => {
      const [KEY, CERT] = await certified();
      const env = Object.entries({ PORTS: '8080,162', TLS_PORT: '443', KEY, CERT }).map(([name, value]) => ({
        name,
        value,
      }));
      const ports = [
        { name: 'portname1', port: 80, targetPort: 'dest1' },
        { name: 'portname2', port: 81, targetPort: 162 },
        { name: 'tlsportname1', port: 443, targetPort: 'dest-tls' },
      ];
      const named = [
        { name: 'dest1', containerPort: 8080 },
        { name: 'dest-tls', containerPort: 443 },
      ];
      await apply(service('s', { ports }), server('p', { app: 'server' }, { env, ports: named }));
      await ready('p');
      const base = `/api/v1/namespaces/${ns}`;
      const expected: Record<string, number> = {
        [`${base}/services/http:s:portname1/proxy/`]: 8080,
        [`${base}/services/s:portname1/proxy/`]: 8080,
        [`${base}/services/s:80/proxy/`]: 8080,
        [`${base}/services/http:s:portname2/proxy/`]: 162,
        [`${base}/services/https:s:tlsportname1/proxy/`]: 443,
        [`${base}/services/https:s:443/proxy/`]: 443,
        [`${base}/pods/p/proxy/`]: 8080,
        [`${base}/pods/http:p:162/proxy/`]: 162,
        [`${base}/pods/https:p:443/proxy/`]: 443,
      };
      for (const [path, port] of Object.entries(expected))
        expect([path, JSON.parse(await cluster.must('get', '--raw', `${path}deep/er?a=b`))]).toEqual([
          path,
          { method: 'GET', path: '/deep/er?a=b', port },
        ]);
    });

    const METHODS = ['DELETE', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'GET', 'HEAD'];
    /** The status and body of every method, through pod and Service. */
    const everyMethod = (suffix: string, judge: (method: string, code: number, body: string, url: string) => void) =>
      proxying(['--port=0'], async (said) => {
        // Of a port with a name the name would have to be said.
        const ports = [{ port: 80, targetPort: 8080 }];
        await apply(
          service('test-service', { ports }),
          server('agnhost', { app: 'server' }, { ports: [{ containerPort: 8080 }] }),
        );
        await ready('agnhost');
        await eventually(
          () => get<Endpoints>('endpoints', 'test-service'),
          ({ subsets }) => (subsets?.length ?? 0) > 0,
        );
        const host = /127\.0\.0\.1:\d+/.exec(said)![0];
        for (const target of ['pods/agnhost', 'services/test-service'])
          for (const method of METHODS) {
            const url = `http://${host}/api/v1/namespaces/${ns}/${target}/proxy${suffix}?method=${method}`;
            const how = method === 'HEAD' ? ['--head'] : ['-X', method];
            const text = await curl(...how, '-w', '\n%{http_code} %{redirect_url}', url);
            const [, body = '', code, to = ''] = /^([\s\S]*)\n(\d+) (.*)$/.exec(text) ?? [];
            judge(method, Number(code), body, to);
          }
      });

    test('A set of valid responses are returned for both pod and service ProxyWithPath [Conformance]', () =>
      everyMethod('/some/path/with/a', (method, code, body) => {
        expect([method, code]).toEqual([method, 200]);
        if (method !== 'HEAD')
          expect(JSON.parse(body)).toEqual({ method, path: `/some/path/with/a?method=${method}`, port: 8080 });
      }));
    // Without a path, who only reads is led to the directory; who writes is not made to say it twice.
    test('A set of valid responses are returned for both pod and service Proxy [Conformance]', () =>
      everyMethod('', (method, code, body, to) => {
        if (method === 'GET' || method === 'HEAD') {
          expect([method, code]).toEqual([method, 301]);
          expect(to).toMatch(/\/proxy\/\?method=(GET|HEAD)$/);
        } else {
          expect([method, code]).toEqual([method, 200]);
          expect(JSON.parse(body).method).toBe(method);
        }
      }));
  });

  describe('[sig-cli] Kubectl client', () => {
    test('Proxy server should support proxy with --port 0 [Conformance]', () =>
      proxying(['--port=0', '--disable-filter'], async (said) => {
        expect(JSON.parse(await curl(`http://${/127\.0\.0\.1:\d+/.exec(said)![0]}/api/`)).versions).toEqual(['v1']);
      }));
    test('Proxy server should support --unix-socket=/path [Conformance]', () => {
      const socket = join(place.dataDir, 'proxy.sock');
      return proxying([`--unix-socket=${socket}`], async () => {
        expect(JSON.parse(await curl('--unix-socket', socket, 'http://localhost/api/')).versions).toEqual(['v1']);
      });
    });

    test('Guestbook application should create and stop a working application [Conformance]', async () => {
      const chart = join(root, 'charts', 'guestbook');
      const env = { KUBECONFIG: cluster.ready.kubeconfig, HOME: place.dataDir };
      const applied = await place.trimtabWith({ env }, 'apply', '-n', ns, '-f', chart);
      expect([applied.code, applied.stderr]).toEqual([0, '']);
      for (const name of ['redis-leader', 'redis-follower', 'frontend'])
        await kubectl('rollout', 'status', `deployment/${name}`, '--timeout=120s');
      const nodePort = (await get<Service>('service', 'frontend')).spec?.ports?.[0]?.nodePort;
      const url = `http://${nodeIP}:${nodePort}`;
      await eventually(
        () => curl('-o', '/dev/null', '-w', '%{http_code}', '-d', 'message=TestEntry', `${url}/`),
        (code) => code === '303',
      );
      await eventually(
        () => curl(`${url}/api/messages`),
        (messages) => messages.includes('TestEntry'),
      );
      await kubectl('delete', 'deployment,service', '--all');
      await eventually(
        () => kubectl('get', 'pods', '-o', 'name'),
        (names) => names === '',
      );
    });
  });

  test('[sig-cli] Kubectl logs logs should be able to retrieve and filter logs [Conformance]', async () => {
    const generate = `let n = 0; setInterval(() => { if (n < 100) console.log(n++ + ' GET /api/v1/namespaces/ns/pods/x'); }, 20); ${IDLE}`;
    await apply(pod('logs-generator', generate));
    const logs = (...args: readonly string[]) => kubectl('logs', 'logs-generator', ...args);
    await eventually(
      () => logs(),
      (log) => log.includes('99 GET'),
    );
    expect((await logs()).trimEnd().split('\n')).toHaveLength(100);
    expect(await logs('--tail=1')).toMatch(/^99 GET \/api\/v1\/namespaces\/ns\/pods\/x\n$/);
    expect(await logs('--limit-bytes=1')).toBe('0');
    const [time] = (await logs('--tail=1', '--timestamps')).split(' ');
    expect(Number.isNaN(Date.parse(time!))).toBe(false);
    await eventually(
      () => logs('--since=1s'),
      (log) => log === '',
    );
    expect((await logs('--since=24h')).length).toBeGreaterThan((await logs('--since=1s')).length);
  });

  test('[sig-auth] ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer [Conformance]', async () => {
    const ca = '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt';
    await apply(
      pod('validator', DISCOVER, { env: [{ name: 'NODE_EXTRA_CA_CERTS', value: ca }] }, { restartPolicy: 'Never' }),
    );
    const said = await eventually(
      async () => (await cluster.kubectl('-n', ns, 'logs', 'validator')).stdout,
      (log) => log !== '',
    );
    expect(said).toBe('true true\n');
  });

  describe('[sig-node] Pods', () => {
    /** What a WebSocket of these subprotocols brings, by channel where it has channels. */
    const socket = async (path: string, protocol: string): Promise<string> => {
      const kubeconfig = parse(await readFile(cluster.ready.kubeconfig, 'utf8'));
      const script = `
        import WebSocket from 'ws';
        const { ca, cert, key, url, protocol } = JSON.parse(process.argv[2]);
        const of = (text) => Buffer.from(text, 'base64');
        const socket = new WebSocket(url, protocol, { ca: of(ca), cert: of(cert), key: of(key) });
        let text = '';
        socket.on('message', (data) => {
          if (!protocol.startsWith('channel')) text += data;
          else if (data[0] === 1) text += data.subarray(1);
          else if (data[0] !== 2 && data.length > 1) process.stderr.write(data.subarray(1));
        });
        socket.on('close', () => console.log(JSON.stringify({ protocol: socket.protocol, text })));
        socket.on('error', (error) => { console.log(error.message); process.exit(1); });`;
      const [{ cluster: to }] = kubeconfig.clusters;
      const [{ user }] = kubeconfig.users;
      const asked = {
        ca: to['certificate-authority-data'],
        cert: user['client-certificate-data'],
        key: user['client-key-data'],
        url: `${to.server.replace('https', 'wss')}${path}`,
        protocol,
      };
      const file = join(root, 'node_modules', `.websocket-${process.pid}.mjs`);
      await writeFile(file, script);
      const { code, stdout, stderr } = await place.run(process.execPath, [file, JSON.stringify(asked)]);
      await run('rm', [file]);
      if (code !== 0) throw new Error(stdout + stderr);
      return stdout;
    };

    test('should support remote command execution over websockets [NodeConformance] [Conformance]', async () => {
      await apply(pod('p', IDLE));
      await ready('p');
      const command = ['cat', '/etc/resolv.conf'].map((word) => `command=${encodeURIComponent(word)}`).join('&');
      const path = `/api/v1/namespaces/${ns}/pods/p/exec?stdout=1&stderr=1&${command}`;
      const { protocol, text } = JSON.parse(await socket(path, 'channel.k8s.io'));
      expect([protocol, text]).toEqual(['channel.k8s.io', expect.stringContaining('nameserver ')]);
    });

    test('should support retrieving logs from the container over websockets [NodeConformance] [Conformance]', async () => {
      await apply(pod('p', `console.log('container is alive'); ${IDLE}`));
      await eventually(
        () => cluster.kubectl('-n', ns, 'logs', 'p'),
        ({ stdout }) => stdout !== '',
      );
      const { protocol, text } = JSON.parse(await socket(`/api/v1/namespaces/${ns}/pods/p/log`, 'binary.k8s.io'));
      expect([protocol, text]).toEqual(['binary.k8s.io', 'container is alive\n']);
    });
  });
});
