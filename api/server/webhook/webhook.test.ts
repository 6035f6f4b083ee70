import net from 'node:net';
import type { KubeObject } from '@trimtab/machinery';
import type { ObjectReader } from '../contracts.js';
import { endpointResolver, httpsWebhookCaller, validateClientConfig, WebhookCallError } from './index.js';
import { type Reply, type TestWebhook, testAuthority, testWebhook } from './testing.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const open = async (answer: () => Reply, options: Parameters<typeof testWebhook>[1] = {}): Promise<TestWebhook> => {
  const hook = await testWebhook(answer, options);
  closing.push(() => hook.close());
  return hook;
};

const nowhere = { resolve: () => ({ host: '127.0.0.1', port: 1 }) };
const callerTo = (options: Partial<Parameters<typeof httpsWebhookCaller>[0]> = {}) => {
  const caller = httpsWebhookCaller({ services: nowhere, ...options });
  closing.push(() => caller.close());
  return caller;
};
const failure = (run: Promise<unknown>) =>
  run.then(
    () => 'no error',
    (error: unknown) => (error instanceof WebhookCallError ? error.message : `not a WebhookCallError: ${error}`),
  );

const objects: Record<string, KubeObject[]> = {};
const reader: ObjectReader = {
  get: (resource, namespace, name) =>
    objects[resource]?.find((o) => o.metadata.namespace === namespace && o.metadata.name === name),
  list: (resource, namespace) => (objects[resource] ?? []).filter((o) => o.metadata.namespace === namespace),
};

