import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type KubeObject, VirtualClock } from '@trimtab/machinery';
import { exportJWK, SignJWT } from 'jose';
import type { Credentials } from '../contracts.js';
import { createAuthenticator } from './authenticate.js';
import { bootstrapTokens } from './bootstrap-tokens.js';
import { type OidcOptions, oidcTokens } from './oidc.js';
import { defaultRequestHeaders } from './request-header.js';

const audiences = ['api'];
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('bootstrap tokens', () => {
  const clock = new VirtualClock();
  const good: Record<string, string> = {
    'token-id': 'abcdef',
    'token-secret': '0123456789abcdef',
    'usage-bootstrap-authentication': 'true',
    'auth-extra-groups': 'system:bootstrappers:worker,system:bootstrappers:ingress',
  };
  const ask = (
    change: Record<string, string> = {},
    token = 'abcdef.0123456789abcdef',
    type = 'bootstrap.kubernetes.io/token',
  ) => {
    const data = Object.fromEntries(Object.entries({ ...good, ...change }).map(([k, v]) => [k, base64(v)]));
    const secret = { metadata: { name: 'bootstrap-token-abcdef' }, type, data } as unknown as KubeObject;
    const get = (_: string, __: string, name: string) => (name === 'bootstrap-token-abcdef' ? secret : undefined);
    return bootstrapTokens({ get, list: () => [] }, clock, audiences).authenticateToken(token);
  };

  test('name a user after the token, with the groups the Secret adds', async () => {
    expect(await ask()).toEqual({
      user: {
        name: 'system:bootstrap:abcdef',
        groups: ['system:bootstrappers', 'system:bootstrappers:ingress', 'system:bootstrappers:worker'],
      },
      audiences,
    });
  });

  test.each<[string, Parameters<typeof ask>]>([
    ['a wrong secret', [{}, 'abcdef.0123456789abcdee']],
    ['no such id', [{}, 'fedcba.0123456789abcdef']],
    ['another form', [{}, 'abcdef-0123456789abcdef']],
    ['not for authentication', [{ 'usage-bootstrap-authentication': 'false' }]],
    ['expired', [{ expiration: '2020-01-01T00:00:00Z' }]],
    ['an expiration that is no time', [{ expiration: 'soon' }]],
    ['a secret of another type', [{}, 'abcdef.0123456789abcdef', 'Opaque']],
    ['the id of another token', [{ 'token-id': 'abcdeg' }]],
  ])('are nobody’s: %s', async (_, given) => {
    expect(await ask(...given)).toBeUndefined();
  });

  test('never lend a group outside system:bootstrappers', async () => {
    await expect(ask({ 'auth-extra-groups': 'system:masters' })).rejects.toThrow('system:masters');
  });

  test('end at their expiration', async () => {
    const expiration = new Date(clock.now() + 1000).toISOString();
    expect(await ask({ expiration })).toBeDefined();
    await clock.advance(1000);
    expect(await ask({ expiration })).toBeUndefined();
  });
});

