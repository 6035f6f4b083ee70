import { createPublicKey } from 'node:crypto';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Issuer, newKey, signCertificate } from '../certificates/certificate.js';

/** A webhook that tests run: a real HTTPS server on a free loopback port. */
export interface TestWebhook {
  readonly port: number;
  /** For `clientConfig.caBundle`. */
  readonly caBundle: string;
  readonly url: string;
  /** The bodies received, oldest first. */
  readonly received: readonly Received[];
  /** How many connections were accepted. */
  connections(): number;
  close(): Promise<void>;
}

export interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Record<string, unknown>;
  /** Common name of the client's certificate. */
  readonly client?: string;
}

/** What is answered: an object as JSON with 200, or anything else; `never` leaves the caller waiting. */
export type Reply =
  | object
  | { readonly status: number; readonly text: string; readonly headers?: Record<string, string> }
  | 'never'
  | 'hang up';

const now = Date.now();
const validity = { notBefore: now - 60_000, notAfter: now + 3_600_000 };

export function testAuthority() {
  const key = newKey();
  const publicKey = createPublicKey(key);
  const issuer: Issuer = { subject: { commonName: 'webhook-ca' }, key, publicKey };
  const certificate = signCertificate({ subject: issuer.subject, usage: 'authority', ...validity }, publicKey, issuer);
  return {
    certificate,
    issue(commonName: string, usage: 'server' | 'client', names: readonly string[] = []) {
      const own = newKey();
      const request = { subject: { commonName }, usage, names, ...validity };
      return {
        certificate: signCertificate(request, createPublicKey(own), issuer),
        key: own.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

export async function testWebhook(
  answer: (received: Received) => Reply | Promise<Reply>,
  { names = ['127.0.0.1', 'localhost'], authority = testAuthority(), clientCa = '' } = {},
): Promise<TestWebhook> {
  const received: Received[] = [];
  let connections = 0;
  const { certificate: cert, key } = authority.issue('webhook', 'server', names);
  const server = https.createServer(
    { cert, key, ...(clientCa ? { ca: clientCa, requestCert: true } : {}) },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', async () => {
        const { getPeerCertificate } = request.socket as unknown as {
          getPeerCertificate(): { readonly subject?: { readonly CN?: string } };
        };
        const one: Received = {
          path: request.url ?? '',
          headers: request.headers,
          body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>,
          client: getPeerCertificate.call(request.socket)?.subject?.CN,
        };
        received.push(one);
        const reply = await answer(one);
        if (reply === 'never') return;
        if (reply === 'hang up') {
          request.socket.destroy();
          return;
        }
        const raw = 'status' in reply && 'text' in reply && typeof reply.status === 'number';
        const { status, text, headers } = raw
          ? (reply as { status: number; text: string; headers?: Record<string, string> })
          : { status: 200, text: JSON.stringify(reply), headers: undefined };
        response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
      });
    },
  );
  server.on('secureConnection', () => {
    connections++;
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    caBundle: Buffer.from(authority.certificate).toString('base64'),
    url: `https://127.0.0.1:${port}`,
    received,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
