import { createPublicKey } from 'node:crypto';
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { Client, NodeStreamsLookup } from '@trimtab/client';
import { silentLogger, systemClock, systemRandom } from '@trimtab/machinery';
import { memoryEngine, openStore } from '@trimtab/store';
import { newKey, signCertificate } from '../certificates/certificate.js';
import { builtinKinds } from '../registry/builtin-kinds.js';
import { createBuiltinStrategies } from '../registry/strategies/index.js';
import { type ApiServer, type ApiServerOptions, createApiServer } from '../server.js';

const subject = { commonName: 'test' };
const key = newKey();
const publicKey = createPublicKey(key);
const authority = { subject, key, publicKey };
const validity = { notBefore: Date.now() - 60_000, notAfter: Date.now() + 3_600_000 };

const certificate = signCertificate(
  { subject, usage: 'authority', names: ['127.0.0.1'], ...validity },
  publicKey,
  authority,
);

/** What test servers show, and whom they trust. */
export const testTls = {
  cert: certificate,
  key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  clientCa: certificate,
};

/** A certificate of the authority that test servers trust. */
export function clientCertificate(commonName: string, organizations: readonly string[]) {
  const own = newKey();
  const request = { subject: { commonName, organizations }, usage: 'client' as const, ...validity };
  const cert = signCertificate(request, createPublicKey(own), authority);
  return { cert, key: own.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** The fields of answers that tests look at by name; whichever are there. */
export interface Wire {
  readonly apiVersion: string;
  readonly name: string;
  readonly resource: string;
  readonly message: string;
  readonly metadata: { readonly name: string };
  readonly spec: { readonly replicas: number };
  readonly items: readonly Wire[];
  readonly object: Wire;
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
  readonly columnDefinitions: readonly { readonly name: string }[];
  readonly versions: readonly { readonly resources: readonly Wire[] }[];
  readonly resources: readonly Wire[];
  readonly paths: Readonly<Record<string, { readonly serverRelativeURL: string }>>;
  readonly components: { readonly schemas: object };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  text(): string;
  /** The answer, taken to be what the test knows it is. */
  json(): Wire;
}

export interface TestServer {
  readonly server: ApiServer;
  readonly admin: Client;
  request(
    method: string,
    path: string,
    options?: { readonly headers?: Record<string, string>; readonly body?: string | Buffer | object },
  ): Promise<Answer>;
  /** A stream that stays open: watches and followed logs. */
  open(path: string, headers?: Record<string, string>): ClientHttp2Stream;
  close(): Promise<void>;
}

/** A server on a free loopback port; the token `admin` is in system:masters, and certificates name users. */
export async function testServer(
  options: Partial<ApiServerOptions> & { readonly nodeStreams?: NodeStreamsLookup } = {},
): Promise<TestServer> {
  const store = await openStore({ engine: memoryEngine(), clock: systemClock });
  const server = await createApiServer({
    store,
    kinds: [builtinKinds({ strategies: createBuiltinStrategies() })],
    authenticator: {
      authenticate: async ({ bearerToken, certificate: presented }) => {
        if (bearerToken === 'admin') return { name: 'admin', groups: ['system:masters', 'system:authenticated'] };
        return presented && { name: presented.commonName, groups: presented.organizations };
      },
    },
    authorizer: {
      authorize: ({ user }) => ({ allowed: user.groups.includes('system:masters'), reason: '' }),
    },
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    tls: testTls,
    port: 0,
    ...options,
  });
  const session = http2.connect(server.url, { rejectUnauthorized: false });
  return {
    server,
    admin: server.localClient({ name: 'admin', groups: ['system:masters'] }),
    request: (method, path, request) => send(session, method, path, request),
    open: (path, headers) => session.request({ ':path': path, authorization: 'Bearer admin', ...headers }),
    close: async () => {
      session.destroy();
      await server.close();
      await store.close();
    },
  };
}

export function send(
  session: ClientHttp2Session,
  method: string,
  path: string,
  { headers = {}, body }: { readonly headers?: Record<string, string>; readonly body?: string | Buffer | object } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      {
        ':method': method,
        ':path': path,
        authorization: 'Bearer admin',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      { endStream: false },
    );
    const chunks: Buffer[] = [];
    let answer: IncomingHttpHeaders = {};
    stream.on('response', (h) => {
      answer = h;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('error', reject);
    stream.once('end', () => {
      const bytes = Buffer.concat(chunks);
      resolve({
        status: Number((answer as Record<string, unknown>)[':status']),
        headers: answer,
        body: bytes,
        text: () => bytes.toString(),
        json: () => JSON.parse(bytes.toString()) as Wire,
      });
    });
    if (body === undefined) stream.end();
    else stream.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
  });
}