describe('OIDC', () => {
  const issuerUrl = 'https://id.example';
  const options: OidcOptions = {
    issuerUrl,
    clientId: 'cluster',
    usernameClaim: 'sub',
    groupsClaim: 'groups',
    groupsPrefix: 'oidc:',
    requiredClaims: { hd: 'example' },
    signingAlgorithms: ['ES256'],
  };
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

  function issuer(change: Partial<OidcOptions> = {}) {
    const clock = new VirtualClock();
    const keys = new Map<string, { privateKey: KeyObject; publicKey: KeyObject }>([['one', pair()]]);
    const asked: string[] = [];
    let down = false;
    const fetch = async (url: string): Promise<unknown> => {
      asked.push(url);
      if (down) throw new Error('connect ECONNREFUSED');
      if (url.endsWith('/openid-configuration')) return { issuer: issuerUrl, jwks_uri: `${issuerUrl}/keys` };
      return {
        keys: await Promise.all(
          [...keys].map(async ([kid, k]) => ({ ...(await exportJWK(k.publicKey)), kid, alg: 'ES256' })),
        ),
      };
    };
    const tokens = oidcTokens({ ...options, ...change }, { clock, fetch }, audiences);
    const sign = (claims: object = {}, kid = 'one', key = keys.get(kid)!.privateKey, audience = 'cluster') =>
      new SignJWT({ sub: 'ann', hd: 'example', groups: ['dev'], ...claims })
        .setProtectedHeader({ alg: 'ES256', kid })
        .setIssuer(issuerUrl)
        .setAudience(audience)
        .setExpirationTime(Math.floor(clock.now() / 1000) + 3600)
        .sign(key);
    const ask = async (token: Promise<string> | string) => (await tokens.authenticateToken(await token))?.user;
    return { clock, keys, asked, sign, ask, breakDown: () => (down = true) };
  }

  test('makes users and groups with their prefixes, and asks the issuer once', async () => {
    const { ask, sign, asked } = issuer();
    expect(await ask(sign())).toEqual({ name: `${issuerUrl}#ann`, groups: ['oidc:dev'] });
    await ask(sign({ groups: 'ops' }));
    expect(asked).toEqual([`${issuerUrl}/.well-known/openid-configuration`, `${issuerUrl}/keys`]);
  });

  test('learns a rotated key from the first token that names it, and asks for unknown ones at most every ten seconds', async () => {
    const { ask, sign, keys, asked, clock } = issuer();
    await ask(sign());
    keys.set('two', pair());
    await expect(ask(sign({}, 'two'))).rejects.toThrow('no applicable key found');
    expect(asked).toHaveLength(2);
    await clock.advance(10_000);
    expect(await ask(sign({}, 'two'))).toMatchObject({ name: `${issuerUrl}#ann` });
    expect(asked).toHaveLength(4);
  });

  test('a withdrawn key is good for an hour at most', async () => {
    const { ask, sign, keys, clock } = issuer();
    await ask(sign());
    const old = keys.get('one')!.privateKey;
    keys.clear();
    keys.set('two', pair());
    await clock.advance(3600_000);
    await expect(ask(sign({}, 'one', old))).rejects.toThrow('no applicable key found');
  });

  test.each<[string, Partial<OidcOptions>, object, string]>([
    ['a required claim that is missing', {}, { hd: undefined }, 'required claim hd not present'],
    ['a required claim of another value', {}, { hd: 'evil' }, 'required claim hd value does not match'],
    ['no username', { usernameClaim: 'email' }, {}, 'the claim email names no user'],
    [
      'an address nobody verified',
      { usernameClaim: 'email' },
      { email: 'a@b', email_verified: false },
      'email not verified',
    ],
    ['groups that are no texts', {}, { groups: [1] }, 'neither a text nor a list'],
  ])('refuses %s', async (_, change, claims, message) => {
    const { ask, sign } = issuer(change);
    await expect(ask(sign(claims))).rejects.toThrow(message);
  });

  test('e-mail addresses have no prefix unless one is given; "-" is none', async () => {
    const mail = issuer({ usernameClaim: 'email' });
    expect(await mail.ask(mail.sign({ email: 'a@b' }))).toMatchObject({ name: 'a@b' });
    const bare = issuer({ usernamePrefix: '-' });
    expect(await bare.ask(bare.sign())).toMatchObject({ name: 'ann' });
  });

  test('refuses a forged signature, another audience and an expired token; leaves other issuers’ tokens alone', async () => {
    const { ask, sign, clock } = issuer();
    await expect(ask(sign({}, 'one', pair().privateKey))).rejects.toThrow('signature verification failed');
    await expect(ask(sign({}, 'one', undefined, 'other'))).rejects.toThrow('aud');
    const token = await sign();
    await ask(token);
    await clock.advance(3600_000);
    await expect(ask(token)).rejects.toThrow('exp');
    expect(await ask('a.b.c')).toBeUndefined();
  });

  test('an unreachable issuer makes its tokens invalid, with the reason', async () => {
    const { ask, sign, breakDown } = issuer();
    breakDown();
    await expect(ask(sign())).rejects.toThrow('ECONNREFUSED');
  });
});

describe('authenticating proxies', () => {
  const headers: Record<string, string> = {
    'x-remote-user': 'ann',
    'x-remote-uid': '7',
    'x-remote-group': 'dev, ops',
    'x-remote-extra-acme.com%2fproject': 'one',
  };
  const ask = (more: Partial<Credentials>, allowedNames: readonly string[] = []) =>
    createAuthenticator({ tokens: [], requestHeader: { ...defaultRequestHeaders, allowedNames } }).authenticate({
      header: (name) => headers[name.toLowerCase()],
      headerNames: () => Object.keys(headers),
      ...more,
    });

  test('name user, uid, groups and extras', async () => {
    expect(await ask({ proxyCertificate: { commonName: 'proxy' } })).toEqual({
      name: 'ann',
      uid: '7',
      groups: ['dev', 'ops', 'system:authenticated'],
      extra: { 'acme.com/project': ['one'] },
    });
  });

  test('are believed for nobody’s headers but those of an allowed name', async () => {
    const certificate = { commonName: 'eve', organizations: [] };
    expect(await ask({ certificate })).toMatchObject({ name: 'eve' });
    expect(await ask({ proxyCertificate: { commonName: 'other' } }, ['proxy'])).toMatchObject({
      name: 'system:anonymous',
    });
    expect(await ask({})).toMatchObject({ name: 'system:anonymous' });
  });
});

test('a certificate may carry its user’s uid', async () => {
  const certificate = { commonName: 'ann', organizations: ['dev'], uid: '1-2-3' };
  expect(await createAuthenticator({ tokens: [] }).authenticate({ header: () => undefined, certificate })).toEqual({
    name: 'ann',
    uid: '1-2-3',
    groups: ['dev', 'system:authenticated'],
  });
});
