import { sleep } from '@trimtab/machinery';
import type { Exchange } from './exchange.js';
import type { HttpParts } from './parts.js';
import type { RequestInfo } from './request-info.js';

export const healthPaths = /^\/(healthz|livez|readyz)(\/[^/]+)?\/?$/;

/** The checks of `/readyz` and `/healthz`; `/livez` has those that a restart could mend. */
const always = ['ping', 'log', 'store', 'informer-sync', 'shutdown'];
const notForLiving: ReadonlySet<string> = new Set(['informer-sync', 'shutdown']);

/** Checks by name, those that only show while they fail included. */
export function checkNames({ notReady }: Pick<HttpParts, 'notReady'>): readonly string[] {
  return [...new Set([...always, ...notReady()])];
}

/**
 * `ok`, or with `?verbose` one line a check; 500 naming those that fail. `?exclude=` leaves checks out, and a check's own path
 * asks for it alone. Needs no authentication.
 */
export async function serveHealth(parts: HttpParts, exchange: Exchange, info: RequestInfo): Promise<void> {
  const [, endpoint, single] = info.path.split('/');
  const living = endpoint === 'livez';
  const asked = single === undefined || single === 'store';
  const problem = living || !asked ? undefined : await storeProblem(parts);
  const failing = failingChecks(parts, living, problem);
  const checks = living ? always.filter((check) => !notForLiving.has(check)) : checkNames(parts);
  if (single && !checks.includes(single)) {
    answer(exchange, 404, '404 page not found\n');
    return;
  }
  const excluded = new Set(single ? [] : info.query.getAll('exclude'));
  const lines: string[] = [];
  let failed = 0;
  for (const check of single ? [single] : checks) {
    const reason = excluded.has(check) ? undefined : failing.get(check);
    if (reason !== undefined) failed++;
    lines.push(
      excluded.has(check)
        ? `[+]${check} excluded: ok`
        : reason === undefined
          ? `[+]${check} ok`
          : `[-]${check} failed: ${reason}`,
    );
  }
  const unknown = [...excluded].filter((name) => !checks.includes(name)).map((name) => `"${name}"`);
  if (unknown.length > 0)
    lines.push(`warn: some health checks cannot be excluded: no matches for ${unknown.join(',')}`);
  lines.push(`${endpoint} check ${failed === 0 ? 'passed' : 'failed'}`);
  const wordy = failed > 0 || info.query.has('verbose');
  answer(exchange, failed === 0 ? 200 : 500, wordy ? `${lines.join('\n')}\n` : 'ok');
}

/** Why each check fails that does, in words that strangers may read. A restart mends no disk that is full. */
function failingChecks(
  { notReady, closing }: HttpParts,
  living: boolean,
  problem: string | undefined,
): ReadonlyMap<string, string> {
  if (living) return new Map();
  return new Map([
    ...notReady().map((check) => [check, 'not ready yet'] as const),
    ...(problem === undefined ? [] : [['store', problem] as const]),
    ...(closing.aborted ? [['shutdown', 'not ready yet'] as const] : []),
  ]);
}

/** How long a store that others write to as well may take to answer (apiserver: --etcd-readycheck-timeout). */
const patienceMs = 2_000;

async function storeProblem({ registry: { store, clock } }: HttpParts): Promise<string | undefined> {
  if (!store.health.writable) return 'it cannot be written to; every refused write says why';
  if (!store.shared) return undefined;
  const late = new AbortController();
  const answered = store.latest().then(
    () => undefined,
    () => 'it does not answer; every refused write says why',
  );
  const patience = sleep(clock, patienceMs, late.signal).then(
    () => `it has not answered in ${patienceMs / 1000} s`,
    () => undefined,
  );
  return Promise.race([answered, patience]).finally(() => late.abort());
}

function answer(exchange: Exchange, status: number, text: string): void {
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-cache, private',
    'x-content-type-options': 'nosniff',
  };
  exchange.respond(status, headers, Buffer.from(text));
}
