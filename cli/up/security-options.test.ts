import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RawSecurityOptions, readSecurity } from './security-options.js';

let dir: string;
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'trimtab-security-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('what nobody asked for is what Kubernetes does', () => {
  expect(readSecurity({})).toMatchObject({
    security: { anonymous: 'all', authorizationModes: ['Node', 'RBAC'] },
    requestHeader: { allowedNames: ['front-proxy-client'], usernameHeaders: ['X-Remote-User'] },
    requestHeaderCa: undefined,
    audit: undefined,
  });
});

test('files are read', () => {
  const given = readSecurity({
    anonymousAuth: 'false',
    tokenAuthFile: file('tokens', 'secret,ann,7,"dev"'),
    authorizationMode: 'RBAC,ABAC',
    authorizationPolicyFile: file('policy', '{"user":"ann"}'),
    auditPolicyFile: file('audit', 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]'),
    auditLogPath: join(dir, 'log'),
    auditLogMaxsize: 2,
    oidcIssuerUrl: 'https://id.example',
    oidcClientId: 'c',
    oidcRequiredClaim: ['hd=a=b'],
  });
  expect([...given.security.staticUsers!.values()]).toEqual([{ name: 'ann', uid: '7', groups: ['dev'] }]);
  expect(given.security).toMatchObject({
    anonymous: 'none',
    authorizationModes: ['RBAC', 'ABAC'],
    oidc: { requiredClaims: { hd: 'a=b' }, usernameClaim: 'sub', signingAlgorithms: ['RS256'] },
  });
  expect(given.audit).toMatchObject({ policy: { rules: [{ level: 'Metadata' }] }, file: { maxBytes: 2 << 20 } });
});

test.each<[string, () => Partial<RawSecurityOptions>]>([
  ['--authorization-mode Magic is not known', () => ({ authorizationMode: 'Magic' })],
  ['--authorization-mode ABAC and --authorization-policy-file need each other', () => ({ authorizationMode: 'ABAC' })],
  ['--token-auth-file', () => ({ tokenAuthFile: join(dir, 'absent') })],
  ['line 1', () => ({ tokenAuthFile: file('bad', 'only') })],
  ['need each other', () => ({ oidcIssuerUrl: 'https://x' })],
  ['is not an https URL', () => ({ oidcIssuerUrl: 'http://x', oidcClientId: 'c' })],
  ['--oidc-signing-algs HS256', () => ({ oidcIssuerUrl: 'https://x', oidcClientId: 'c', oidcSigningAlgs: 'HS256' })],
  ['not of the form claim=value', () => ({ oidcIssuerUrl: 'https://x', oidcClientId: 'c', oidcRequiredClaim: ['x'] })],
  ['holds no certificate', () => ({ requestheaderClientCaFile: file('ca', 'x') })],
  ['--audit-policy-file and --audit-log-path need each other', () => ({ auditLogPath: '/x' })],
])('says: %s', (message, raw) => {
  expect(() => readSecurity(raw())).toThrow(message);
});
