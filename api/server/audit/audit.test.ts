import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock, VirtualClock } from '@trimtab/machinery';
import { FlowControl } from '../flowcontrol/flow-control.js';
import { type TestServer, testServer } from '../http/testing.js';
import { Auditor } from './auditor.js';
import { logFile } from './log-file.js';
import { auditVerdict, parseAuditPolicy } from './policy.js';

interface Event {
  readonly [key: string]: unknown;
  readonly stage: string;
  readonly level: string;
  readonly verb: string;
  readonly auditID: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const policy = parseAuditPolicy(`
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  verbs: [get]
  nonResourceURLs: [/version]
- level: RequestResponse
  resources: [{group: "", resources: [configmaps]}]
- level: Request
  resources: [{group: "", resources: [secrets], resourceNames: [seen]}]
- level: Metadata
`);

describe('the audit log', () => {
  let events: Event[];
  let t: TestServer;
  beforeAll(async () => {
    const sink = { write: (line: string) => void events.push(JSON.parse(line)), close: async () => {} };
    t = await testServer({
      audit: new Auditor(policy, sink, systemClock),
      flow: new FlowControl({ clock: systemClock, seats: 10 }),
      authorizer: {
        authorize: ({ user }) => ({ allowed: user.groups.includes('system:masters'), reason: 'because' }),
      },
    });
  });
  afterAll(() => t.close());
  beforeEach(() => {
    events = [];
  });
  const map = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'one' }, data: { a: 'b' } };

  test('tells of a write with request, response, decision, and the caller’s Audit-Id', async () => {
    const answer = await t.request('POST', '/api/v1/namespaces/default/configmaps?pretty=true', {
      body: map,
      headers: { 'audit-id': 'mine', 'user-agent': 'tester/1' },
    });
    expect(answer.headers['audit-id']).toBe('mine');
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'RequestResponse',
      auditID: 'mine',
      stage: 'ResponseComplete',
      requestURI: '/api/v1/namespaces/default/configmaps?pretty=true',
      verb: 'create',
      user: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
      sourceIPs: ['127.0.0.1'],
      userAgent: 'tester/1',
      objectRef: { resource: 'configmaps', namespace: 'default', apiVersion: 'v1' },
      responseStatus: { metadata: {}, code: 201 },
      requestObject: map,
      responseObject: { metadata: { name: 'one', uid: expect.any(String) }, data: { a: 'b' } },
      annotations: { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': 'because' },
    });
    expect(JSON.stringify(events[0])).not.toContain('managedFields');
  });

  test('holds as much as the level says: no bodies for Metadata, nothing for None', async () => {
    await t.request('GET', '/api/v1/namespaces/default/secrets/other');
    await t.request('GET', '/version');
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      level: 'Metadata',
      responseStatus: { code: 404, status: 'Failure', reason: 'NotFound' },
    });
    expect(events[0]).not.toHaveProperty('responseObject');
  });

  test('tells who was taken for whom, and what was refused', async () => {
    await t.request('GET', '/api/v1/pods', { headers: { 'impersonate-user': 'ann' } });
    expect(events[0]).toMatchObject({
      user: { username: 'admin' },
      impersonatedUser: { username: 'ann', groups: ['system:authenticated'] },
      responseStatus: { code: 403 },
      annotations: { 'authorization.k8s.io/decision': 'forbid' },
    });
    await t.request('GET', '/api/v1/pods', { headers: { authorization: 'Bearer wrong' } });
    expect(events.at(-1)).toMatchObject({ user: {}, responseStatus: { code: 401, message: 'Authentication failed' } });
  });

  test('a watch is told of when it starts and when it ends', async () => {
    const watch = t.open('/api/v1/namespaces/default/configmaps?watch=1');
    await new Promise((resolve) => watch.once('response', resolve));
    expect(events.map((e) => e.stage)).toEqual(['ResponseStarted']);
    watch.close();
    for (let i = 0; i < 100 && events.length < 2; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(events.map((e) => e.stage)).toEqual(['ResponseStarted', 'ResponseComplete']);
  });

  test('every answer says which flow it belonged to', async () => {
    const { headers } = await t.request('GET', '/api/v1/pods');
    expect(headers).toHaveProperty('x-kubernetes-pf-flowschema-uid');
    expect(headers).toHaveProperty('x-kubernetes-pf-prioritylevel-uid');
  });
});

