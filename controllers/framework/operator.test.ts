import https from 'node:https';
import { Informers } from '@trimtab/client';
import { ConfigMaps, seededRandom, silentLogger, systemClock } from '@trimtab/machinery';
import { setup } from 'xstate';
import {
  admission,
  apply,
  controller,
  customKind,
  MemoryClient,
  type ObjectOf,
  type Observed,
  operator,
  owned,
  runOperator,
  s,
} from './index.js';
import { cert, key as tlsKey } from './testing/identity.js';

const Notes = customKind({ group: 'example.com', version: 'v1', kind: 'Note', spec: s.object({ text: s.string() }) });
type Note = ObjectOf<typeof Notes>;
const notes = controller<Note>({
  name: 'note',
  for: Notes,
  owns: [ConfigMaps],
  reconcile: ({ object }) =>
    object ? [apply(ConfigMaps, owned(Notes, object, { data: { text: object.spec.text } }))] : [],
});
const app = operator({
  name: 'note',
  controllers: [notes],
  definitions: [Notes.definition],
  admissions: [
    admission<Note>({ for: Notes, validate: ({ spec }) => (spec.text === '' ? ['spec.text: is empty'] : []) }),
  ],
});

test('row 29: an operator installs its kinds, works, and says over HTTP how it is', async () => {
  const client = new MemoryClient(systemClock);
  const around = { client, clock: systemClock, random: seededRandom(1), logger: silentLogger };
  const running = await runOperator(app, { ...around, http: { port: 0 } });
  await client.create(Notes, Notes.of({ namespace: 'ns', name: 'n' }, { text: 'hi' }));
  while (running.traces.all().every(({ writes }) => writes.length === 0))
    await new Promise((done) => setImmediate(done));
  expect(client.all(ConfigMaps)[0]?.data).toEqual({ text: 'hi' });
  const get = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${running.port}${path}`);
    return [answer.status, await answer.text()] as const;
  };
  expect(await get('/readyz')).toEqual([200, 'ok\n']);
  expect(await get('/healthz')).toEqual([200, 'ok\n']);
  expect((await get('/metrics'))[1]).toContain(
    'controller_runtime_reconcile_total{controller="note",result="success"}',
  );
  expect((await get('/metrics'))[1]).toMatch(/^rest_client_requests_total\{code="200",method="PATCH"\} \d/m);
  expect((await get('/traces'))[1]).toContain('"verb":"apply"');
  expect((await get('/nothing'))[0]).toBe(404);
  expect(client.writes[0]).toBe('patch customresourcedefinitions notes.example.com');
  expect(await running.stop()).toEqual([]);
});

test('row 31: rules are served as webhooks', async () => {
  const client = new MemoryClient(systemClock);
  const around = { client, clock: systemClock, random: seededRandom(1), logger: silentLogger };
  const running = await runOperator(app, { ...around, install: false, webhooks: { port: 0, cert, key: tlsKey } });
  const ask = (text: string) =>
    new Promise<unknown>((resolve, reject) => {
      const options = { port: running.webhookPort, path: '/validate', method: 'POST', rejectUnauthorized: false };
      const request = https.request(options, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on('end', () => resolve(JSON.parse(body)));
      });
      request.on('error', reject);
      const kind = { group: 'example.com', version: 'v1', kind: 'Note' };
      request.end(
        JSON.stringify({
          request: { uid: 'u1', kind, operation: 'CREATE', object: Notes.of({ name: 'n' }, { text }) },
        }),
      );
    });
  expect(await ask('hi')).toMatchObject({ kind: 'AdmissionReview', response: { uid: 'u1', allowed: true } });
  expect(await ask('')).toMatchObject({ response: { allowed: false, status: { message: 'spec.text: is empty' } } });
  await running.stop();
});

describe('code that changes while it runs, and machines that are looked at', () => {
  const setUp = () => {
    const client = new MemoryClient(systemClock);
    const around = { client, clock: systemClock, random: seededRandom(1), logger: silentLogger };
    return { client, around, informers: new Informers(around) };
  };
  const machine = setup({
    types: { context: {} as { readonly text: string | undefined }, input: {} as Observed<Note> },
    guards: { blank: ({ context }) => context.text === '' },
  }).createMachine({
    context: ({ input }) => ({ text: input.view.object?.spec.text }),
    initial: 'looking',
    states: {
      looking: { always: [{ guard: 'blank', target: 'empty' }, { target: 'written' }] },
      empty: {},
      written: {},
    },
  });
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((done) => setImmediate(done));
  };

  test('row 43: new code takes over the caches as they are: nothing is listed again', async () => {
    const { client, around, informers } = setUp();
    let reads = 0;
    client.before = ({ verb }) => {
      if (verb === 'list') reads++;
    };
    const watch = client.watch.bind(client);
    client.watch = (...asked) => {
      reads++;
      return watch(...asked);
    };
    await client.create(Notes, Notes.of({ namespace: 'ns', name: 'n' }, { text: 'hi' }));
    const first = await runOperator(app, { ...around, informers });
    await until(() => client.all(ConfigMaps)[0]?.data?.text === 'hi');
    const before = reads;
    expect(before).toBeGreaterThan(0);
    expect(await first.stop()).toEqual([]);
    const louder = controller<Note>({
      ...(notes as object),
      name: 'note',
      for: Notes,
      reconcile: ({ object }) =>
        object ? [apply(ConfigMaps, owned(Notes, object, { data: { text: `${object.spec.text}!` } }))] : [],
    });
    const second = await runOperator({ ...app, controllers: [louder] }, { ...around, informers });
    await until(() => client.all(ConfigMaps)[0]?.data?.text === 'hi!');
    expect(reads).toBe(before);
    await second.stop();
    informers.stop();
  });

  test('row 46: where each object is, as a list and as a diagram in which its state stands out', async () => {
    const { client, around } = setUp();
    const watched = controller<Note>({ name: 'note', for: Notes, machine });
    await client.create(Notes, Notes.of({ namespace: 'ns', name: 'n' }, { text: 'hi' }));
    const running = await runOperator({ ...app, controllers: [watched] }, { ...around, http: { port: 0 } });
    const get = async (path: string) => (await fetch(`http://127.0.0.1:${running.port}${path}`)).text();
    await until(() => running.traces.all().length > 0);
    expect(JSON.parse(await get('/machines'))).toEqual({ note: { 'ns/n': 'written' } });
    const plain = await get('/machines/note');
    expect(plain).toContain('stateDiagram-v2\n  state "looking" as looking\n');
    expect(plain).toContain('  [*] --> looking\n');
    expect(await get('/machines/note/ns/n')).toBe(
      `${plain}  classDef current stroke-width:4px,font-weight:bold\n  class written current\n`,
    );
    expect(await get('/machines/note/ns/other')).toMatch('there are');
    // Where it was at another time: before the first look, nowhere.
    const [first] = running.traces.of('note', 'ns/n');
    const then = async (ms: number) => get(`/machines/note/ns/n?at=${new Date(ms).toISOString()}`);
    expect(await then(first!.at)).toContain('class written current');
    expect(await then(first!.at - 1)).toMatch('there are');
    await running.stop();
  });
});
