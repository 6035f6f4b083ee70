import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { systemClock, VirtualClock } from '@trimtab/machinery';
import { kubeconfig } from './kubeconfig.js';
import { addressBytes, sameNames } from './names.js';
import { ensurePki } from './pki.js';

const day = 86_400_000;

describe('the cluster PKI', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'pki-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const options = (clock = new VirtualClock()) => ({
    names: ['box.example'],
    addresses: ['10.96.0.1', '192.0.2.7', 'fd00::1'],
    nodeNames: ['n1'],
    clock,
  });

  test('identities carry the names that authorization knows, for the CA that signed them', () => {
    const pki = ensurePki(dir, options());
    const subject = (pem: string) => new NodeCertificate(pem).subject;
    expect(subject(pki.admin.certificate)).toBe('O=system:masters\nCN=kubernetes-admin');
    expect(subject(pki.nodes.n1!.certificate)).toBe('O=system:nodes\nCN=system:node:n1');
    const ca = new NodeCertificate(pki.caCertificate);
    for (const pair of [pki.serving, pki.admin, pki.nodes.n1!]) {
      const leaf = new NodeCertificate(pair.certificate);
      expect(leaf.verify(ca.publicKey) && leaf.checkIssued(ca)).toBe(true);
    }
    const serving = new NodeCertificate(pki.serving.certificate);
    for (const host of ['localhost', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local', 'box.example'])
      expect(serving.checkHost(host)).toBe(host);
    for (const ip of ['127.0.0.1', '10.96.0.1', '192.0.2.7', 'fd00::1']) expect(serving.checkIP(ip)).toBe(ip);
    expect(serving.checkHost('elsewhere.example')).toBeUndefined();
  });

  test('another X.509 implementation reads the same, field by field', async () => {
    const pki = ensurePki(dir, options());
    const ca = new x509.X509Certificate(pki.caCertificate);
    const serving = new x509.X509Certificate(pki.serving.certificate);
    const at = new Date(Date.UTC(2026, 5, 1));
    expect(await ca.verify({ date: at })).toBe(true);
    expect(await serving.verify({ publicKey: await ca.publicKey.export(), date: at })).toBe(true);
    expect(ca.getExtension(x509.BasicConstraintsExtension)).toMatchObject({ ca: true, critical: true });
    expect(ca.getExtension(x509.KeyUsagesExtension)?.usages).toBe(
      x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
    );
    expect(serving.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual([x509.ExtendedKeyUsage.serverAuth]);
    expect(serving.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(
      ca.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
    );
    const client = new x509.X509Certificate(pki.admin.certificate);
    expect(client.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual([x509.ExtendedKeyUsage.clientAuth]);
    expect(serving.serialNumber).not.toBe(client.serialNumber);
    expect(serving.notAfter.getTime() - Date.UTC(2026, 0, 1)).toBe(365 * day);
  });

  test('openssl verifies both chains', () => {
    ensurePki(dir, { clock: systemClock });
    for (const [purpose, file] of [
      ['sslserver', 'apiserver.crt'],
      ['sslclient', 'admin.crt'],
    ] as const)
      expect(
        execFileSync(
          'openssl',
          ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', join(dir, 'ca.crt'), join(dir, file)],
          { encoding: 'utf8' },
        ),
      ).toContain(': OK');
  });

  test('a mutual TLS handshake succeeds and shows the client', async () => {
    const pki = ensurePki(dir, { clock: systemClock });
    const server = createTlsServer({
      cert: pki.serving.certificate,
      key: pki.serving.key,
      ca: pki.caCertificate,
      requestCert: true,
      rejectUnauthorized: true,
    });
    const seen = new Promise<TLSSocket>((resolve) => server.once('secureConnection', resolve));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const socket = connect({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      ca: pki.caCertificate,
      cert: pki.admin.certificate,
      key: pki.admin.key,
    });
    const peer = (await seen).getPeerCertificate();
    expect(peer.subject).toEqual({ O: 'system:masters', CN: 'kubernetes-admin' });
    socket.destroy();
    server.close();
  });

  test('files are private, and a second start finds the same', () => {
    const clock = new VirtualClock();
    const first = ensurePki(dir, options(clock));
    for (const file of readdirSync(dir)) expect(statSync(join(dir, file)).mode & 0o777).toBe(0o600);
    const second = ensurePki(dir, options(clock));
    expect(JSON.stringify(second)).toBe(JSON.stringify(first));
    expect(second.serviceAccountKey.privateKey.equals(first.serviceAccountKey.privateKey)).toBe(true);
  });

  test('only the serving certificate changes with the names, and their order does not matter', () => {
    const clock = new VirtualClock();
    const first = ensurePki(dir, options(clock));
    const reordered = ensurePki(dir, { ...options(clock), addresses: ['fd00:0::1', '192.0.2.7', '10.96.0.1'] });
    expect(reordered.serving).toEqual(first.serving);
    const moved = ensurePki(dir, { ...options(clock), addresses: ['192.0.2.8'] });
    expect(moved.serving.certificate).not.toBe(first.serving.certificate);
    expect(moved.admin).toEqual(first.admin);
    expect(moved.caCertificate).toBe(first.caCertificate);
  });

  test('leaves are renewed within 30 days of their end, the authority under its old key', async () => {
    const clock = new VirtualClock();
    const first = ensurePki(dir, options(clock));
    expect(first.renewAt).toBe(clock.now() + 335 * day);
    await clock.advance(334 * day);
    expect(ensurePki(dir, options(clock)).admin).toEqual(first.admin);
    await clock.advance(2 * day);
    const renewed = ensurePki(dir, options(clock));
    expect(renewed.admin.certificate).not.toBe(first.admin.certificate);
    expect(renewed.caCertificate).toBe(first.caCertificate);
    await clock.advance(3640 * day);
    const later = ensurePki(dir, options(clock));
    expect(later.caCertificate).not.toBe(first.caCertificate);
    const ca = new NodeCertificate(later.caCertificate);
    expect(new NodeCertificate(first.admin.certificate).verify(ca.publicKey)).toBe(true);
  });

  test('a crash between key and certificate is mended; a foreign authority is refused by name', () => {
    const clock = new VirtualClock();
    const first = ensurePki(dir, options(clock));
    writeFileSync(join(dir, 'admin.key'), first.nodes.n1!.key);
    const mended = ensurePki(dir, options(clock));
    expect(mended.admin.key).not.toBe(first.nodes.n1!.key);
    writeFileSync(join(dir, 'ca.key'), first.nodes.n1!.key);
    expect(() => ensurePki(dir, options(clock))).toThrow(/ca\.crt does not belong to .*ca\.key/);
    writeFileSync(join(dir, 'ca.key'), 'rubbish');
    expect(() => ensurePki(dir, options(clock))).toThrow(/ca\.key does not hold a private key/);
  });

  test('names that no certificate can carry are refused', () => {
    expect(() => ensurePki(dir, { names: ['a, DNS:b'], clock: new VirtualClock() })).toThrow(/"a, DNS:b"/);
    expect(sameNames(['::ffff:10.0.0.1'], ['::ffff:a00:1'])).toBe(true);
    expect([...addressBytes('fd00::1')]).toEqual([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  });

  test('a kubeconfig carries everything kubectl needs', async () => {
    const pki = ensurePki(dir, { clock: systemClock });
    const text = kubeconfig({
      server: 'https://127.0.0.1:6443',
      caCertificate: pki.caCertificate,
      user: pki.admin,
      namespace: 'a"b',
    });
    const data = (key: string) => Buffer.from(new RegExp(`${key}: (\\S+)`).exec(text)![1]!, 'base64').toString();
    expect(data('certificate-authority-data')).toBe(pki.caCertificate);
    expect(data('client-key-data')).toBe(readFileSync(join(dir, 'admin.key'), 'utf8'));
    expect(text).toContain('namespace: "a\\"b"');
    expect(kubeconfig({ server: 's', caCertificate: '', user: { token: 't' } })).toContain('token: "t"');
  });
});
