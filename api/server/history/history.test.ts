import { VirtualClock } from '@trimtab/machinery';
import { memoryEngine, openStore, type Store } from '@trimtab/store';
import { type TestServer, testServer } from '../http/testing.js';
import { builtinKinds } from '../registry/builtin-kinds.js';
import { createBuiltinStrategies } from '../registry/strategies/index.js';
import type { Branching } from '../server.js';

let clock: VirtualClock;
let store: Store;
let server: TestServer;

const everybody = {
  authenticate: async ({ bearerToken }: { readonly bearerToken?: string }) =>
    bearerToken === 'admin' || bearerToken === 'reader'
      ? { name: bearerToken, groups: bearerToken === 'admin' ? ['system:masters'] : ['readers'] }
      : undefined,
};
/** Readers see everything but Secrets, and write nothing. */
const authorizer = {
  authorize: ({
    user,
    verb,
    resource,
  }: {
    user: { groups: readonly string[] };
    verb: string;
    resource?: { resource: string };
  }) => ({
    allowed:
      user.groups.includes('system:masters') ||
      (resource ? ['get', 'list', 'watch'].includes(verb) && resource.resource !== 'secrets' : true),
    reason: '',
  }),
};
const rules = {
  kinds: [builtinKinds({ strategies: createBuiltinStrategies() })],
  admission: [],
  handlers: {},
  authorizer,
  authenticator: everybody,
  close() {},
};
const branching: Branching = {
  rules: () => rules,
  realm: () => ({ ...rules, inhabit: async () => ({ nodeStreams: () => undefined, stop: async () => {} }) }),
};

beforeEach(async () => {
  clock = new VirtualClock(Date.parse('2026-11-21T10:30:00Z'));
  store = await openStore({ engine: memoryEngine(), clock });
  server = await testServer({ clock, store, branching, authorizer, authenticator: everybody });
});
afterEach(() => server.close());

interface Document {
  readonly reason?: string;
  readonly message: string;
  readonly revision: number;
  readonly done: boolean;
  readonly steps: readonly { readonly action: string; readonly name: string; readonly fields: readonly string[] }[];
  readonly conflicts: readonly { readonly name: string; readonly fields: readonly string[]; readonly reason: string }[];
  readonly items: readonly {
    readonly name: string;
    readonly type: string;
    readonly writer?: { readonly manager: string };
    readonly base: number;
    readonly writes: number;
  }[];
  readonly metadata: { readonly managedFields: readonly { readonly manager: string; readonly fieldsV1: object }[] };
  readonly data: Readonly<Record<string, string>>;
  readonly spec: Readonly<Record<string, unknown>>;
}

async function ask(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
  const answer = await server.request(method, path, { headers, ...(body ? { body } : {}) });
  return { status: answer.status, body: JSON.parse(answer.text()) as Document };
}

const maps = '/api/v1/namespaces/default/configmaps';
const merge = { 'content-type': 'application/merge-patch+json' };

/** Each write a minute after the one before. */
async function write(manager: string, method: string, path: string, body?: object): Promise<Document> {
  const query = `${path.includes('?') ? '&' : '?'}fieldManager=${manager}`;
  const answer = await ask(method, `${path}${query}`, body, method === 'PATCH' ? merge : {});
  expect([answer.status, answer.body.message]).toEqual([answer.status < 300 ? answer.status : 200, undefined]);
  await clock.advance(60_000);
  return answer.body;
}

const make = (manager: string, name: string, data: Readonly<Record<string, string>>) =>
  write(manager, 'POST', maps, { metadata: { name }, data });
const change = (manager: string, name: string, data: Readonly<Record<string, string | null>>, at = '') =>
  write(manager, 'PATCH', `${at}${maps}/${name}`, { data });
const dataOf = async (name: string, at = ''): Promise<unknown> => (await ask('GET', `${at}${maps}/${name}`)).body.data;
const owners = async (name: string): Promise<unknown> =>
  (await ask('GET', `${maps}/${name}`)).body.metadata.managedFields.map(({ manager, fieldsV1 }) => [
    manager,
    Object.keys((fieldsV1 as { 'f:data'?: object })['f:data'] ?? {}).filter((field) => field !== '.'),
  ]);
const undo = (query = '') => ask('POST', `/trimtab/history/undo?${query}`);
const steps = ({ steps }: Document) =>
  steps.map(({ action, name, fields }) => `${action} ${name} ${fields.join(' ')}`.trim());

