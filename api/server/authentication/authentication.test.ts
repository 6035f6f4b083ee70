import { generateKeyPairSync } from 'node:crypto';
import { type KubeObject, StatusError, seededRandom, VirtualClock } from '@trimtab/machinery';
import type { AccessAttributes, Credentials, HandlerContext, ObjectReader, UserInfo } from '../contracts.js';
import { createAuthenticator } from './authenticate.js';
import { impersonate } from './impersonation.js';
import { selfSubjectReviewHandler, tokenReviewHandler } from './reviews.js';
import { createTokenIssuer } from './service-account-tokens.js';
import { parseTokenFile, staticTokens } from './static-tokens.js';
import { serviceAccountTokens } from './token-authenticator.js';
import { tokenRequestHandler } from './token-request.js';

const audience = 'https://kubernetes.default.svc';

function world() {
  const clock = new VirtualClock();
  const objects = new Map<string, KubeObject>();
  const put = (resource: string, namespace: string, name: string, rest: object = {}, uid = `uid-${name}`) =>
    objects.set(`${resource}|${namespace}|${name}`, { metadata: { namespace, name, uid }, ...rest });
  const reader: ObjectReader = {
    get: (resource, namespace, name) => objects.get(`${resource}|${namespace}|${name}`),
    list: () => objects.values(),
  };
  const key = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const issuer = createTokenIssuer({ issuer: audience, audiences: [audience], key, clock, random: seededRandom(1) });
  const tokens = serviceAccountTokens(issuer, reader, clock);
  put('/serviceaccounts', 'shop', 'web');
  const context = (more: Partial<HandlerContext> = {}): HandlerContext => ({
    user: { name: 'system:node:n1', groups: ['system:nodes'] },
    namespace: 'shop',
    name: 'web',
    dryRun: false,
    warn: () => {},
    ...more,
  });
  const request = async (spec: object = {}) =>
    (await tokenRequestHandler(issuer, reader, clock).create(
      { metadata: {}, spec } as KubeObject,
      context(),
    )) as KubeObject & {
      spec: { expirationSeconds: number };
      status: { token: string; expirationTimestamp: string };
    };
  return { clock, objects, put, reader, issuer, tokens, context, request };
}

const credentials = (more: Partial<Credentials> & { headers?: Record<string, string> } = {}): Credentials => ({
  header: (name) => more.headers?.[name],
  headerNames: () => Object.keys(more.headers ?? {}),
  ...more,
});

