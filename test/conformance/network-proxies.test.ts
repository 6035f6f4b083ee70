import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Endpoints, Service } from '@trimtab/machinery';
import { parse } from 'yaml';
import { eventually, root, run } from '../e2e/cluster.js';
import { useNetCluster } from './net-cluster.js';
import { DISCOVER, IDLE } from './net-programs.js';
import { describeReal } from './real-cluster.js';

/** Conformance tests of class N about proxies, and those of logs, tokens and WebSockets, under their own names. See `net-cluster`. */
describeReal('proxies and streams', () => {
  const n = useNetCluster();
  const { kubectl, get, apply, pod, server, service, ready, proxying, curl } = n;

  describe('[sig-network] Proxy version v1', () => {
    const certified = async () => {
      const [key, cert] = [join(n.place.dataDir, 'proxied.key'), join(n.place.dataDir, 'proxied.crt')];
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
      const base = `/api/v1/namespaces/${n.ns}`;
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
        expect([path, JSON.parse(await n.cluster.must('get', '--raw', `${path}deep/er?a=b`))]).toEqual([
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
            const url = `http://${host}/api/v1/namespaces/${n.ns}/${target}/proxy${suffix}?method=${method}`;
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
      const socket = join(n.place.dataDir, 'proxy.sock');
      return proxying([`--unix-socket=${socket}`], async () => {
        expect(JSON.parse(await curl('--unix-socket', socket, 'http://localhost/api/')).versions).toEqual(['v1']);
      });
    });

    test('Guestbook application should create and stop a working application [Conformance]', async () => {
      const chart = join(root, 'charts', 'guestbook');
      const env = { KUBECONFIG: n.cluster.ready.kubeconfig, HOME: n.place.dataDir };
      const applied = await n.place.trimtabWith({ env }, 'apply', '-n', n.ns, '-f', chart);
      expect([applied.code, applied.stderr]).toEqual([0, '']);
      for (const name of ['redis-leader', 'redis-follower', 'frontend'])
        await kubectl('rollout', 'status', `deployment/${name}`, '--timeout=120s');
      const nodePort = (await get<Service>('service', 'frontend')).spec?.ports?.[0]?.nodePort;
      const url = `http://${n.nodeIP}:${nodePort}`;
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
    const generate = `let n = 0; setInterval(() => { if (n < 100) console.log(n++ + ' GET /api/v1/namespaces/n.ns/pods/x'); }, 20); ${IDLE}`;
    await apply(pod('logs-generator', generate));
    const logs = (...args: readonly string[]) => kubectl('logs', 'logs-generator', ...args);
    await eventually(
      () => logs(),
      (log) => log.includes('99 GET'),
    );
    expect((await logs()).trimEnd().split('\n')).toHaveLength(100);
    expect(await logs('--tail=1')).toMatch(/^99 GET \/api\/v1\/namespaces\/n.ns\/pods\/x\n$/);
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
      async () => (await n.cluster.kubectl('-n', n.ns, 'logs', 'validator')).stdout,
      (log) => log !== '',
    );
    expect(said).toBe('true true\n');
  });

  describe('[sig-node] Pods', () => {
    /** What a WebSocket of these subprotocols brings, by channel where it has channels. */
    const socket = async (path: string, protocol: string): Promise<string> => {
      const kubeconfig = parse(await readFile(n.cluster.ready.kubeconfig, 'utf8'));
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
      const { code, stdout, stderr } = await n.place.run(process.execPath, [file, JSON.stringify(asked)]);
      await run('rm', [file]);
      if (code !== 0) throw new Error(stdout + stderr);
      return stdout;
    };

    test('should support remote command execution over websockets [NodeConformance] [Conformance]', async () => {
      await apply(pod('p', IDLE));
      await ready('p');
      const command = ['cat', '/etc/resolv.conf'].map((word) => `command=${encodeURIComponent(word)}`).join('&');
      const path = `/api/v1/namespaces/${n.ns}/pods/p/exec?stdout=1&stderr=1&${command}`;
      const { protocol, text } = JSON.parse(await socket(path, 'channel.k8s.io'));
      expect([protocol, text]).toEqual(['channel.k8s.io', expect.stringContaining('nameserver ')]);
    });

    test('should support retrieving logs from the container over websockets [NodeConformance] [Conformance]', async () => {
      await apply(pod('p', `console.log('container is alive'); ${IDLE}`));
      await eventually(
        () => n.cluster.kubectl('-n', n.ns, 'logs', 'p'),
        ({ stdout }) => stdout !== '',
      );
      const { protocol, text } = JSON.parse(await socket(`/api/v1/namespaces/${n.ns}/pods/p/log`, 'binary.k8s.io'));
      expect([protocol, text]).toEqual(['binary.k8s.io', 'container is alive\n']);
    });
  });
});
