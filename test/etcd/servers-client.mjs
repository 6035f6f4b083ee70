/** The client of `servers.mjs`: talks to two servers of one cluster and judges what it sees. Says what it found on standard output. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';

const say = (text) => console.log(JSON.stringify({ say: text }));
/** Much more than anything here takes. */
const PATIENCE_MS = 120_000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Server {
  constructor(file) {
    const text = readFileSync(file, 'utf8');
    const of = (field) => Buffer.from(new RegExp(`"?${field}"?:\\s*"?([\\w+/=]+)`).exec(text)[1], 'base64');
    this.url = /server"?:\s*"?(https:[^"\s]+)/.exec(text)[1];
    this.ca = of('certificate-authority-data');
    this.agent = new Agent({
      keepAlive: true,
      ca: this.ca,
      cert: of('client-certificate-data'),
      key: of('client-key-data'),
    });
  }

  ask(method, path, body, { agent = this.agent, headers = {}, type = 'application/json' } = {}) {
    return new Promise((resolve, reject) => {
      const call = request(
        `${this.url}${path}`,
        { method, agent, ca: this.ca, headers: { 'content-type': type, ...headers } },
        (answer) => {
          let text = '';
          answer.on('data', (part) => {
            text += part;
          });
          answer.on('end', () => resolve({ code: answer.statusCode, body: JSON.parse(text) }));
        },
      );
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Calls back with every event until it is stopped. */
  watch(path, next) {
    const call = request(`${this.url}${path}`, { agent: this.agent }, (answer) => {
      createInterface({ input: answer })
        .on('line', (line) => next(JSON.parse(line)))
        .on('error', () => {});
      answer.on('error', () => {});
    });
    call.on('error', () => {});
    call.end();
    return () => call.destroy();
  }
}

const [rounds, ...files] = process.argv.slice(2);
const [a, b] = files.map((file) => new Server(file));
const both = [a, b];
const maps = '/api/v1/namespaces/default/configmaps';
const map = (name, data = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });

await readsAfterWrites(Number(rounds));
await watchesInOrder();
await namesOnce();
await quotaAcross();
await addressesOnce();
await tokensEverywhere();
await leaders();
process.exit(0);

async function readsAfterWrites(rounds) {
  const start = performance.now();
  for (let i = 0; i < rounds; i++) {
    const [here, there] = i % 2 ? [a, b] : [b, a];
    const name = `written-${i}`;
    const created = await here.ask('POST', maps, map(name, { n: '0' }));
    assert.equal(created.code, 201, JSON.stringify(created.body));
    const read = await there.ask('GET', `${maps}/${name}`);
    assert.equal(read.body.metadata.resourceVersion, created.body.metadata.resourceVersion);
    const updated = await there.ask('PUT', `${maps}/${name}`, { ...read.body, data: { n: '1' } });
    assert.equal(updated.code, 200, JSON.stringify(updated.body));
    const again = await here.ask('PUT', `${maps}/${name}`, { ...updated.body, data: { n: '2' } });
    assert.equal(
      again.code,
      200,
      `an update with the newest version, straight after another server's: ${JSON.stringify(again.body)}`,
    );
    const patched = await there.ask(
      'PATCH',
      `${maps}/${name}`,
      { data: { p: '1' } },
      { type: 'application/merge-patch+json' },
    );
    assert.deepEqual([patched.code, patched.body.data], [200, { n: '2', p: '1' }]);
    const list = await here.ask('GET', maps);
    assert.equal(list.body.items.find(({ metadata }) => metadata.name === name)?.data.p, '1');
    assert.ok(Number(list.body.metadata.resourceVersion) >= Number(patched.body.metadata.resourceVersion));
    const atLeast = await there.ask(
      'GET',
      `${maps}?resourceVersion=${list.body.metadata.resourceVersion}&resourceVersionMatch=NotOlderThan`,
    );
    assert.equal(atLeast.code, 200);
    assert.equal((await there.ask('DELETE', `${maps}/${name}`)).code, 200);
    assert.equal((await here.ask('GET', `${maps}/${name}`)).code, 404);
    assert.equal((await here.ask('POST', maps, map(name))).code, 201, 'a name that another server has just freed');
    assert.equal((await there.ask('DELETE', `${maps}/${name}`)).code, 200, 'a name that another server has just taken');
  }
  const ns = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'fresh' } };
  assert.equal((await a.ask('POST', '/api/v1/namespaces', ns)).code, 201);
  assert.equal(
    (await b.ask('POST', '/api/v1/namespaces/fresh/configmaps', map('x'))).code,
    201,
    'in a namespace that another server has just made',
  );
  say(
    `reads after writes: ${rounds * 10} requests across servers, none behind, ${((performance.now() - start) / rounds / 10).toFixed(1)} ms each`,
  );
}

async function watchesInOrder() {
  const { body } = await a.ask('GET', maps);
  const seen = [[], []];
  const stops = both.map((server, i) =>
    server.watch(`${maps}?watch=1&resourceVersion=${body.metadata.resourceVersion}`, ({ type, object }) =>
      seen[i].push(`${object.metadata.resourceVersion} ${type} ${object.metadata.name} ${object.data?.n}`),
    ),
  );
  const writes = 40;
  await Promise.all(
    both.map(async (server, s) => {
      for (let i = 0; i < writes; i++) {
        const name = `watched-${s}-${i % 5}`;
        if (i < 5) await server.ask('POST', maps, map(name, { n: `${i}` }));
        else
          await server.ask(
            'PATCH',
            `${maps}/${name}`,
            { data: { n: `${i}` } },
            { type: 'application/merge-patch+json' },
          );
      }
    }),
  );
  const end = performance.now() + PATIENCE_MS;
  while (seen.some(({ length }) => length < 2 * writes) && performance.now() < end) await pause(20);
  for (const stop of stops) stop();
  assert.equal(seen[0].length, 2 * writes);
  assert.deepEqual(seen[0], seen[1]);
  const revisions = seen[0].map((line) => Number(line.split(' ')[0]));
  assert.deepEqual(
    revisions,
    [...new Set(revisions)].sort((x, y) => x - y),
  );
  say(`watches: ${2 * writes} writes of two servers, the same order on both, none twice`);
}

async function namesOnce() {
  for (let i = 0; i < 20; i++) {
    const codes = await Promise.all(
      both.map((server) => server.ask('POST', maps, map(`race-${i}`)).then(({ code }) => code)),
    );
    assert.deepEqual(codes.sort(), [201, 409]);
  }
  say('names: of 20 races, one 201 and one 409 each');
}

async function quotaAcross() {
  const root = '/api/v1/namespaces/fresh';
  const quota = {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'q' },
    spec: { hard: { 'count/secrets': '10' } },
  };
  assert.equal((await a.ask('POST', `${root}/resourcequotas`, quota)).code, 201);
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end) {
    const { body } = await b.ask('GET', `${root}/resourcequotas/q`);
    if (body.status?.hard) break;
    await pause(50);
  }
  const secret = (name) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name } });
  const codes = await Promise.all(
    Array.from({ length: 24 }, (_, i) =>
      both[i % 2].ask('POST', `${root}/secrets`, secret(`s-${i}`)).then(({ code }) => code),
    ),
  );
  assert.equal(codes.filter((code) => code === 201).length, 10, `of 24, ${codes.join(' ')}`);
  assert.equal((await b.ask('GET', `${root}/secrets`)).body.items.length, 10);
  say('quota: of 24 secrets at once on both servers, 10 of 10 allowed');
}