const failure = async (run: () => Promise<unknown> | unknown): Promise<StatusError> => {
  try {
    await run();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('service-account tokens', () => {
  test('a token says who, where and until when, and authenticates as that service account', async () => {
    const { request, tokens, put, clock } = world();
    put('/nodes', '', 'n1');
    put('/pods', 'shop', 'web-1', { spec: { serviceAccountName: 'web', nodeName: 'n1' } });
    const { status, spec } = await request({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'web-1' } });
    expect(spec.expirationSeconds).toBe(3600);
    expect(Date.parse(status.expirationTimestamp)).toBe(clock.now() + 3_600_000);
    const [header, payload] = status.token.split('.').map((p) => Buffer.from(p, 'base64url').toString());
    expect(JSON.parse(header!)).toMatchObject({ alg: 'ES256', kid: expect.any(String) });
    expect(JSON.parse(payload!)).toEqual({
      iss: audience,
      aud: [audience],
      sub: 'system:serviceaccount:shop:web',
      iat: clock.now() / 1000,
      nbf: clock.now() / 1000,
      exp: clock.now() / 1000 + 3600,
      jti: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4/),
      'kubernetes.io': {
        namespace: 'shop',
        node: { name: 'n1', uid: 'uid-n1' },
        pod: { name: 'web-1', uid: 'uid-web-1' },
        serviceaccount: { name: 'web', uid: 'uid-web' },
      },
    });
    const user = await createAuthenticator({ tokens: [tokens] }).authenticate(
      credentials({ bearerToken: status.token }),
    );
    expect(user).toMatchObject({
      name: 'system:serviceaccount:shop:web',
      uid: 'uid-web',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:shop', 'system:authenticated'],
    });
    expect(user.extra?.['authentication.kubernetes.io/pod-uid']).toEqual(['uid-web-1']);
    expect(user.extra?.['authentication.kubernetes.io/node-name']).toEqual(['n1']);
  });

  test('a token dies with its time, its service account and the pod it is bound to', async () => {
    const { request, tokens, put, objects, clock } = world();
    put('/pods', 'shop', 'p', { spec: { serviceAccountName: 'web' } });
    const bound = (await request({ boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' } })).status.token;
    const plain = (await request()).status.token;
    const good = async (token: string) => {
      try {
        return (await tokens.authenticateToken(token)) !== undefined;
      } catch {
        return false;
      }
    };
    expect([await good(bound), await good(plain)]).toEqual([true, true]);
    put('/pods', 'shop', 'p', { spec: { serviceAccountName: 'web' } }, 'another-uid');
    expect([await good(bound), await good(plain)]).toEqual([false, true]);
    objects.delete('/serviceaccounts|shop|web');
    expect(await good(plain)).toBe(false);
    put('/serviceaccounts', 'shop', 'web');
    expect(await good(plain)).toBe(true);
    await clock.advance(3_600_000);
    expect(await good(plain)).toBe(false);
  });

  test('forged, foreign and re-signed tokens are not accepted', async () => {
    const { request, tokens, issuer } = world();
    const token = (await request()).status.token;
    const [h, p, s] = token.split('.');
    const payload = {
      ...JSON.parse(Buffer.from(p!, 'base64url').toString()),
      sub: 'system:serviceaccount:kube-system:root',
    };
    const forged = [h, Buffer.from(JSON.stringify(payload)).toString('base64url'), s].join('.');
    await expect(tokens.authenticateToken(forged)).rejects.toThrow();
    const none = [Buffer.from('{"alg":"none"}').toString('base64url'), p, ''].join('.');
    await expect(tokens.authenticateToken(none)).rejects.toThrow();
    const other = world();
    await expect(tokens.authenticateToken((await other.request()).status.token)).rejects.toThrow();
    expect(await tokens.authenticateToken('opaque')).toBeUndefined();
    expect(await issuer.verify('a.b.c')).toBeUndefined();
    await expect(tokens.authenticateToken(token, ['vault'])).rejects.toThrow(/"https.*not for "vault"/);
  });

  test('requests that Kubernetes refuses are refused alike', async () => {
    const { request, put } = world();
    expect((await failure(() => request({ expirationSeconds: 599 }))).status).toMatchObject({
      code: 422,
      message:
        'TokenRequest.authentication.k8s.io "web" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
    });
    const ref = { kind: 'Pod', apiVersion: 'v1', name: 'p' };
    expect((await failure(() => request({ boundObjectRef: ref }))).message).toBe('pods "p" not found');
    put('/pods', 'shop', 'p', { spec: { serviceAccountName: 'other' } });
    expect((await failure(() => request({ boundObjectRef: ref }))).code).toBe(400);
    put('/pods', 'shop', 'p', { spec: { serviceAccountName: 'web' } });
    expect((await failure(() => request({ boundObjectRef: { ...ref, uid: 'x' } }))).reason).toBe('Conflict');
    expect((await failure(() => request({ boundObjectRef: { kind: 'Job', apiVersion: 'batch/v1' } }))).code).toBe(400);
  });

  test('keys are published for verifiers outside', async () => {
    const { issuer } = world();
    expect(JSON.parse(await issuer.keySet()).keys[0]).toMatchObject({
      kty: 'EC',
      crv: 'P-256',
      alg: 'ES256',
      use: 'sig',
    });
    expect(JSON.parse(issuer.discovery('https://x/openid/v1/jwks'))).toMatchObject({ issuer: audience });
  });
});

describe('who a request comes from', () => {
  const users = parseTokenFile('# robots\nsecret,robot,7,"ops,dev"\n\nplain,user,\n');
  const authenticator = createAuthenticator({ tokens: [staticTokens(users, [audience])] });

  test('certificates, static tokens and anonymous requests for health', async () => {
    const certificate = { commonName: 'kubernetes-admin', organizations: ['system:masters'] };
    expect(await authenticator.authenticate(credentials({ certificate }))).toEqual({
      name: 'kubernetes-admin',
      groups: ['system:masters', 'system:authenticated'],
    });
    expect(await authenticator.authenticate(credentials({ bearerToken: 'secret' }))).toEqual({
      name: 'robot',
      uid: '7',
      groups: ['ops', 'dev', 'system:authenticated'],
    });
    for (const path of ['/livez', '/readyz/ping', '/version'])
      expect((await authenticator.authenticate(credentials({ path }))).name).toBe('system:anonymous');
  });

  test('wrong credentials are a 401 anywhere, and none are one where the anonymous are not let in', async () => {
    const some = createAuthenticator({ tokens: [], anonymous: ['/livez', '/version'] });
    for (const path of ['/api/v1/pods', '/livezz', '/versions'])
      expect((await failure(() => some.authenticate(credentials({ path })))).code).toBe(401);
    expect((await some.authenticate(credentials({ path: '/livez/ping' }))).name).toBe('system:anonymous');
    const none = createAuthenticator({ tokens: [], anonymous: 'none' });
    expect((await failure(() => none.authenticate(credentials({ path: '/livez' })))).code).toBe(401);
    expect(
      (await failure(() => authenticator.authenticate(credentials({ bearerToken: 'no', path: '/livez' })))).code,
    ).toBe(401);
    const open = createAuthenticator({ tokens: [] });
    expect((await open.authenticate(credentials({ path: '/api' }))).groups).toEqual(['system:unauthenticated']);
  });

  test('a token file with a bad line is refused with its number', () => {
    expect(() => parseTokenFile('a,b,c\nonly-a-token\n')).toThrow(/line 2/);
    expect(() => parseTokenFile('a,b,c\na,d,e\n')).toThrow(/line 2.*before/);
  });
});

describe('tokens that live longer than they say', () => {
  test('a Secret’s token is good while that Secret holds it', async () => {
    const { issuer, tokens, put, objects } = world();
    const token = await issuer.issueForSecret({
      namespace: 'shop',
      serviceAccount: { name: 'web', uid: 'uid-web' },
      secretName: 'tok',
    });
    const ask = () => tokens.authenticateToken(token);
    await expect(ask()).rejects.toThrow('the secret "tok" that held this token no longer exists');
    put('/secrets', 'shop', 'tok', { data: { token: Buffer.from(token).toString('base64') } });
    expect((await ask())?.user).toMatchObject({ name: 'system:serviceaccount:shop:web', uid: 'uid-web' });
    put('/secrets', 'shop', 'tok', { data: { token: Buffer.from('other').toString('base64') } });
    await expect(ask()).rejects.toThrow('holds another token now');
    objects.delete('/serviceaccounts|shop|web');
    await expect(ask()).rejects.toThrow();
  });

  test('a pod’s token says 3607 s and is good for a year, for clients that read it once', async () => {
    const { request, put, tokens, clock } = world();
    put('/pods', 'shop', 'p', { spec: { serviceAccountName: 'web' } });
    const ref = { kind: 'Pod', apiVersion: 'v1', name: 'p' };
    const { status } = await request({ expirationSeconds: 3607, boundObjectRef: ref });
    expect(Date.parse(status.expirationTimestamp)).toBe(clock.now() + 3607_000);
    await clock.advance(2 * 3600_000);
    expect(await tokens.authenticateToken(status.token)).toBeDefined();
    const plain = await request({ expirationSeconds: 3607 });
    await clock.advance(2 * 3600_000);
    await expect(tokens.authenticateToken(plain.status.token)).rejects.toThrow('exp');
  });
});

describe('impersonation', () => {
  const asked: string[] = [];
  const authorizer = {
    authorize: ({ verb, resource }: AccessAttributes) => {
      asked.push(
        `${verb} ${resource?.group}/${resource?.resource}/${resource?.subresource} ${resource?.namespace}/${resource?.name}`,
      );
      return { allowed: resource?.name !== 'system:masters', reason: '' };
    },
  };
  const admin: UserInfo = { name: 'boss', groups: ['system:authenticated'] };
  beforeEach(() => {
    asked.length = 0;
  });

  test('every part is asked for, and the result is the named user alone', () => {
    const headers = {
      'impersonate-user': 'jane',
      'impersonate-group': 'dev, ops',
      'impersonate-uid': '9',
      'impersonate-extra-acme.com%2Fproject': 'x',
    };
    expect(impersonate(admin, credentials({ headers }), authorizer)).toEqual({
      name: 'jane',
      uid: '9',
      groups: ['dev', 'ops', 'system:authenticated'],
      extra: { 'acme.com/project': ['x'] },
    });
    expect(asked).toEqual([
      'impersonate /users/ /jane',
      'impersonate /groups/ /dev',
      'impersonate /groups/ /ops',
      'impersonate authentication.k8s.io/userextras/acme.com/project /x',
      'impersonate authentication.k8s.io/uids/ /9',
    ]);
  });

  test('a service account brings its groups; nobody becomes a master without the right', async () => {
    const headers = { 'impersonate-user': 'system:serviceaccount:shop:web' };
    expect(impersonate(admin, credentials({ headers }), authorizer).groups).toContain('system:serviceaccounts:shop');
    expect(asked).toEqual(['impersonate /serviceaccounts/ shop/web']);
    const greedy = { 'impersonate-user': 'jane', 'impersonate-group': 'system:masters' };
    expect((await failure(() => impersonate(admin, credentials({ headers: greedy }), authorizer))).message).toBe(
      'groups "system:masters" is forbidden: User "boss" cannot impersonate resource "groups" in API group "" at the cluster scope',
    );
    const nameless = credentials({ headers: { 'impersonate-group': 'dev' } });
    expect((await failure(() => impersonate(admin, nameless, authorizer))).code).toBe(400);
    expect(impersonate(admin, credentials(), authorizer)).toBe(admin);
  });
});

describe('reviews', () => {
  test('TokenReview tells whose a token is, or why it is not accepted', async () => {
    const { request, tokens, context, clock } = world();
    const review = tokenReviewHandler([tokens], [audience]);
    const ask = async (spec: object) =>
      ((await review.create({ metadata: {}, spec } as KubeObject, context())) as KubeObject & { status: object })
        .status;
    const token = (await request({ audiences: ['vault'] })).status.token;
    expect(await ask({ token })).toMatchObject({ authenticated: false, error: expect.stringContaining('vault') });
    expect(await ask({ token, audiences: ['vault', 'x'] })).toMatchObject({
      authenticated: true,
      audiences: ['vault'],
      user: { username: 'system:serviceaccount:shop:web' },
    });
    expect((await failure(() => ask({}))).code).toBe(422);
    const self = await selfSubjectReviewHandler(clock).create({ metadata: {} }, context());
    expect(self).toMatchObject({ status: { userInfo: { username: 'system:node:n1', groups: ['system:nodes'] } } });
  });
});