describe('undo', () => {
  test('takes back the last command, gives everybody what they owned before, and once more takes back the undo', async () => {
    await make('kubectl-create', 'a', { x: '1', y: '1' });
    await change('kubectl', 'a', { x: '2' });
    expect(await owners('a')).toEqual([
      ['kubectl-create', ['f:y']],
      ['kubectl', ['f:x']],
    ]);
    const shown = await undo('dryRun=All');
    expect([shown.body.done, steps(shown.body), await dataOf('a')]).toEqual([
      false,
      ['update a .data.x'],
      { x: '2', y: '1' },
    ]);
    const { body } = await undo();
    expect([body.done, steps(body), await dataOf('a')]).toEqual([true, ['update a .data.x'], { x: '1', y: '1' }]);
    expect(await owners('a')).toEqual([['kubectl-create', ['f:x', 'f:y']]]);
    await clock.advance(60_000);
    await undo();
    expect(await dataOf('a')).toEqual({ x: '2', y: '1' });
    expect(await owners('a')).toEqual([
      ['kubectl-create', ['f:y']],
      ['kubectl', ['f:x']],
    ]);
    const { body: list } = await ask('GET', '/trimtab/history/writes?resource=/configmaps&name=a&namespace=default');
    expect(list.items.map(({ writer }) => writer?.manager)).toEqual([
      'kubectl-create',
      'kubectl',
      'trimtab-undo',
      'trimtab-undo',
    ]);
  });

  test('straight after the write it takes back', async () => {
    await ask('POST', `${maps}?fieldManager=kubectl-create`, { metadata: { name: 'a' }, data: { x: '1' } });
    await clock.advance(1_000);
    await ask('PATCH', `${maps}/a?fieldManager=kubectl`, { data: { x: '2' } }, merge);
    await clock.advance(1_000);
    await undo();
    await clock.advance(1_000);
    expect(await dataOf('a')).toEqual({ x: '1' });
    expect(steps((await undo()).body)).toEqual(['update a .data.x']);
    expect(await dataOf('a')).toEqual({ x: '2' });
  });

  test('leaves alone what others have written since, and is all or nothing where they wrote the same', async () => {
    await make('helm', 'a', { x: '1', y: '1' });
    await make('helm', 'b', { x: '1' });
    await ask('PATCH', `${maps}/a?fieldManager=helm`, { data: { x: '2' } }, merge);
    await ask('PATCH', `${maps}/b?fieldManager=helm`, { data: { x: '2' } }, merge);
    await clock.advance(60_000);
    await change('operator', 'a', { y: '7' });
    expect(steps((await undo('dryRun=All')).body)).toEqual(['update a .data.x', 'update b .data.x']);
    await change('operator', 'b', { x: '9' });
    const before = store.revision;
    const refused = await undo('manager=helm');
    expect([refused.status, refused.body.reason]).toEqual([409, 'Conflict']);
    expect(refused.body.message).toContain('configmaps default/b: changed since, and otherwise: .data.x');
    expect(store.revision).toBe(before);
    await undo('manager=helm&name=a&namespace=default&resource=/configmaps');
    expect([await dataOf('a'), await dataOf('b')]).toEqual([{ x: '1', y: '7' }, { x: '9' }]);
  });

  test('brings back what was deleted and takes away what was made, in one revision', async () => {
    await make('kubectl-create', 'before', {});
    const { revision } = store;
    await make('kubectl-create', 'a', { x: '1' });
    const made = store.revision;
    await make('kubectl-create', 'b', { x: '1' });
    await write('kubectl', 'DELETE', `${maps}/a`);
    const before = store.revision;
    await undo(`from=${made}`);
    expect([await dataOf('a'), (await ask('GET', `${maps}/b`)).status]).toEqual([{ x: '1' }, 404]);
    expect(store.revision).toBe(before + 1);
    await undo(`from=${revision}`);
    expect([(await ask('GET', `${maps}/a`)).status, (await ask('GET', `${maps}/b`)).status]).toEqual([404, 404]);
  });

  test('of a deletion brings back what people had made, and its undo takes it away again', async () => {
    await make('kubectl-create', 'a', { x: '1' });
    await make('helm', 'b', { x: '1' });
    await make('some-operator', 'c', { x: '1' });
    for (const name of ['a', 'b', 'c']) await ask('DELETE', `${maps}/${name}`);
    expect(steps((await undo('dryRun=All')).body)).toHaveLength(2);
    await undo();
    expect([await dataOf('a'), await dataOf('b'), (await ask('GET', `${maps}/c`)).status]).toEqual([
      { x: '1' },
      { x: '1' },
      404,
    ]);
    await clock.advance(60_000);
    await undo();
    expect((await ask('GET', `${maps}/a`)).status).toBe(404);
    await undo('manager=helm');
    expect([(await ask('GET', `${maps}/a`)).status, await dataOf('b')]).toEqual([404, { x: '1' }]);
  });

  test('is refused to whom the writes would be refused, and where nothing was written', async () => {
    expect((await undo()).status).toBe(404);
    await make('kubectl-create', 'a', { x: '1' });
    const answer = await ask('POST', '/trimtab/history/undo', undefined, { authorization: 'Bearer reader' });
    expect([answer.status, answer.body.reason]).toEqual([403, 'Forbidden']);
    expect(await dataOf('a')).toEqual({ x: '1' });
  });
});

