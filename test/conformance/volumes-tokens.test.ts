import {
  Pods,
  ServiceAccounts,
  type ServiceAccountTokenProjection,
  type TokenReview,
  TokenReviews,
} from '@trimtab/machinery';
import { describeReal, useRealCluster } from './real-cluster.js';

/** One for the whole file. */
const c = useRealCluster();

describeReal('[sig-auth] ServiceAccounts', () => {
  const AT = '/var/run/secrets/kubernetes.io/serviceaccount';
  const review = async (token: string, audiences?: readonly string[]): Promise<TokenReview> =>
    c.client.create(TokenReviews, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: {},
      spec: { token, ...(audiences ? { audiences } : {}) },
    } as TokenReview);
  const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
  const projected = (serviceAccountToken: ServiceAccountTokenProjection) => [
    { name: 'v', projected: { sources: [{ serviceAccountToken }] } },
  ];
  const mount = { volumeMounts: [{ name: 'v', mountPath: '/v' }] };

  test('should mount an API token into pods [Conformance]', async () => {
    await c.create(ServiceAccounts, { metadata: { name: 'mounted' } });
    await c.pod('p', 'sleep 1000', {}, { serviceAccountName: 'mounted' });
    const { metadata } = await c.running('p');
    const read = async (name: string) => (await c.exec('p', ['cat', `${AT}/${name}`])).text;
    expect(await read('namespace')).toBe(c.ns);
    expect(await read('ca.crt')).toBe(c.plane.pki.caCertificate);
    const token = await read('token');
    expect((await review(token)).status).toMatchObject({
      authenticated: true,
      user: {
        username: `system:serviceaccount:${c.ns}:mounted`,
        groups: expect.arrayContaining(['system:serviceaccounts', `system:serviceaccounts:${c.ns}`]),
        extra: { 'authentication.kubernetes.io/pod-name': ['p'] },
      },
    });
    expect(claimsOf(token)['kubernetes.io']).toMatchObject({ pod: { name: 'p', uid: metadata.uid } });
    // The token dies with its pod.
    await c.gone(Pods, 'p');
    expect((await review(token)).status?.authenticated ?? false).toBe(false);
  });

  test('should allow opting out of API token automount [Conformance]', async () => {
    const said = {
      unset: {},
      mount: { automountServiceAccountToken: true },
      no: { automountServiceAccountToken: false },
    };
    const mounted: Record<string, string> = {};
    for (const [account, says] of Object.entries(said)) {
      await c.create(ServiceAccounts, { metadata: { name: account }, ...says });
      for (const [pod, wants] of Object.entries(said))
        await c.pod(
          `${pod}-${account}`,
          `cat ${AT}/namespace || echo not`,
          {},
          { serviceAccountName: account, ...wants },
        );
    }
    for (const pod of Object.keys(said))
      for (const account of Object.keys(said))
        mounted[`${pod}-${account}`] = (await c.output(`${pod}-${account}`)).replace(/^cat:.*\n/, '').trim();
    // What the pod says counts; what its account says where the pod says nothing.
    expect(mounted).toEqual({
      'unset-unset': c.ns,
      'unset-mount': c.ns,
      'unset-no': 'not',
      'mount-unset': c.ns,
      'mount-mount': c.ns,
      'mount-no': c.ns,
      'no-unset': 'not',
      'no-mount': 'not',
      'no-no': 'not',
    });
  });

  test('should mount projected service account token [Conformance]', async () => {
    const script = "stat -Lc '%A %u' /v/token; cat /v/token";
    await c.pod('p', script, mount, {
      volumes: projected({ path: 'token', audience: 'vault', expirationSeconds: 900 }),
    });
    const [mode, token = ''] = (await c.output('p')).split('\n');
    expect(mode).toBe('-rw-r--r-- 0');
    const { aud, exp, iat } = claimsOf(token);
    expect([aud, exp - iat]).toEqual([['vault'], 900]);
    expect((await review(token)).status?.authenticated ?? false).toBe(false);
    expect((await review(token, ['vault'])).status).toMatchObject({ authenticated: true, audiences: ['vault'] });
  });

  test.each([
    ['the user of all containers alone', { runAsUser: 10_000 }, '-rw------- 10000 0'],
    ['the fsGroup', { fsGroup: 10_000 }, '-rw-r----- 0 10000'],
    ['both', { runAsUser: 10_000, fsGroup: 10_001 }, '-rw-r----- 10000 10001'],
  ])('should set ownership and permission of the token for %s', async (_who, securityContext, expected) => {
    await c.pod('p', "stat -Lc '%A %u %g' /v/token; test -s /v/token", mount, {
      volumes: projected({ path: 'token' }),
      securityContext,
    });
    expect(await c.output('p')).toBe(`${expected}\n`);
  });
});

describeReal('[sig-auth] ClusterTrustBundle projection', () => {
  test('where the API server has none says so at once', async () => {
    const volumes = [{ name: 'v', projected: { sources: [{ clusterTrustBundle: { name: 'x', path: 'ca' } }] } }];
    await c.pod('p', 'true', {}, { volumes });
    expect((await c.event('p', 'FailedMount')).message).toContain(
      'the API server does not serve clustertrustbundles.certificates.k8s.io/v1beta1',
    );
  });
});