describe('a webhook', () => {
  test('by URL is sent JSON with its timeout and keeps its connection', async () => {
    const hook = await open(() => ({ fine: true }));
    const caller = callerTo();
    const config = { url: `${hook.url}/admit`, caBundle: hook.caBundle };
    expect(await caller.call(config, { n: 1 }, 10_000)).toEqual({ fine: true });
    expect(await caller.call(config, { n: 2 }, 1500)).toEqual({ fine: true });
    expect(hook.received.map(({ path, body }) => ({ path, body }))).toEqual([
      { path: '/admit?timeout=10s', body: { n: 1 } },
      { path: '/admit?timeout=1.5s', body: { n: 2 } },
    ]);
    expect(hook.received[0]!.headers).toMatchObject({
      'content-type': 'application/json',
      host: `127.0.0.1:${hook.port}`,
    });
    expect(hook.connections()).toBe(1);
  });

  test('behind a service is reached at a ready endpoint under the name of the service, with the client certificate', async () => {
    const authority = testAuthority();
    const hook = await open(() => ({}), { names: ['hook.shop.svc'], authority, clientCa: authority.certificate });
    const meta = { namespace: 'shop', name: 'hook' };
    objects['/services'] = [
      { metadata: meta, spec: { ports: [{ name: 'https', port: 443 }] } } as unknown as KubeObject,
    ];
    const slice = {
      metadata: { ...meta, labels: { 'kubernetes.io/service-name': 'hook' } },
      ports: [
        { name: 'metrics', port: 1 },
        { name: 'https', port: hook.port },
      ],
      endpoints: [
        { addresses: ['192.0.2.1'], conditions: { ready: false } },
        { addresses: ['127.0.0.1'], conditions: {} },
      ],
    };
    objects['discovery.k8s.io/endpointslices'] = [slice as unknown as KubeObject];
    const shown: string[] = [];
    const caller = callerTo({
      services: endpointResolver(reader),
      identity: (name) => {
        shown.push(name);
        return authority.issue('apiserver', 'client');
      },
    });
    const service = { namespace: 'shop', name: 'hook', path: '/a/b' };
    await caller.call({ service, caBundle: hook.caBundle }, {}, 10_000);
    expect(hook.received[0]).toMatchObject({
      path: '/a/b?timeout=10s',
      headers: { host: 'hook.shop.svc:443' },
      client: 'apiserver',
    });
    expect(shown).toEqual(['hook.shop.svc']);
    const call = (change: object) => failure(caller.call({ service: { ...service, ...change } }, {}, 10_000));
    expect(await call({ name: 'none' })).toBe(
      'Post "https://none.shop.svc:443/a/b?timeout=10s": service "none" not found',
    );
    expect(await call({ port: 8443 })).toBe(
      'Post "https://hook.shop.svc:8443/a/b?timeout=10s": no service port 8443 found for service "hook"',
    );
    slice.endpoints = slice.endpoints.slice(0, 1);
    expect(await call({})).toBe(
      'Post "https://hook.shop.svc:443/a/b?timeout=10s": no endpoints available for service "hook"',
    );
  });

  test('that cannot be believed or understood is named with the reason', async () => {
    let reply: Reply = {};
    const hook = await open(() => reply);
    const caller = callerTo();
    const config = { url: hook.url, caBundle: hook.caBundle };
    const at = (path = '', timeout = '10s') => `Post "${hook.url}/${path}?timeout=${timeout}": `;
    const stranger = Buffer.from(testAuthority().certificate).toString('base64');
    expect(await failure(caller.call({ ...config, caBundle: stranger }, {}, 10_000))).toBe(
      `${at()}tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    );
    const named = await open(() => ({}), { names: ['other.example'] });
    expect(await failure(caller.call({ url: named.url, caBundle: named.caBundle }, {}, 10_000))).toContain(
      "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
    );
    expect(
      await failure(
        caller.call({ service: { namespace: 'n', name: 's', port: 9 }, caBundle: hook.caBundle }, {}, 10_000),
      ),
    ).toBe('Post "https://s.n.svc:9/?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused');
    reply = 'never';
    expect(await failure(caller.call(config, {}, 50))).toBe(`${at('', '0.05s')}context deadline exceeded`);
    reply = 'hang up';
    expect(await failure(caller.call(config, {}, 10_000))).toBe(`${at()}EOF`);
    reply = { status: 404, text: 'no' };
    expect(await failure(caller.call(config, {}, 10_000))).toBe('the server could not find the requested resource');
    reply = { status: 500, text: 'broken' };
    expect(await failure(caller.call(config, {}, 10_000))).toBe(
      'an error on the server ("broken") has prevented the request from succeeding',
    );
    reply = { status: 302, text: '', headers: { location: '/elsewhere' } };
    expect(await failure(caller.call(config, {}, 10_000))).toContain('status code 302');
    reply = { status: 200, text: '[]' };
    expect(await failure(caller.call(config, {}, 10_000))).toContain('the answer is not an object');
    reply = { status: 200, text: 'ok' };
    expect(await failure(caller.call(config, {}, 10_000))).toContain('json parse error');
    expect(await failure(caller.call({}, {}, 10_000))).toBe('webhook configuration must have either service or URL');
    const plain = net.createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => {
      plain.listen(0, '127.0.0.1', resolve);
    });
    closing.push(() => plain.close());
    const { port } = plain.address() as net.AddressInfo;
    expect(await failure(caller.call({ ...config, url: `https://127.0.0.1:${port}` }, {}, 10_000))).toContain(
      'server gave HTTP response to HTTPS client',
    );
  });

  test('configuration that is not sound is refused with all its faults', () => {
    const texts = (config: Parameters<typeof validateClientConfig>[1]) =>
      validateClientConfig('cc', config).map(({ field, message }) => `${field}: ${message}`);
    expect(texts({})).toEqual(['cc: Required value: exactly one of url or service is required']);
    expect(texts({ url: 'https://a', service: { namespace: 'n', name: 's' } })).toHaveLength(1);
    expect(texts({ url: 'https://a.example/x' })).toEqual([]);
    expect(texts({ url: 'http://me@a.example/x?y=1#z' })).toEqual([
      `cc.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[/path]`,
      'cc.url: Invalid value: "me": user information is not permitted in the URL; desired format: https://host[/path]',
      'cc.url: Invalid value: "z": fragments are not permitted in the URL; desired format: https://host[/path]',
      'cc.url: Invalid value: "y=1": query parameters are not permitted in the URL; desired format: https://host[/path]',
    ]);
    expect(texts({ service: { namespace: '', name: '', port: 70_000, path: 'a//B' } })).toEqual([
      'cc.service.name: Required value: service name is required',
      'cc.service.namespace: Required value: service namespace is required',
      'cc.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive',
      `cc.service.path: Invalid value: "a//B": must start with a '/'`,
      'cc.service.path: Invalid value: "a//B": segment[1] may not be empty',
      expect.stringMatching(/^cc\.service\.path: Invalid value: "a\/\/B": segment\[2\]: a lowercase RFC 1123/),
    ]);
  });
});
