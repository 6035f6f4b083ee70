import { VirtualClock } from '@trimtab/machinery';
import { memoryEngine, openStore, type Store } from '@trimtab/store';
import { type TestServer, testServer } from '../http/testing.js';

let clock: VirtualClock;
let store: Store;
let server: TestServer;
beforeEach(async () => {
  clock = new VirtualClock(Date.parse('2026-11-21T10:30:00Z'));
  store = await openStore({ engine: memoryEngine(), clock });
  server = await testServer({ clock, store });
});
afterEach(() => server.close());

const maps = '/api/v1/namespaces/default/configmaps';
const put = (name: string, value: string) =>
  server.request('PUT', `${maps}/${name}`, { body: { metadata: { name }, data: { value } } });
const make = (name: string, value: string) =>
  server.request('POST', maps, { body: { metadata: { name }, data: { value } } });
const read = async (path: string) => {
  const answer = await server.request('GET', path);
  return { status: answer.status, body: JSON.parse(answer.text()), headers: answer.headers };
};

/** One a minute from 10:30 on: a=1; a=2; b=1; a gone. */
async function past(): Promise<readonly number[]> {
  const revisions: number[] = [];
  for (const step of [
    () => make('a', '1'),
    () => put('a', '2'),
    () => make('b', '1'),
    () => server.request('DELETE', `${maps}/a`),
  ]) {
    expect((await step()).status).toBeLessThan(300);
    revisions.push(store.revision);
    await clock.advance(60_000);
  }
  return revisions;
}

test('one object as of a time, a time ago, or a revision; gone and not yet there are 404', async () => {
  const [first, second] = await past();
  const at = async (text: string) => {
    const { status, body } = await read(`${maps}/a?at=${text}`);
    return status === 200 ? body.data.value : `${status} ${body.reason}`;
  };
  expect(await at('2026-11-21T10:30:30Z')).toBe('1');
  expect(await at('2026-11-21T12:31:30%2B01:00')).toBe('400 BadRequest');
  expect(await at('2026-11-21T11:31:30%2B01:00')).toBe('2');
  expect(await at('3m30s')).toBe('1');
  expect(await at('2m30s')).toBe('2');
  expect(await at(`${first}`)).toBe('1');
  expect(await at(`${second}`)).toBe('2');
  expect(await at('30s')).toBe('404 NotFound');
  expect((await read(`${maps}/b?at=${first}`)).status).toBe(404);
  expect((await read(`${maps}/a?at=${first}`)).headers['trimtab-revision']).toBe(String(first));
});

test('a list as of then, page by page, and as a table with the ages of then', async () => {
  await past();
  const names = (body: { items: { metadata: { name: string } }[] }) => body.items.map(({ metadata }) => metadata.name);
  const page = await read(`${maps}?at=90s&limit=1`);
  expect(names(page.body)).toEqual(['a']);
  const rest = await read(`${maps}?at=90s&limit=1&continue=${encodeURIComponent(page.body.metadata.continue)}`);
  expect(names(rest.body)).toEqual(['b']);
  expect(names((await read(maps)).body)).toEqual(['b']);
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
  const table = (await server.request('GET', `${maps}?at=2026-11-21T10:31:40Z`, { headers })).json();
  expect(table.rows.map(({ cells }) => [cells[0], cells.at(-1)])).toEqual([['a', '100s']]);
});

test('a watch from then gives what has happened since', async () => {
  await past();
  const stream = server.open(`${maps}?watch=1&at=2026-11-21T10:31:30Z&timeoutSeconds=5`);
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  while (text.split('\n').length < 3) await new Promise((resolve) => setImmediate(resolve));
  const events = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.map(({ type, object }) => [type, object.metadata.name])).toEqual([
    ['ADDED', 'b'],
    ['DELETED', 'a'],
  ]);
  stream.close();
});

test('what is no longer kept is 410 in words that say what is; nonsense and the future are 400', async () => {
  const revisions = await past();
  await store.compact(revisions[1]!);
  for (const at of ['2026-11-21T10:30:30Z', `${revisions[0]}`]) {
    const { status, body } = await read(`${maps}?at=${at}`);
    expect([status, body.reason]).toEqual([410, 'Expired']);
    expect(body.message).toContain(
      `is no longer kept; the oldest state that is: revision ${revisions[2]} of 2026-11-21T10:32:00Z`,
    );
  }
  for (const [at, words] of [
    ['10:32', 'is no place in the past'],
    ['2027-01-01T00:00:00Z', 'is in the future'],
    ['5m&resourceVersion=3', 'give one of them'],
  ]) {
    const { status, body } = await read(`${maps}?at=${at}`);
    expect([status, body.message]).toEqual([400, expect.stringContaining(words!)]);
  }
});

test('the past may be read exactly where the present may', async () => {
  await past();
  const headers = { authorization: 'Bearer nobody' };
  const answer = await server.request('GET', `${maps}?at=1m`, { headers });
  expect([401, 403]).toContain(answer.status);
});
