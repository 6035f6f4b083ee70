import { createHmac } from 'node:crypto';
import {
  type CertificateSigningRequest,
  CertificateSigningRequests,
  ConfigMaps,
  type KubeObject,
  Secrets,
  ServiceAccounts,
} from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { bootstrapSigner, tokenCleaner } from './bootstrap-token/controllers.js';
import { certificateController } from './certificates/controller.js';
import type { Identities, RequestVerdict } from './identities.js';
import { type Life, live, running } from './mortal.js';
import { tokenSecretController } from './serviceaccount/token-controller.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const text = (value: string | undefined) => Buffer.from(value ?? '', 'base64').toString();

let w: World;
let life: Life;
let verdict: RequestVerdict;
const identities: Identities = {
  judge: () => verdict,
  sign: () => '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
  secretToken: async ({ account, secret, uid }) => `${account}/${secret}/${uid}`,
};
beforeEach(async () => {
  w = await world();
  verdict = { known: true };
  life = await live(
    w,
    running(() => [
      certificateController(identities),
      tokenSecretController(identities, 'CA'),
      tokenCleaner,
      bootstrapSigner,
    ]),
  );
});
afterEach(async () => {
  await life.end();
  await w.close();
});

const csr = (status?: object) =>
  ({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: 'c' },
    spec: { request: base64('r'), signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] },
    ...(status ? { status } : {}),
  }) as unknown as CertificateSigningRequest;
const found = () => w.find(CertificateSigningRequests, { name: 'c' });
const types = async () => (await found())?.status?.conditions?.map((c) => c.type);
const decide = async (type: string) => {
  const object = (await found())!;
  const condition = {
    type,
    status: 'True',
    reason: 'R',
    message: 'M',
    lastUpdateTime: new Date(w.clock.now()).toISOString(),
  };
  await w.client.update(
    CertificateSigningRequests,
    { ...object, status: { conditions: [condition] } },
    { subresource: 'approval' },
  );
  await w.settle();
};

describe('certificate requests', () => {
  test('are signed once somebody has approved them, and not before', async () => {
    await w.client.create(CertificateSigningRequests, csr());
    await w.settle();
    expect((await found())?.status?.certificate).toBeUndefined();
    await decide('Approved');
    expect(text((await found())?.status?.certificate)).toContain('BEGIN CERTIFICATE');
  });

  test('of a kubelet approve themselves; what no signer would sign fails, with the reason', async () => {
    verdict = { known: true, autoApproval: 'selfnodeclient' };
    await w.client.create(CertificateSigningRequests, csr());
    await w.settle();
    expect(await types()).toEqual(['Approved']);
    expect((await found())?.status?.certificate).toBeDefined();
    await w.client.delete(CertificateSigningRequests, { name: 'c' });
    verdict = { known: true, refusal: 'because' };
    await w.client.create(CertificateSigningRequests, csr());
    await decide('Approved');
    expect((await found())?.status?.conditions?.at(-1)).toMatchObject({
      type: 'Failed',
      reason: 'SignerValidationFailure',
      message: 'because',
    });
  });

  test('to signers elsewhere are left to them', async () => {
    verdict = { known: false };
    await w.client.create(CertificateSigningRequests, csr());
    await decide('Approved');
    expect((await found())?.status?.certificate).toBeUndefined();
  });

  test('go an hour after they were denied, and after a day in which nobody decided', async () => {
    await w.client.create(CertificateSigningRequests, csr());
    let since = w.clock.now();
    const passUntil = (seconds: number) => w.pass(since + seconds * 1000 - w.clock.now());
    await decide('Denied');
    await passUntil(3599);
    expect(await found()).toBeDefined();
    await passUntil(3602);
    expect(await found()).toBeUndefined();
    since = w.clock.now();
    await w.client.create(CertificateSigningRequests, csr());
    await passUntil(24 * 3600 - 2);
    expect(await found()).toBeDefined();
    await passUntil(24 * 3600 + 2);
    expect(await found()).toBeUndefined();
  });
});

describe('secrets with tokens', () => {
  const key = { namespace: 'default', name: 's' };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...key, annotations: { 'kubernetes.io/service-account.name': 'web' } },
    type: 'kubernetes.io/service-account-token',
  } as KubeObject;

  test('get what they lack, and go with their service account', async () => {
    const [account] = await w.create(ServiceAccounts, { metadata: { namespace: 'default', name: 'web' } } as never);
    await w.create(Secrets, secret as never);
    await w.settle();
    const filled = (await w.find(Secrets, key))!;
    const { uid } = (account as KubeObject).metadata;
    expect(text(filled.data?.token)).toBe(`web/s/${uid}`);
    expect([text(filled.data?.['ca.crt']), text(filled.data?.namespace)]).toEqual(['CA', 'default']);
    expect(filled.metadata.annotations?.['kubernetes.io/service-account.uid']).toBe(uid);
    await w.client.delete(ServiceAccounts, { namespace: 'default', name: 'web' });
    await w.settle();
    expect(await w.find(Secrets, key)).toBeUndefined();
  });
});

describe('bootstrap tokens', () => {
  const token = (expiration?: string) =>
    ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: 'kube-system', name: 'bootstrap-token-abcdef' },
      type: 'bootstrap.kubernetes.io/token',
      data: {
        'token-id': base64('abcdef'),
        'token-secret': base64('0123456789abcdef'),
        'usage-bootstrap-signing': base64('true'),
        ...(expiration ? { expiration: base64(expiration) } : {}),
      },
    }) as never;

  test('sign cluster-info, until they end and are removed', async () => {
    await w.create(ConfigMaps, {
      metadata: { namespace: 'kube-public', name: 'cluster-info' },
      data: { kubeconfig: 'hello' },
    } as never);
    await w.create(Secrets, token(new Date(w.clock.now() + 60_000).toISOString()));
    await w.settle();
    const info = () => w.find(ConfigMaps, { namespace: 'kube-public', name: 'cluster-info' });
    const [header, payload, signature] = (await info())!.data!['jws-kubeconfig-abcdef']!.split('.');
    expect(JSON.parse(Buffer.from(header!, 'base64url').toString())).toEqual({ alg: 'HS256', kid: 'abcdef' });
    expect(payload).toBe('');
    const signed = `${header}.${Buffer.from('hello').toString('base64url')}`;
    expect(signature).toBe(createHmac('sha256', '0123456789abcdef').update(signed).digest('base64url'));
    await w.pass(61_000);
    await w.settle();
    expect(await w.find(Secrets, { namespace: 'kube-system', name: 'bootstrap-token-abcdef' })).toBeUndefined();
    expect((await info())!.data).toEqual({ kubeconfig: 'hello' });
  });
});
