import type { AccessAttributes, UserInfo } from '../contracts.js';
import { abacAuthorizer, parsePolicyFile } from './abac.js';

const ann: UserInfo = { name: 'ann', groups: ['dev', 'system:authenticated'] };
const on = (verb: string, resource: string, namespace = 'shop', group = '', user = ann): AccessAttributes => ({
  user,
  verb,
  resource: { group, version: 'v1', resource, subresource: '', namespace, name: '' },
});
const policy = (spec: object) =>
  JSON.stringify({ apiVersion: 'abac.authorization.kubernetes.io/v1beta1', kind: 'Policy', spec });
const allowed = (line: string, what: AccessAttributes) => abacAuthorizer(parsePolicyFile(line)).authorize(what).allowed;

describe('ABAC policies', () => {
  test.each<[string, object, AccessAttributes, boolean]>([
    [
      'a user in a namespace',
      { user: 'ann', namespace: 'shop', resource: 'pods', apiGroup: '*' },
      on('create', 'pods'),
      true,
    ],
    ['not in another', { user: 'ann', namespace: 'bank', resource: 'pods' }, on('get', 'pods'), false],
    ['not another user', { user: 'bob', namespace: '*', resource: '*', apiGroup: '*' }, on('get', 'pods'), false],
    [
      'a group',
      { group: 'dev', namespace: '*', resource: '*', apiGroup: '*' },
      on('delete', 'jobs', 'x', 'batch'),
      true,
    ],
    [
      'the core group alone where none is named',
      { user: 'ann', namespace: '*', resource: '*' },
      on('get', 'jobs', 'x', 'batch'),
      false,
    ],
    ['reading', { user: 'ann', namespace: '*', resource: '*', readonly: true }, on('watch', 'pods'), true],
    [
      'no writing where it is readonly',
      { user: 'ann', namespace: '*', resource: '*', readonly: true },
      on('update', 'pods'),
      false,
    ],
    ['both user and group', { user: 'ann', group: 'ops', namespace: '*', resource: '*' }, on('get', 'pods'), false],
    ['nobody where nobody is named', { namespace: '*', resource: '*' }, on('get', 'pods'), false],
    [
      'paths below a prefix',
      { user: '*', nonResourcePath: '/healthz/*' },
      { user: ann, verb: 'get', path: '/healthz/etcd' },
      true,
    ],
    [
      'no paths by resources',
      { user: '*', resource: '*', namespace: '*' },
      { user: ann, verb: 'get', path: '/metrics' },
      false,
    ],
  ])('%s', (_, spec, what, expected) => {
    expect(allowed(policy(spec), what)).toBe(expected);
  });

  test('the first form of policies means everything where it is silent', () => {
    expect(allowed('{"user":"ann"}', on('get', 'pods'))).toBe(true);
    expect(allowed('{"readonly":true,"resource":"pods"}', on('list', 'pods'))).toBe(true);
    expect(allowed('{"readonly":true,"resource":"pods"}', on('list', 'pods', 'x', '', { name: 'x', groups: [] }))).toBe(
      false,
    );
  });

  test('say which line is wrong', () => {
    expect(() => parsePolicyFile(`# comment\n\n${policy({ user: 1 })}`)).toThrow('line 3: user is not a text');
    expect(() => parsePolicyFile('{"apiVersion":"x/v1","kind":"Policy"}')).toThrow('line 1: x/v1 Policy is not known');
    expect(() => parsePolicyFile('nonsense')).toThrow('line 1');
  });

  test('are told to who asks what they may do', () => {
    const rules = abacAuthorizer(parsePolicyFile(policy({ user: 'ann', namespace: 'shop', resource: 'pods' })));
    expect(rules.rulesFor?.(ann, 'shop').resourceRules).toEqual([
      { verbs: ['*'], apiGroups: [''], resources: ['pods'] },
    ]);
    expect(rules.rulesFor?.(ann, 'bank').resourceRules).toEqual([]);
  });
});
