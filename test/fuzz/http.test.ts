import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Logger, Status } from '@trimtab/machinery';
import fc from 'fast-check';
import { type ApiCluster, apiCluster } from '../api-cluster.js';
import { type Answer, RawClient } from './client.js';
import { type Request, request } from './requests.js';
import { NAMESPACES, SEEDS } from './seeds.js';

/**
 * The HTTP surface under requests that no client sends. `FUZZ_SECONDS` says how long (12 where absent), `FUZZ_SEED` which
 * ones: the same requests in the same order, though several are under way at once.
 */

const seconds = Number(process.env.FUZZ_SECONDS ?? 12);
const seed = Number(process.env.FUZZ_SEED ?? 1);
const batch = 24;

let api: ApiCluster;
let client: RawClient;
const failures: string[] = [];
const statuses = new Map<string, number>();
const logger = (): Logger => {
  const said = (level: string) => (fields: object, message: string) => {
    const { err, ...rest } = fields as { err?: Error };
    if (level === 'error') failures.push(`${message} ${JSON.stringify(rest)} ${err?.stack ?? ''}`);
  };
  const one = { debug: said('debug'), info: said('info'), warn: said('warn'), error: said('error') };
  return { ...one, child: () => logger() } as unknown as Logger;
};

beforeAll(async () => {
  process.stderr.write(`FUZZ_SEED=${seed}\n`);
  api = await apiCluster({ logger: logger() });
  client = await RawClient.of(api);
  await api.post('/api/v1/namespaces', 'application/json', '{"metadata":{"name":"fuzz"}}');
});
afterAll(async () => {
  client?.close();
  await api?.close();
});

const show = ({ method, path, headers, body }: Request): string =>
  `${method} ${path} ${JSON.stringify(headers)} ${JSON.stringify(body?.toString('latin1').slice(0, 3000))}`;

/** What is wrong with an answer, whatever was asked. */
function wrong({ status, type, body }: Answer): string | undefined {
  if (status === undefined) return undefined;
  if (status === 500 || status === 502) return `answered ${status}: ${body.toString().slice(0, 2000)}`;
  if (status < 400 || !type.startsWith('application/json') || body.length === 0) return undefined;
  const said = JSON.parse(body.toString()) as Partial<Status>;
  if (said.kind !== 'Status' || said.status !== 'Failure' || said.code !== status || !said.message)
    return `answered ${status} without saying so in a Status: ${body.toString().slice(0, 2000)}`;
  return undefined;
}

async function run(requests: readonly Request[]): Promise<void> {
  const problems = await Promise.all(
    requests.map(async (one) => {
      const answered = (answer: Answer) => {
        const status = String(answer.status ?? 'left');
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        return wrong(answer);
      };
      const problem = await client.send(one).then(answered, (error: Error) => `no answer: ${error.message}`);
      return problem === undefined ? undefined : `${show(one)}\n${problem}`;
    }),
  );
  const found = [...problems.filter((p) => p !== undefined), ...failures.splice(0)];
  if (found.length > 0) throw new Error(found.join('\n\n'));
}

function heap(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** Runs whole batches until the time is over; the number of requests. */
async function fuzz(forSeconds: number, from: number): Promise<number> {
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: batch, maxLength: batch }), async (requests) => {
      await run(requests);
      sent += requests.length;
    }),
    {
      seed: from,
      numRuns: 1e6,
      interruptAfterTimeLimit: forSeconds * 1000,
      endOnFailure: true,
      // A whole batch as fast-check shows it is a hundred pages; what went wrong names its own request.
      reporter: ({ failed, numRuns, errorInstance }) => {
        if (failed) throw new Error(`batch ${numRuns} of seed ${from}: ${(errorInstance as Error).message}`);
      },
    },
  );
  return sent;
}

test(
  'no request is answered with 500, hangs, or is kept for ever',
  async () => {
    const warm = await fuzz(seconds / 3, seed);
    const before = heap();
    const more = await fuzz((seconds * 2) / 3, seed + 1);
    const after = heap();
    const said = [...statuses]
      .sort()
      .map(([status, count]) => `${status}: ${count}`)
      .join(', ');
    process.stderr.write(`${warm + more} requests, heap ${before.toFixed(0)} to ${after.toFixed(0)} MB, ${said}\n`);
    // The objects have few names; the history of their writes has bounds of its own.
    expect(after - before).toBeLessThan(96);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  },
  seconds * 1000 + 120_000,
);

test('what was stored can be read in every form, whatever it became', async () => {
  const accepts = [
    'application/json',
    'application/yaml',
    'application/json;as=Table;v=v1;g=meta.k8s.io',
    'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
    'application/vnd.kubernetes.protobuf,application/json',
  ];
  const collections = SEEDS.flatMap(({ path }) =>
    path.includes('/namespaces/fuzz/') ? NAMESPACES.map((n) => path.replace('/fuzz/', `/${n}/`)) : [path],
  );
  for (const path of collections)
    for (const accept of accepts) {
      const answer = await client.get(path, accept);
      if (answer.status! >= 500) throw new Error(`${path} as ${accept}: ${answer.status} ${answer.body}`);
    }
  expect((await client.get('/readyz', '')).status).toBe(200);
  expect((await client.get('/openapi/v2', 'application/json')).status).toBe(200);
  expect(failures).toEqual([]);
});
