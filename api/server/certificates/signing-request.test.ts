import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateSigningRequests, type KubeObject, VirtualClock } from '@trimtab/machinery';
import { cluster, message } from '../bootstrap/testing.js';
import type { UserInfo } from '../contracts.js';
import { ensurePki } from './pki.js';
import { kubeletClientSigner, kubeletServingSigner, refusalToSign } from './signers.js';
import { readSigningRequest } from './signing-request.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'trimtab-csr-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function request(
  subject: string,
  names = '',
  key = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey,
): string {
  const file = join(dir, 'key.pem');
  writeFileSync(file, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const extra = names === '' ? [] : ['-addext', `subjectAltName=${names}`];
  return execFileSync('openssl', ['req', '-new', '-key', file, '-subj', subject, ...extra], {
    stdio: 'pipe',
  }).toString();
}
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('reading requests that OpenSSL wrote', () => {
  test.each([
    ['P-256', generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
    ['Ed25519', generateKeyPairSync('ed25519').privateKey],
  ])('%s', (_, key) => {
    expect(
      readSigningRequest(
        request('/O=dev/O=ops/CN=ann', 'DNS:a.example,IP:10.0.0.1,IP:fd00::1,email:a@b,URI:x://y', key),
      ),
    ).toMatchObject({
      commonName: 'ann',
      organizations: ['dev', 'ops'],
      dnsNames: ['a.example'],
      ipAddresses: ['10.0.0.1', 'fd00:0:0:0:0:0:0:1'],
      emailAddresses: ['a@b'],
      uris: ['x://y'],
    });
  });

  test('a request changed after it was signed, cut short, or none at all is refused', () => {
    const good = request('/CN=ann');
    const der = Buffer.from(good.replace(/-----[^-]+-----/g, ''), 'base64');
    const pem = (bytes: Buffer) =>
      `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    const forged = Buffer.from(der);
    forged.write('bob', der.indexOf('ann'));
    expect(() => readSigningRequest(pem(forged))).toThrow('the signature is not that of its key');
    expect(() => readSigningRequest(pem(der.subarray(0, 40)))).toThrow('not a certificate request');
    expect(() => readSigningRequest('hello')).toThrow('PEM block type must be CERTIFICATE REQUEST');
  });
});

test('a signed certificate has the subject and names asked for, the usages, and the time granted', () => {
  const clock = new VirtualClock();
  const pki = ensurePki(join(dir, 'pki'), { clock });
  const certificate = new X509Certificate(
    pki.sign(request('/O=dev/CN=ann', 'DNS:a.example'), ['digital signature', 'client auth'], 3600),
  );
  expect(certificate.subject).toBe('O=dev\nCN=ann');
  expect(certificate.subjectAltName).toBe('DNS:a.example');
  expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
  expect(Date.parse(certificate.validTo)).toBe(clock.now() + 3600_000);
  expect(certificate.checkIssued(new X509Certificate(pki.caCertificate))).toBe(true);
  expect(certificate.verify(new X509Certificate(pki.caCertificate).publicKey)).toBe(true);
  expect(certificate.ca).toBe(false);
  writeFileSync(join(dir, 'ca.pem'), pki.caCertificate);
  writeFileSync(join(dir, 'leaf.pem'), certificate.toString());
  const verified = execFileSync('openssl', [
    'verify',
    '-attime',
    String(clock.now() / 1000),
    '-CAfile',
    join(dir, 'ca.pem'),
    join(dir, 'leaf.pem'),
  ]);
  expect(verified.toString()).toContain('leaf.pem: OK');
});

describe('what the signers refuse', () => {
  const node = {
    usages: ['digital signature', 'client auth'],
    username: 'system:node:n1',
    signerName: kubeletClientSigner,
  };
  const serving = {
    usages: ['digital signature', 'server auth'],
    username: 'system:node:n1',
    signerName: kubeletServingSigner,
  };
  test.each<[string, string, string, Parameters<typeof refusalToSign>[0], string | undefined]>([
    ['a node’s own client certificate: nothing', '/O=system:nodes/CN=system:node:n1', '', node, undefined],
    ['another organization', '/O=system:masters/CN=system:node:n1', '', node, 'organization'],
    ['no node', '/O=system:nodes/CN=ann', '', node, 'common name'],
    ['names in a client certificate', '/O=system:nodes/CN=system:node:n1', 'DNS:a', node, 'not allowed'],
    [
      'serving as a client',
      '/O=system:nodes/CN=system:node:n1',
      '',
      { ...node, usages: serving.usages },
      'usage "server auth"',
    ],
    ['a serving certificate: nothing', '/O=system:nodes/CN=system:node:n1', 'DNS:n1', serving, undefined],
    ['serving without names', '/O=system:nodes/CN=system:node:n1', '', serving, 'subjectAltName is required'],
    ['serving for another node', '/O=system:nodes/CN=system:node:n2', 'DNS:n2', serving, 'system:node:n1'],
  ])('%s', (_, subject, names, spec, expected) => {
    const why = refusalToSign(spec, readSigningRequest(request(subject, names)));
    if (expected === undefined) expect(why).toBeUndefined();
    else expect(why).toContain(expected);
  });
});

describe('CertificateSigningRequests', () => {
  const ann: UserInfo = { name: 'ann', uid: '7', groups: ['dev', 'system:authenticated'] };
  const csr = (spec: object = {}, subject = '/O=dev/CN=ann'): KubeObject =>
    ({
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name: 'mine' },
      spec: {
        request: base64(request(subject)),
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth'],
        ...spec,
      },
    }) as unknown as KubeObject;
  const approved = { conditions: [{ type: 'Approved', status: 'True', reason: 'Ok', message: 'ok' }] };
  const grant = async (c: Awaited<ReturnType<typeof cluster>>, rules: object[]) => {
    await c.root.create(
      {
        group: 'rbac.authorization.k8s.io',
        version: 'v1',
        kind: 'ClusterRole',
        resource: 'clusterroles',
        namespaced: false,
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: 'csr' },
        rules,
      } as unknown as KubeObject,
    );
    await c.root.create(
      {
        group: 'rbac.authorization.k8s.io',
        version: 'v1',
        kind: 'ClusterRoleBinding',
        resource: 'clusterrolebindings',
        namespaced: false,
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: 'csr' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'csr' },
        subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'ann' }],
      } as unknown as KubeObject,
    );
  };
  const requests = {
    apiGroups: ['certificates.k8s.io'],
    resources: ['certificatesigningrequests', 'certificatesigningrequests/approval'],
    verbs: ['*'],
  };

  test('say who asked, whatever the body claims; approval alone gives verdicts, and needs the verb on the signer', async () => {
    const c = await cluster();
    await grant(c, [requests]);
    const client = c.as(ann);
    const made = (await client.create(
      CertificateSigningRequests,
      csr({ username: 'admin', groups: ['system:masters'] }) as never,
    )) as unknown as {
      spec: object;
      status?: object;
    } & KubeObject;
    expect(made.spec).toMatchObject({ username: 'ann', uid: '7', groups: ['dev', 'system:authenticated'] });
    const wanted = { ...made, status: approved } as never;
    const through = await client.update(CertificateSigningRequests, wanted);
    expect((through as { status?: object }).status).toEqual({});
    expect(await message(client.update(CertificateSigningRequests, wanted, { subresource: 'approval' }))).toContain(
      'user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"',
    );
    const judged = (await c.root.update(CertificateSigningRequests, wanted, { subresource: 'approval' })) as never;
    expect((judged as { status: { conditions: object[] } }).status.conditions).toMatchObject([
      { type: 'Approved', lastUpdateTime: expect.any(String) },
    ]);
    expect(
      await message(
        c.root.update(CertificateSigningRequests, { ...(judged as object), status: { conditions: [] } } as never, {
          subresource: 'approval',
        }),
      ),
    ).toContain('updates may not remove a condition of type "Approved"');
  });

  test('one approval rule may cover a domain', async () => {
    const c = await cluster();
    await grant(c, [
      requests,
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['signers'],
        resourceNames: ['kubernetes.io/*'],
        verbs: ['approve'],
      },
    ]);
    const client = c.as(ann);
    const made = await client.create(CertificateSigningRequests, csr() as never);
    expect(
      await message(
        client.update(CertificateSigningRequests, { ...made, status: approved } as never, { subresource: 'approval' }),
      ),
    ).toBe('');
  });

  test('are refused with all that is wrong about them', async () => {
    const c = await cluster();
    const text = await message(
      c.root.create(
        CertificateSigningRequests,
        csr({ signerName: 'bad', usages: ['x', 'client auth', 'client auth'], expirationSeconds: 5 }) as never,
      ),
    );
    for (const part of [
      'spec.signerName',
      'spec.usages[0]: Unsupported value: "x"',
      'spec.usages[2]: Duplicate value',
      'less than 600 seconds',
    ])
      expect(text).toContain(part);
    expect(
      await message(c.root.create(CertificateSigningRequests, csr({}, '/O=system:masters/CN=eve') as never)),
    ).toContain('with system:masters group is not allowed');
  });
});
