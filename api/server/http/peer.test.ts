import { createPublicKey } from 'node:crypto';
import tls from 'node:tls';
import { newKey, signCertificate } from '../certificates/certificate.js';
import type { Peer } from './exchange.js';
import { listen } from './listen.js';

const now = Date.now();
const validity = { notBefore: now - 60_000, notAfter: now + 3_600_000 };

function authority(commonName: string) {
  const key = newKey();
  const issuer = { subject: { commonName }, key, publicKey: createPublicKey(key) };
  const certificate = signCertificate({ ...issuer, usage: 'authority', ...validity }, issuer.publicKey, issuer);
  return {
    certificate,
    leaf(name: string, usage: 'client' | 'server') {
      const own = newKey();
      const subject = { commonName: name, organizations: ['dev'] };
      const request = { subject, usage, names: ['127.0.0.1'], ...validity };
      const cert = signCertificate(request, createPublicKey(own), issuer);
      return { cert, key: own.export({ type: 'pkcs8', format: 'pem' }).toString() };
    },
  };
}

const clients = authority('clients');
const proxies = authority('proxies');

async function server() {
  const seen: Peer[] = [];
  const listener = await listen({
    bind: '127.0.0.1',
    port: 0,
    tls: { ...clients.leaf('first', 'server'), clientCa: clients.certificate, requestHeaderCa: proxies.certificate },
    handle: (exchange) => {
      seen.push(exchange.peer);
      exchange.respond(204, {});
    },
    upgrade: () => {},
    onError: () => {},
  });
  /** One request; gives the name in the certificate the server showed. */
  const visit = (pair: { readonly cert?: string; readonly key?: string } = {}): Promise<string> =>
    new Promise((resolve, reject) => {
      const { port } = listener;
      const socket = tls.connect({
        host: '127.0.0.1',
        port,
        ca: clients.certificate,
        ALPNProtocols: ['http/1.1'],
        ...pair,
      });
      let name = '';
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        name = String(socket.getPeerCertificate().subject.CN);
        socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      });
      socket.once('data', () => {
        socket.destroy();
        resolve(name);
      });
    });
  return { listener, visit, seen };
}

test('a proxy’s certificate is nobody’s identity, and a client’s speaks for nobody', async () => {
  const { listener, visit, seen } = await server();
  await visit(clients.leaf('ann', 'client'));
  await visit(proxies.leaf('front', 'client'));
  await visit(authority('strangers').leaf('eve', 'client'));
  await visit();
  expect(seen).toEqual([
    { address: '127.0.0.1', expiresAt: expect.any(Number), certificate: { commonName: 'ann', organizations: ['dev'] } },
    { address: '127.0.0.1', proxyCertificate: { commonName: 'front' } },
    { address: '127.0.0.1' },
    { address: '127.0.0.1' },
  ]);
  await listener.close();
});

test('a renewed certificate is shown to the next connection, and clients are still known', async () => {
  const { listener, visit, seen } = await server();
  expect(await visit()).toBe('first');
  listener.renew(clients.leaf('second', 'server'));
  expect(await visit(clients.leaf('ann', 'client'))).toBe('second');
  expect(seen.at(-1)!.certificate!.commonName).toBe('ann');
  await listener.close();
});