async function addressesOnce() {
  const services = '/api/v1/namespaces/default/services';
  const service = (name, more = {}) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { type: 'NodePort', selector: { app: 'x' }, ports: [{ port: 80 }], ...more },
  });
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => both[i % 2].ask('POST', services, service(`svc-${i}`))),
  );
  for (const { code, body } of answers) assert.equal(code, 201, JSON.stringify(body));
  const unique = (values) => assert.equal(new Set(values).size, values.length);
  unique(answers.map(({ body }) => body.spec.clusterIP));
  unique(answers.map(({ body }) => body.spec.ports[0].nodePort));
  for (let i = 0; i < 5; i++) {
    const same = [{ clusterIP: `10.96.7.${i + 1}` }, { ports: [{ port: 80, nodePort: 31000 + i }] }];
    for (const [n, more] of same.entries()) {
      const codes = await Promise.all(
        both.map((server, s) =>
          server.ask('POST', services, service(`same-${i}-${n}-${s}`, more)).then(({ code }) => code),
        ),
      );
      assert.deepEqual(codes.sort(), [201, 422], 'one address or port, asked for on both servers at once');
    }
  }
  say(
    'addresses: 40 Services at once on both servers, no address or port twice; the same asked for on both: one has it',
  );
}

async function tokensEverywhere() {
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  await a.ask('POST', accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'somebody' } });
  const { code, body } = await a.ask('POST', `${accounts}/somebody/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {},
  });
  assert.equal(code, 201, JSON.stringify(body));
  const agent = new Agent({ ca: b.ca });
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const answer = await b.ask('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', review, {
    agent,
    headers: { authorization: `Bearer ${body.status.token}` },
  });
  assert.equal(
    answer.body.status?.userInfo.username,
    'system:serviceaccount:default:somebody',
    JSON.stringify(answer.body),
  );
  say('tokens: given by one server, believed by the other');
}

async function leaders() {
  const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/trimtab-controllers';
  const holder = (await b.ask('GET', lease)).body.spec.holderIdentity;
  const leader = holder.split('_')[0];
  const [dead, alive] = leader === 'a' ? [a, b] : [b, a];
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  const labels = (app) => ({ app });
  const deployment = (name, replicas) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels(name) },
      template: { metadata: { labels: labels(name) }, spec: { containers: [{ name: 'c', image: 'x' }] } },
    },
  });
  const pods = async (name) =>
    (await alive.ask('GET', `/api/v1/namespaces/default/pods?labelSelector=app%3D${name}`)).body.items.length;
  const until = async (name, count) => {
    const start = performance.now();
    while ((await pods(name)) < count) {
      if (performance.now() - start > PATIENCE_MS) throw new Error(`${name} has ${await pods(name)} pods`);
      await pause(50);
    }
    return performance.now() - start;
  };
  assert.equal((await dead.ask('POST', deployments, deployment('before', 3))).code, 201);
  await until('before', 3);
  console.log(JSON.stringify({ kill: leader }));
  await once(process.stdin, 'data');
  assert.equal((await alive.ask('POST', deployments, deployment('after', 3))).code, 201);
  const took = await until('after', 3);
  const next = (await alive.ask('GET', lease)).body.spec.holderIdentity;
  assert.notEqual(next, holder);
  await pause(500);
  assert.deepEqual([await pods('before'), await pods('after')], [3, 3], 'no pod twice');
  say(`leaders: ${leader} led and was killed; ${next.split('_')[0]} did its work ${(took / 1000).toFixed(1)} s later`);
}