describe('changes', () => {
  test('between two moments, with who made them; a reader sees what they may read now', async () => {
    await make('kubectl-create', 'kept', { x: '1' });
    await make('kubectl-create', 'gone', { x: '1' });
    const { revision } = store;
    await change('helm', 'kept', { x: '2' });
    await write('kubectl', 'DELETE', `${maps}/gone`);
    await write('kubectl-create', 'POST', '/api/v1/namespaces/default/secrets', { metadata: { name: 's' } });
    const of = async (headers = {}) =>
      (await ask('GET', `/trimtab/history/changes?from=${revision}`, undefined, headers)).body.items.map(
        ({ name, type, writer }) => [name, type, writer?.manager],
      );
    const seen = [
      ['gone', 'deleted', undefined],
      ['kept', 'changed', 'helm'],
    ];
    expect(await of()).toEqual([...seen, ['s', 'created', 'kubectl-create']]);
    expect(await of({ authorization: 'Bearer reader' })).toEqual(seen);
    const back = await ask('GET', `/trimtab/history/changes?from=${store.revision}&to=${revision}`);
    expect(back.body.items.map(({ name, type }) => [name, type])).toEqual([
      ['gone', 'created'],
      ['kept', 'changed'],
      ['s', 'deleted'],
    ]);
  });
});

describe('branches', () => {
  const branch = (method: string, path = '', body?: object) => ask(method, `/trimtab/branches${path}`, body);

  test('share what they began with, are nobody else’s business, and come home as one revision', async () => {
    await make('helm', 'a', { x: '1', y: '1' });
    await branch('POST', '', { name: 'try' });
    const { revision } = store;
    await change('kubectl', 'a', { x: '2' }, '/branches/try');
    await write('kubectl', 'POST', `/branches/try${maps}`, { metadata: { name: 'new' }, data: {} });
    expect([await dataOf('a'), (await ask('GET', `${maps}/new`)).status]).toEqual([{ x: '1', y: '1' }, 404]);
    expect(store.revision).toBe(revision);
    await change('operator', 'a', { y: '5' });
    const plan = await branch('POST', '/try/merge?dryRun=All');
    expect(steps(plan.body)).toEqual(['update a .data.x', 'create new .metadata.name .metadata.namespace']);
    const before = store.revision;
    await branch('POST', '/try/merge');
    expect([await dataOf('a'), store.revision]).toEqual([{ x: '2', y: '5' }, before + 1]);
    expect(steps((await branch('POST', '/try/merge')).body)).toEqual([]);
  });

  test('what both have changed is a conflict; a reset begins anew', async () => {
    await make('helm', 'a', { x: '1' });
    await branch('POST', '', { name: 'try' });
    await change('kubectl', 'a', { x: '2' }, '/branches/try');
    await change('helm', 'a', { x: '3' });
    const refused = await branch('POST', '/try/merge');
    expect([refused.status, refused.body.message]).toEqual([409, expect.stringContaining('.data.x')]);
    await branch('POST', '/try/reset');
    expect(await dataOf('a', '/branches/try')).toEqual({ x: '3' });
    await branch('DELETE', '/try');
    expect((await ask('GET', `/branches/try${maps}/a`)).status).toBe(404);
  });

  test('begin in the past where they are told to, and undo their own writes', async () => {
    await make('helm', 'a', { x: '1' });
    const { revision } = store;
    await change('helm', 'a', { x: '2' });
    await branch('POST', `?at=${revision}`, { name: 'then' });
    expect(await dataOf('a', '/branches/then')).toEqual({ x: '1' });
    await change('kubectl', 'a', { x: '9' }, '/branches/then');
    expect((await ask('POST', '/branches/then/trimtab/history/undo')).status).toBe(200);
    expect([await dataOf('a', '/branches/then'), await dataOf('a')]).toEqual([{ x: '1' }, { x: '2' }]);
    expect(steps((await branch('POST', '/then/merge?dryRun=All')).body)).toEqual([]);
  });

  test('are named once, bounded in number, and refused by name', async () => {
    expect((await branch('POST', '', { name: 'No' })).status).toBe(400);
    for (let i = 0; i < 8; i++) expect((await branch('POST', '', { name: `b${i}` })).status).toBe(200);
    expect((await branch('POST', '', { name: 'b0' })).status).toBe(409);
    expect((await branch('POST', '', { name: 'b8' })).status).toBe(429);
    expect((await branch('GET')).body.items.map(({ name }) => name)).toEqual(
      Array.from({ length: 8 }, (_, i) => `b${i}`),
    );
    expect((await branch('DELETE', '/nobody')).status).toBe(404);
  });
});