describe('an audit policy', () => {
  const rule = (text: string) => parseAuditPolicy(`{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [${text}]}`);
  const on = (resource: string, subresource = '', namespace = 'shop', name = '') => ({
    user: { name: 'ann', groups: ['dev'] },
    verb: 'get',
    resource: { group: '', version: 'v1', resource, subresource, namespace, name },
  });
  test.each<[string, string, Parameters<typeof auditVerdict>[1], string]>([
    ['a user', '{level: Metadata, users: [ann]}', on('pods'), 'Metadata'],
    ['not another', '{level: Metadata, users: [bob]}', on('pods'), 'None'],
    ['a group', '{level: Request, userGroups: [dev]}', on('pods'), 'Request'],
    ['a namespace', '{level: Request, namespaces: [bank]}', on('pods'), 'None'],
    ['cluster scope as the namespace ""', '{level: Request, namespaces: [""]}', on('nodes', '', ''), 'Request'],
    [
      'a resource without its subresources',
      '{level: Request, resources: [{resources: [pods]}]}',
      on('pods', 'log'),
      'None',
    ],
    ['a subresource of any', '{level: Request, resources: [{resources: ["*/log"]}]}', on('pods', 'log'), 'Request'],
    ['any subresource', '{level: Request, resources: [{resources: ["pods/*"]}]}', on('pods', 'log'), 'Request'],
    [
      'a name',
      '{level: Request, resources: [{resources: [pods], resourceNames: [x]}]}',
      on('pods', '', 'shop', 'y'),
      'None',
    ],
    ['another group', '{level: Request, resources: [{group: apps}]}', on('pods'), 'None'],
    [
      'no path by a resource',
      '{level: Request, resources: [{group: ""}]}',
      { user: { name: '', groups: [] }, verb: 'get', path: '/x' },
      'None',
    ],
    [
      'paths',
      '{level: Request, nonResourceURLs: ["/log*"]}',
      { user: { name: '', groups: [] }, verb: 'get', path: '/logs' },
      'Request',
    ],
  ])('matches %s', (_, text, asked, level) => {
    expect(auditVerdict(rule(text), asked).level).toBe(level);
  });

  test('that is wrong says where', () => {
    expect(() => rule('{level: Loud}')).toThrow('rules[0].level: Loud is not known');
    expect(() => rule('{level: None, omitStages: [Later]}')).toThrow('rules[0].omitStages: Later');
    expect(() => rule('{level: None, nonResourceURLs: [/x], namespaces: [a]}')).toThrow('not for both');
    expect(() => parseAuditPolicy('kind: Pod\napiVersion: v1')).toThrow('v1 Pod is not known');
  });
});

test('a full log file is put aside, and only so many stay', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'trimtab-audit-'));
  const clock = new VirtualClock();
  const path = join(dir, 'audit.log');
  const file = logFile({ path, maxBytes: 100, maxBackups: 2, maxAgeDays: 0, clock, logger: silentLogger });
  for (let i = 0; i < 10; i++) {
    file.write(`${String(i).repeat(49)}\n`);
    await clock.advance(1000);
  }
  await file.close();
  expect(
    readFileSync(path, 'utf8')
      .split('\n')
      .map((l) => l[0]),
  ).toEqual(['8', '9', undefined]);
  const old = readdirSync(dir).filter((n) => n !== 'audit.log');
  expect(old).toHaveLength(2);
  expect(readFileSync(join(dir, old.sort()[1]!), 'utf8')[0]).toBe('6');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  rmSync(dir, { recursive: true });
});
