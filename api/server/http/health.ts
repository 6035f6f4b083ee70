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
export function serveHealth(parts: HttpParts, exchange: Exchange, info: RequestInfo): void {
  const [, endpoint, single] = info.path.split('/');
  const living = endpoint === 'livez';
  const failing = failingChecks(parts, living);
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
function failingChecks({ notReady, closing, registry }: HttpParts, living: boolean): ReadonlyMap<string, string> {
  if (living) return new Map();
  return new Map([
    ...notReady().map((check) => [check, 'not ready yet'] as const),
    ...(registry.store.health.writable
      ? []
      : [['store', 'it cannot be written to; every refused write says why'] as const]),
    ...(closing.aborted ? [['shutdown', 'not ready yet'] as const] : []),
  ]);
}

function answer(exchange: Exchange, status: number, text: string): void {
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-cache, private',
    'x-content-type-options': 'nosniff',
  };
  exchange.respond(status, headers, Buffer.from(text));
}
