import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, HttpClient, Informers } from '@trimtab/client';
import { customKindSource, DefinitionController, definitionStrategy } from '@trimtab/crd';
import { type Logger, silentLogger, systemClock, systemRandom } from '@trimtab/machinery';
import {
  type ApiServer,
  bootstrapCluster,
  builtinKinds,
  componentUsers,
  createApiServer,
  createClusterSecurity,
  ensurePki,
  parseTokenFile,
} from '@trimtab/server';
import { memoryEngine, openStore, type Store } from '@trimtab/store';

const token = 'an-admin-of-tests';

/** An API server alone, in this process, on a free loopback port: all of its security, no controllers and no nodes. */
export interface ApiCluster {
  readonly server: ApiServer;
  readonly store: Store;
  /** Over HTTPS, as an administrator. */
  readonly client: Client;
  /** A file for `KUBECONFIG`. */
  readonly kubeconfig: string;
  readonly directory: string;
  /** A POST of these very bytes, as the administrator. */
  post(path: string, contentType: string, body: string, accept?: string): Promise<Answer>;
  /** A GET in the form asked for, as the administrator. */
  get(path: string, accept: string): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Without controllers no namespace gets its service account, so pods are not asked for one. */
export async function apiCluster({ logger = silentLogger }: { readonly logger?: Logger } = {}): Promise<ApiCluster> {
  const clock = systemClock;
  const random = systemRandom;
  const directory = await mkdtemp(join(tmpdir(), 'trimtab-api-'));
  const store = await openStore({ engine: memoryEngine(), clock });
  const pki = ensurePki(join(directory, 'pki'), { names: [], addresses: [], dnsDomain: 'cluster.local', clock });
  const security = createClusterSecurity({
    store,
    clock,
    random,
    serviceAccountKey: pki.serviceAccountKey,
    serviceCIDR: '10.96.0.0/12',
    staticUsers: parseTokenFile(`${token},admin,,"system:masters,system:authenticated"`),
    disabledAdmission: ['ServiceAccount'],
  });
  const strategies = { ...security.strategies, 'apiextensions.k8s.io/customresourcedefinitions': definitionStrategy };
  const server = await createApiServer({
    store,
    clock,
    random,
    logger,
    kinds: [builtinKinds({ strategies }), customKindSource(store, security.webhooks)],
    authenticator: security.authenticator,
    authorizer: security.authorizer,
    admission: security.admission,
    handlers: security.handlers,
    rawHandlers: security.rawHandlers,
    tls: { cert: pki.serving.certificate, key: pki.serving.key, clientCa: pki.caCertificate },
    port: 0,
  });
  const local = server.localClient(componentUsers.apiServer);
  await bootstrapCluster({ client: local, reader: security.reader });
  const informers = new Informers({ client: local, clock, random, logger });
  const definitions = new DefinitionController({ client: local, informers, clock, logger });
  definitions.start();
  informers.start();
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, configOf(server.url, pki.caCertificate));
  const client = new HttpClient({ connection: { server: server.url, ca: pki.caCertificate, token }, clock });
  return {
    server,
    store,
    client,
    kubeconfig,
    directory,
    post: (path, contentType, body, accept = '*/*') =>
      ask(`${server.url}${path}`, pki.caCertificate, 'POST', { 'content-type': contentType, accept }, body),
    get: (path, accept) => ask(`${server.url}${path}`, pki.caCertificate, 'GET', { accept }),
    close: async () => {
      client.close();
      await definitions.stop();
      informers.stop();
      await server.close();
      security.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function ask(
  url: string,
  ca: string,
  method: string,
  given: Readonly<Record<string, string>>,
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, ...given };
    const sent = request(url, { method, ca, headers }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += chunk));
      const contentType = answer.headers['content-type'] ?? '';
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, contentType, text }));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

const configOf = (server: string, ca: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name: 'u', user: { token } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
